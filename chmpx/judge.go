package chmpx

import "context"

// Judge says what becomes of a chmpx that is a slave on host and gets b as its
// configuration: by a fresh start, and, if running is not nil, by a live
// reload. The file may be loaded at every moment of its life, so both count.
//
// Names are only looked up where the own entry could hide behind them, all at
// once, and for five seconds at most (less if ctx ends earlier). What could
// not be looked up in time never rejects a file on its own; see RuleSelfUnsure.
func Judge(ctx context.Context, b []byte, host Host, running *Running) Report {
	l := &loader{findings: &findings{}, paths: host.Paths}
	cfg := l.load(b)
	report := Report{Config: cfg}
	if cfg != nil {
		self := l.findSelf(ctx, host)
		l.checkStart()
		l.checkNodes()
		report.Self = l.checkSelf(host, self)
		if l.loadFailed {
			report.Config, report.Self = nil, nil
		} else {
			l.checkLive(running)
		}
	}
	report.Verdict = l.worst
	report.Findings = l.sorted()
	return report
}
