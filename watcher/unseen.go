package watcher

import (
	"context"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

// A chmpx that chmpxstatus does not show can show its end nevertheless, by signs (daemon.Signs). A
// text that waits is put in place then, as for a chmpx that is seen. Which file the next chmpx has
// loaded shows by nothing. So the previous file is kept until that one has ended, too, unless it is
// sure that no chmpx has come before the replacement: one that has loaded the previous file hears
// nothing of others, and runs on until its next start.

// unseen reports whether nothing shows what chmpx runs.
func (l *loop) unseen() bool {
	return l.Chmpx == nil || l.probe.found.blind() || l.probe.found == foundHidden && l.probe.last == nil
}

// sighting looks for signs of chmpx.
func (l *loop) sighting() daemon.Sighting {
	if l.Signs == nil {
		return daemon.Sighting{}
	}
	return l.Signs.Look(l.ctlPort())
}

// ctlPort is the control port of the file in place; 0: that has none, or there is no file.
func (l *loop) ctlPort() int {
	if c := l.output.file.config; c != nil {
		return max(c.SelfCtlPort, 0)
	}
	return 0
}

// previousBlocks reports whether K2HR3's next text waits for the previous file to go. Where nobody
// sees which file chmpx runs, that may take until its next start.
func (l *loop) previousBlocks(now time.Time) bool { return l.parking.blocks(now) && !l.unseen() }

// HowToRestart is what helps where a text waits for a restart of a chmpx that is not seen, by the
// signs of it.
func HowToRestart(now daemon.Sighting) string {
	if now.Any() {
		return "leave a second between stop and start, as the agent sees no more of chmpx than its end"
	}
	return "the agent sees no sign of chmpx here, and would not notice a restart: stop chmpx and the agent, remove slave.ini, start the agent and then chmpx; a pod is made anew"
}

// howToEnd is what the operator has to know besides why a text waits for a restart of chmpx.
func (l *loop) howToEnd() string {
	if !l.unseen() || !l.jobs.absent {
		return ""
	}
	return "; " + HowToRestart(l.sighting())
}

// awaitUnseenEnd waits for the end of a chmpx that a parked file waits for, or the previous one.
// again is an end after which that could not be put in place.
func (l *loop) awaitUnseenEnd(now time.Time, again *ended) {
	if l.Signs == nil || l.endOp.busy || !l.parking.waits() && !l.parking.keepsPrevious() {
		return
	}
	port := l.ctlPort()
	const noLimit = 0 // it is never overdue
	l.start(now, &l.endOp, noLimit, func(ctx context.Context) any {
		if again != nil {
			select {
			case <-ctx.Done():
				return ended{err: ctx.Err(), unseen: true}
			case <-time.After(parkedProbe):
			}
			if !l.Signs.Look(port).MayRun() {
				return *again
			}
		}
		sure, err := l.Signs.AwaitEnd(ctx, port)
		return ended{err: err, unseen: true, sure: sure}
	})
}

// unseenEnded puts the parked file in place, if there is one, and lets the previous one go as soon
// as nobody can have loaded it.
func (l *loop) unseenEnded(now time.Time, e ended) {
	// One that was given up may have been for a text that another has replaced. What
	// Prober.AwaitEnd says is no more than a hint to probe, which shows nothing here.
	if e.err != nil || !e.unseen {
		l.awaitUnseenEnd(now, nil)
		return
	}
	if l.parking.keepsPrevious() {
		l.parking.endWatch()
		l.dropPrevious()
	}
	if l.parking.waits() {
		l.applyParked()
	}
	switch {
	case l.ctx.Err() != nil:
		return
	case l.parking.waits() && !l.sighting().MayRun():
		l.awaitUnseenEnd(now, &e)
		return
	case l.parking.keepsPrevious() && e.sure && !l.sighting().MayRun():
		l.parking.endWatch()
		l.dropPrevious()
	case l.parking.keepsPrevious() && e.sure:
		l.Log.Warn("chmpx may have started just before the agent replaced slave.ini, and may run the previous one; restart chmpx once more", "file", l.File.Path)
	}
	l.awaitUnseenEnd(now, nil)
}
