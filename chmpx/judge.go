package chmpx

import "context"

// Judge says what a chmpx that is a slave on host does when it gets b as its
// configuration: at a fresh start, and, if running is not nil, at a live reload.
// chmpx may load the file at any moment, so both count.
//
// Judge looks up only names that could be this host's, all at once, and for five
// seconds at most (less if ctx ends earlier). A name that it could not look up in
// time is never the only reason to reject a file; see RuleSelfUnsure.
func Judge(ctx context.Context, b []byte, host Host, running *Running) Report {
	l := &loader{findings: &findings{}, paths: host.Paths}
	cfg := l.load(b)
	report := Report{Config: cfg}
	if cfg != nil {
		self := l.findSelf(ctx, host)
		l.checkStart()
		l.checkPlaceholders(b)
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
