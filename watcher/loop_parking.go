package watcher

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// ended is the news that chmpx may have ended.
type ended struct {
	err error
	// unseen: it is by Signs.AwaitEnd, and sure: its process was seen, not only its port.
	unseen, sure bool
}

// park takes a text that the running chmpx must not load. If a fresh one can,
// the text is parked, and the error says so; else it is why.
func (l *loop) park(now time.Time, a k2hr3.Answer, why error) error {
	refusal, refused := errors.AsType[*Refusal](why)
	if !refused {
		return why
	}
	c, err := l.candidate(l.ctx, a.Text, l.output.file, l.output.nextRevision(l.probe.last), nil)
	if err != nil || c.digest == l.output.banned {
		return why
	}
	if err := l.cannotReadNext(); err != nil {
		return err // nor could a fresh one
	}
	wait := &Refusal{Report: refusal.Report, Reason: refusal.Reason + l.howToEnd(), Parked: true}
	if l.parking.has(c.digest) {
		return wait
	}
	// The operator, who is told of it, may restart chmpx in the next moment. Then
	// nothing may keep the file from being replaced.
	if err := l.pace.mayReplace(l.ctx); err != nil {
		return err
	}
	if err := l.File.Park(c.bytes); err != nil {
		return err
	}
	err = l.secondOpinion(l.File.ParkedPath(), c)
	if err == nil {
		err = l.File.CheckParked(c.bytes)
	}
	if err != nil {
		l.dropParked()
		return err
	}
	l.parking.begin(parked{c, a.ETag})
	l.awaitEnd(now)
	if l.RestartUnconfirmed && !l.jobs.absent && l.jobs.mayRestart(now, l.Log) {
		l.Log.Warn("restarting chmpx so that it loads a RESOURCE it cannot load while it runs", "reason", refusal.Reason)
		l.restartUnit(now)
	}
	return wait
}

// recallParked takes up what an agent before this one parked or kept.
func (l *loop) recallParked(now time.Time) {
	// The file in place was good, and so was the previous one. What is neither is no agent's.
	if b, err := l.File.Previous(); err == nil && l.output.file.config != nil {
		before := inPlace{bytes: b, sum: sum(b), good: true}
		if before.config, _ = chmpx.Load(b, nil); before.config != nil {
			l.parking.watch(now, before)
		}
	}
	b, err := l.File.Parked()
	if err != nil {
		return
	}
	if report := l.Judge.Judge(l.ctx, b, nil); report.Verdict == chmpx.Accept {
		l.parking.begin(parked{candidate: candidate{bytes: b, report: report}})
	}
}

// dropParked removes the parked file.
func (l *loop) dropParked() {
	if l.parking.waits() {
		l.parking.end()
		if l.unseen() && l.endOp.busy && !l.parking.keepsPrevious() {
			l.endOp.cancel()
		}
	}
	if err := l.File.DropParked(); err != nil {
		l.Log.Warn("cannot remove the file that waited for a restart of chmpx", "error", err)
	}
}

// awaitEnd waits for the end of the chmpx that a parked file waits for.
func (l *loop) awaitEnd(now time.Time) {
	switch {
	case l.unseen():
		l.awaitUnseenEnd(now, nil)
	case l.probe.found != foundRunning:
		l.startProbe(now)
	case !l.endOp.busy && l.parking.trustsEnd(*l.probe.last):
		st := *l.probe.last
		l.parking.await(st)
		const noLimit = 0 // it is never overdue
		l.start(now, &l.endOp, noLimit, func(ctx context.Context) any { return ended{err: l.Chmpx.AwaitEnd(ctx, st)} })
	}
}

// chmpxEnded puts the parked file in place at once: the next chmpx is about to
// start. Where the end cannot be waited for, the probes tell of it.
func (l *loop) chmpxEnded(now time.Time, e ended) {
	if l.unseen() {
		l.unseenEnded(now, e)
		return
	}
	if e.err == nil && l.parking.waits() && !l.parking.keepsPrevious() {
		l.applyParked()
	}
}

// applyParked puts the parked file in place.
func (l *loop) applyParked() {
	err := l.mayReplace()
	if l.ctx.Err() != nil {
		return
	}
	now := time.Now()
	old, _ := daemon.InodeOf(l.File.Path)
	if err == nil && l.unseen() && l.sighting().MayRun() {
		return // it came just now, and its end is waited for
	}
	if err == nil {
		l.pace.replaced(now)
		err = l.File.CommitParked(l.parking.parked.bytes)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.checkFile(now) // chmpx's unit may have put it in place
		return
	case errors.Is(err, render.ErrNotDurable):
		l.Log.Warn("cannot flush slave.ini to the disk", "error", err)
	case errors.Is(err, render.ErrAltered): // it is of no use any more
		l.Log.Error("cannot replace slave.ini while chmpx is down", "error", err)
		l.dropParked()
		l.poll.Want(now)
		return
	case err != nil:
		l.parking.danger.report(now, slog.LevelError, "cannot replace slave.ini while chmpx is down", err)
		return
	}
	before := l.output.file
	v := l.parking.end()
	l.parking.watch(now, before)
	l.parkedInPlace(now, v, old)
	l.tellChmpx(now, !before.good, nil)
	l.probe.plan(now, daemon.FirstProbe)
}

// parkedInPlace takes note that the parked file is in place.
func (l *loop) parkedInPlace(now time.Time, v parked, old daemon.Inode) {
	l.output.putInPlace(v.candidate, old)
	l.confirmation.change(time.Time{}) // the change is older than that chmpx could take it
	l.noteReplaced()
	l.output.tag(v.etag)
	l.confirmation.renew()
	l.history.add(now, l.output.revision, cmp.Or(v.changes, "a text that had waited for a restart of chmpx"))
	l.save()
	l.replaced(v.candidate)
	if v.etag == "" {
		l.poll.Want(now)
	}
}

// watchPrevious takes a probe while a file is kept.
func (l *loop) watchPrevious(now time.Time, p probed) {
	switch l.parking.look(now, p, l.output.file.config.FileVersion) {
	case previousUnsure:
		if l.previousBlocks(now) {
			return
		}
	case previousOver:
		l.parking.endWatch()
		l.dropPrevious()
	case previousRuns:
		l.restorePrevious(now, p)
	}
	if r := l.poll.takeWaiting(); r != nil {
		l.consider(now, *r)
	}
	l.checkFile(now) // what was done to it meanwhile was left alone
}

// dropPrevious removes a previous file that nobody watches, if there is one.
func (l *loop) dropPrevious() {
	if err := l.File.DropPrevious(); err != nil {
		l.parking.leftover.report(time.Now(), slog.LevelWarn, "cannot remove .slave.previous.ini; a chmpx that runs the previous slave.ini notices no new one until somebody removes it", err)
	} else {
		l.parking.leftover.over()
	}
}

// restorePrevious puts the file before in place again, and holds the text once more:
// a chmpx was started at the same moment, and runs the file before.
func (l *loop) restorePrevious(now time.Time, p probed) {
	g := l.parking.endWatch()
	l.parking.distrustEnd(p.status)
	err := l.lock.Hold()
	if err == nil {
		err = l.File.RestorePrevious()
	}
	if err != nil {
		l.Log.Error("cannot restore slave.ini", "error", err)
		return
	}
	l.output.restore(g.before)
	l.noteReplaced()
	l.expect(now, &p.status)
	l.history.add(now, g.before.config.FileVersion, "restored the one before: chmpx had just started on it")
	l.save()
	l.Log.Warn("chmpx started just before the agent replaced slave.ini and runs the previous one; restart chmpx once more", "file", l.File.Path, "runs", p.status.Revision)
	l.poll.Want(now) // the text is parked again
}
