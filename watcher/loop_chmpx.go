package watcher

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
)

// startProbe looks at chmpx, unless that is under way.
func (l *loop) startProbe(now time.Time) {
	if l.Chmpx == nil || l.probeOp.busy {
		return
	}
	if l.probe.early(now) {
		l.probe.plan(now, 0)
		return
	}
	config := l.output.file.config
	if config == nil {
		config = l.probe.target
	}
	if config == nil {
		l.probe.plan(now, max(l.Peek, time.Second))
		return
	}
	other := l.parking.target()
	l.start(now, &l.probeOp, probeLimit, func(ctx context.Context) any {
		p := l.lookFor(ctx, config)
		if other != nil && errors.Is(p.err, daemon.ErrNotRunning) {
			if o := l.lookFor(ctx, other); o.err == nil {
				o.before = true
				return o
			}
		}
		return p
	})
}

// lookFor looks for the chmpx of a configuration.
func (l *loop) lookFor(ctx context.Context, c *chmpx.Config) probed {
	began := time.Now()
	st, err := l.Chmpx.Status(ctx, c.Group, max(c.SelfCtlPort, 0))
	return probed{status: st, err: err, began: began}
}

// probesFirst sees to it that chmpx is probed before anything is put in place
// for the first time: how a text is judged, and which revision it gets, depends
// on what runs. It reports whether that probe is still to be waited for.
func (l *loop) probesFirst(now time.Time, r reply) bool {
	if l.Chmpx == nil || l.probe.found != neverProbed {
		return false
	}
	target, _ := chmpx.Load(render.Bytes(r.answer.Text, l.values(0)), nil)
	l.probe.aim(target)
	l.startProbe(now)
	return l.probeOp.busy
}

// probeDone takes what came of a probe and plans the next one.
func (l *loop) probeDone(now time.Time, p probed) {
	if l.ctx.Err() != nil {
		return
	}
	before := l.probe.result(p, l.confirms(now, p))
	switch l.probe.found {
	case foundDown:
		l.healing.gone()
	case foundRunning:
		l.healing.meet(now, p.status)
		if before == nil {
			l.certs.soon(now)
		}
	}
	if l.parking.keepsPrevious() {
		l.watchPrevious(now, p)
	}
	switch {
	case l.previousBlocks(now):
		l.probe.plan(now, parkedProbe)
	case l.parking.waits() && l.probe.found == foundDown && !l.parking.keepsPrevious():
		l.applyParked()
	case l.confirmation.pending != nil:
		l.confirming(now, p)
	case p.err == nil && l.output.file.config != nil:
		l.watchRing(now, before, p.status)
		l.probeLater(now)
	default:
		l.probe.planLater(now, l.parking.waits())
	}
	if l.unseen() || l.parking.waits() && l.probe.found == foundRunning {
		l.awaitEnd(now)
	}
	if r := l.poll.takeUnseen(); r != nil {
		l.consider(now, *r)
	}
	l.lookWhetherReadable(now)
}

// confirms reports whether a probe is the first to show that chmpx runs the current slave.ini.
func (l *loop) confirms(now time.Time, p probed) bool {
	config := l.output.file.config
	return p.err == nil && config != nil && p.status.Revision == config.FileVersion &&
		!l.confirmation.done && !l.previousBlocks(now)
}

// confirming takes a probe while a revision is to be confirmed.
func (l *loop) confirming(now time.Time, p probed) {
	outcome, next := l.confirmation.look(now, p)
	switch outcome {
	case daemon.Pending:
		l.probe.plan(now, next)
		return
	case daemon.Confirmed:
		l.confirmed(now)
		l.Log.Info("chmpx runs the current slave.ini", "revision", p.status.Revision,
			"servers", len(p.status.Servers), "pid", p.status.PID, "after", now.Sub(l.confirmation.since).Round(time.Millisecond).String())
	case daemon.Gone:
		l.chmpxGone(now)
	case daemon.Late:
		l.notTaken(now, p.status)
	case daemon.Unknown:
		l.Log.Info("cannot confirm that chmpx loads slave.ini", "reason", p.err)
	}
	if l.confirmation.pending == nil {
		l.probe.planLater(now, l.parking.waits())
	}
}

// probeLater plans the next probe after one that was compared with the file. As long as chmpx is as
// it should be, a look that shows what that one has shown means nothing to the loop, which is not
// woken by it.
func (l *loop) probeLater(now time.Time) {
	if l.once || !l.calm() || !l.probe.showsChanges() || len(l.healing.refused) > 0 || l.parking.waits() || l.parking.keepsPrevious() {
		l.probe.planLater(now, l.parking.waits())
		return
	}
	l.probe.plan(now, calmPause)
	if !l.changeOp.busy {
		st, pause := *l.probe.last, l.probe.direct
		const noLimit = 0 // it is never overdue
		l.start(now, &l.changeOp, noLimit, func(ctx context.Context) any { return changed{l.Chmpx.AwaitChange(ctx, st, pause)} })
	}
}

// changed is what came of the wait for chmpx's memory to change.
type changed struct{ err error }

// chmpxChanged probes chmpx, of which the memory may show something else now.
func (l *loop) chmpxChanged(now time.Time, c changed) {
	switch {
	case l.ctx.Err() != nil:
	case c.err == nil:
		l.startProbe(now)
	default: // it cannot wait
		l.probe.planLater(now, l.parking.waits())
	}
}

// confirmed takes note that chmpx runs the current slave.ini.
func (l *loop) confirmed(now time.Time) {
	if changed := l.confirmation.confirmed(now); !changed.IsZero() {
		l.meter().Confirmed(now.Sub(changed))
	}
	l.output.confirmed()
	l.unitStarted()
}

// watchRing asks K2HR3 when chmpx has learnt of other servers than the file's.
func (l *loop) watchRing(now time.Time, before *daemon.Status, st daemon.Status) {
	if st.Revision != l.output.file.config.FileVersion {
		// chmpx came up on another file, or has not been seen to take this one.
		if before == nil {
			l.confirmation.renew()
		}
		if l.confirmation.tries == 0 {
			l.expect(now, &st)
		}
		return
	}
	if !l.confirmation.done {
		l.Log.Info("chmpx runs the current slave.ini", "revision", st.Revision, "servers", len(st.Servers), "pid", st.PID)
	}
	l.confirmed(now)
	switch l.ring.compare(before, st, l.output.file.config) {
	case ringChanged:
		l.hurry(l.poll.RingChanged(now, l.turn(), l.requestOp.busy))
	case ringAgrees:
		l.poll.RingAgrees()
	case ringLeaving:
		l.hurry(l.poll.AskSoon(now, l.turn(), l.requestOp.busy))
	}
	l.watchPeers(now, st)
}

// hurry has K2HR3 asked although it wants to be left alone, if that is worth it.
func (l *loop) hurry(worth bool) {
	if worth {
		l.Member.Disturb()
	}
}

// expect waits for chmpx to show the revision in place.
func (l *loop) expect(now time.Time, before *daemon.Status) {
	l.ring.reset()
	l.poll.RingAgrees()
	if l.confirmation.expect(now, l.output.file.config.FileVersion, before) {
		l.probe.plan(now, daemon.FirstProbe)
	}
}

// tellChmpx makes chmpx read the file that was just put in place, and waits for
// it to show that. The rename has told a running chmpx already. before is what
// that was like, nil if it did not run.
func (l *loop) tellChmpx(now time.Time, first bool, before *daemon.Status) {
	if l.Reload == ReloadRestart {
		before = nil
	}
	l.expect(now, before)
	l.startJob(now, func(ctx context.Context) jobDone { return l.tellUnit(ctx, first) })
}

// startJob runs one operation on the unit. One that is under way is not
// disturbed: its end is awaited before K2HR3's next text is applied, so that a
// second one can only follow a file that was put in place once more.
func (l *loop) startJob(now time.Time, f func(context.Context) jobDone) {
	if l.jobs.absent || l.jobOp.busy {
		return
	}
	l.jobs.begin(now)
	l.start(now, &l.jobOp, jobLimit, func(ctx context.Context) any { return f(ctx) })
}

// jobDone takes what came of a job of the unit.
func (l *loop) jobDone(now time.Time, j jobDone) {
	if j.up {
		l.unitStarted()
	}
	restart := l.jobs.ended(j)
	if j.foreign || l.jobs.absent {
		l.healing.hindered(j.foreign)
	}
	if l.ctx.Err() != nil {
		return
	}
	if r := l.poll.takeWaiting(); r != nil {
		l.consider(now, *r)
	}
	if restart {
		l.restartUnit(now)
	}
}

// unitStarted takes note that chmpx does not wait to be started any more.
func (l *loop) unitStarted() {
	if l.jobs.started() {
		l.save()
	}
}

// restartUnit restarts chmpx's unit, which only the operator's options ask for.
// It waits for the end of a job that is under way.
func (l *loop) restartUnit(now time.Time) {
	if l.jobOp.busy {
		l.jobs.restartAfterJob()
		return
	}
	l.jobs.restarting(now)
	l.expect(now, nil)
	l.startJob(now, func(ctx context.Context) jobDone { return jobDone{err: l.restart(ctx), up: true} })
}

// notTaken is for a chmpx that lives and does not take the file. Its notification may have been
// held up or swallowed (docs/chmpx.md D.4, D.6); another replacement repairs that, and where its
// watch is lost only a restart does.
func (l *loop) notTaken(now time.Time, st daemon.Status) {
	log := l.Log.With("revision", l.output.file.config.FileVersion, "runs", st.Revision, "pid", st.PID)
	if l.Chmpx.Stopped(st) { // it loads the file as soon as it goes on
		l.confirmation.stopped.report(now, slog.LevelWarn, "chmpx is stopped, and loads slave.ini when it goes on: kill -CONT it, end its debugger, or thaw its container", nil,
			"revision", l.output.file.config.FileVersion, "runs", st.Revision, "pid", st.PID)
		return
	}
	tries := l.confirmation.failed()
	unread := l.cannotReadFile()
	switch {
	case unread != nil && (tries > 1 || l.cannotReadNext() != nil):
		l.confirmation.cannotRead()
		log.Error("chmpx does not load slave.ini: it cannot read it", "error", unread)
	case tries == 1:
		log.Warn("chmpx did not load slave.ini; replacing the file once more", "held by", l.holders())
		if err := l.putAgain(now, "put in place once more: chmpx did not load it"); err != nil {
			log.Error("cannot replace slave.ini once more", "error", err)
		}
	case tries == 2 && l.RestartUnconfirmed && !l.jobs.absent && l.jobs.mayRestart(now, log):
		log.Error("chmpx still did not load slave.ini; restarting it")
		l.restartUnit(now)
	default:
		log.Error("chmpx does not load slave.ini: a process holds the old file open, or chmpx has lost its watch; restart chmpx", "held by", l.holders())
	}
}

// holders says in words who keeps the replaced file alive, and with it chmpx
// from hearing of the replacement.
func (l *loop) holders() string {
	found, err := daemon.Holders(l.ctx, l.File.Path, l.output.replaced)
	var words []string
	for _, h := range found {
		words = append(words, h.String())
	}
	switch {
	case len(found) == 0 && err != nil:
		return "not known: " + err.Error()
	case len(found) == 0:
		return "nobody"
	}
	return strings.Join(words, ", ")
}

// chmpxGone is for a chmpx that ended when it got the file. What is in place was
// judged to be good, and still it may be what ended chmpx; the file it ran
// before is not. That one is restored until K2HR3 has another text.
func (l *loop) chmpxGone(now time.Time) {
	log := l.Log.With("revision", l.output.file.config.FileVersion)
	switch {
	case l.unitStopped(l.ctx):
		log.Info("chmpx was stopped")
	case !l.confirmation.ran:
		log.Warn("chmpx is not running; it loads slave.ini when it starts")
	case !l.output.canRestore():
		log.Error("chmpx ended; slave.ini is good, so look for the cause in chmpx's log")
	default:
		log.Error("chmpx ended on the new slave.ini; restoring the one it ran before")
		l.restoreSafe(now, log)
	}
}

// restoreSafe puts the version in place that chmpx ran before. Where there is no systemd to ask,
// somebody may have stopped chmpx at that very moment, which looks like a load that failed
// (docs/chmpx.md D.7, D.8): then the text is not yet to blame. A chmpx that crashes leaves its
// memory.
func (l *loop) restoreSafe(now time.Time, log *slog.Logger) {
	c := l.output.file.config
	l.output.restoreSafe(l.jobs.absent && !l.Chmpx.LeftMemory(c.Group, max(c.SelfCtlPort, 0)))
	l.confirmation.change(time.Time{})
	if err := l.putAgain(now, "restored the one before: chmpx ended on the new one"); err != nil {
		log.Error("cannot restore the slave.ini that chmpx ran before", "error", err)
		return
	}
	l.output.restored()
}
