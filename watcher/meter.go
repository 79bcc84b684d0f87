package watcher

import (
	"context"
	"time"

	"k2hdkc-slave-agent/chmpx"
)

// Meter counts what the watcher does. Its methods are called by the loop and by what runs beside
// it, and must not block.
type Meter interface {
	// Refused: a text of K2HR3's is not put in place. verdict is "dangerous" or "reject" as that
	// of the judge, "no_server", or "other".
	Refused(verdict string)
	// Replaced: slave.ini was replaced, by whatever text.
	Replaced()
	// Restarted: the agent has chmpx's unit restarted.
	Restarted()
	// Confirmed: chmpx runs a change, so long after the answer of K2HR3 that brought it.
	Confirmed(after time.Duration)
}

// unmetered is the Meter where nobody counts.
type unmetered struct{}

func (unmetered) Refused(string)          {}
func (unmetered) Replaced()               {}
func (unmetered) Restarted()              {}
func (unmetered) Confirmed(time.Duration) {}

func (w *Watcher) meter() Meter {
	if w.Meter == nil {
		return unmetered{}
	}
	return w.Meter
}

// noteReplaced counts and keeps that another file is in place.
func (l *loop) noteReplaced() {
	l.meter().Replaced()
	if l.Kept != nil && l.output.file.config != nil {
		l.Kept(l.output.file.config.FileVersion, l.output.file.bytes)
	}
}

// verdict is the reason for a refusal in a word, for a Meter.
func (r *Refusal) verdict() string {
	switch {
	case r.Report.Only(chmpx.RuleNoServer):
		return "no_server"
	case r.Report.Verdict == chmpx.Accept:
		return "other" // min-servers, chmpxconftest, or it ended chmpx before
	}
	return r.Report.Verdict.String()
}

// restart restarts chmpx's unit, or what stands for it.
func (w *Watcher) restart(ctx context.Context) error {
	w.meter().Restarted()
	return w.Unit.Restart(ctx)
}
