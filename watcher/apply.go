package watcher

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// pass leads an answer to the file and plans the next request.
func (l *loop) pass(now time.Time, r reply) {
	before := l.output.file.digest
	replaced, err := l.apply(now, r.answer)
	if replaced {
		l.confirmation.change(r.at)
	}
	switch {
	case l.ctx.Err() != nil: // what a judgement says then means nothing
	case err != nil:
		l.notApplied(now, r.answer, err)
	case replaced && l.flips.replaced(now, before, l.output.file.digest):
		l.supersedeParked()
		l.poll.Contradicted(now, l.scene())
	case replaced:
		l.supersedeParked()
		l.poll.Replaced(now, r.scheduled(), l.scene())
	default:
		l.accept()
		l.flips.calm(now)
		l.poll.Same(now, r.scheduled(), l.scene())
	}
}

// accept takes note that the file is what K2HR3 wants.
func (l *loop) accept() {
	l.output.accept()
	l.supersedeParked()
}

// supersedeParked removes the parked file, if there is one: K2HR3 has another text.
func (l *loop) supersedeParked() {
	if l.parking.waits() {
		l.dropParked()
	}
}

// notApplied takes note of a text that did not become the file.
func (l *loop) notApplied(now time.Time, a k2hr3.Answer, err error) {
	l.poll.Refused(now, l.scene())
	message := "cannot replace slave.ini"
	refusal, refused := errors.AsType[*Refusal](err)
	if refused {
		if refusal.Parked && l.probe.found == foundDown {
			return // the next probe decides, which has begun
		}
		message = refusalMessage(refusal.Parked, l.output.none())
		if l.output.refuse(a) {
			l.meter().Refused(refusal.verdict())
		}
		if refusal.Report.Has(chmpx.RuleSelfMissing) {
			l.membership.doubt(now) // K2HR3 may have forgotten this host
		}
	}
	if !refused || !refusal.Parked {
		l.supersedeParked()
	}
	l.output.refusal.report(now, slog.LevelWarn, message, err)
}

// refusalMessage says what becomes of a refused text, and of slave.ini.
func refusalMessage(parked, none bool) string {
	switch {
	case parked && none:
		return "RESOURCE waits for a restart of chmpx; there is no slave.ini until then"
	case parked:
		return "RESOURCE waits for a restart of chmpx; slave.ini unchanged until then"
	case none:
		return "RESOURCE not applied; there is no slave.ini yet"
	}
	return "RESOURCE not applied; slave.ini unchanged"
}

// apply leads one answer of K2HR3 to the file, and reports whether the file
// was replaced. Whatever goes wrong, the file in place stays as it is.
func (l *loop) apply(now time.Time, a k2hr3.Answer) (replaced bool, err error) {
	for range mostLooks {
		replaced, err = l.applyTo(now, a)
		if !errors.Is(err, errChmpxChanged) {
			break
		}
	}
	return replaced, err
}

// applyTo is apply for the chmpx that was found last. It returns errChmpxChanged if another one is
// there at the moment of the rename.
func (l *loop) applyTo(now time.Time, a k2hr3.Answer) (replaced bool, err error) {
	c, err := l.judge(a.Text)
	if err != nil {
		return false, l.park(now, a, err)
	}
	if c.digest == l.output.banned {
		return false, &Refusal{Report: c.report, Reason: l.output.ban()}
	}
	if c.same {
		if l.output.tag(a.ETag) {
			l.save()
		}
		return false, nil
	}
	if err := l.replace(c); err != nil {
		return false, err
	}
	l.confirmation.renew()
	l.output.tag(a.ETag)
	l.history.add(now, l.output.revision, c.changes)
	l.save()
	l.replaced(c)
	return true, nil
}

// replaced takes note that a text of K2HR3 has replaced the file.
func (l *loop) replaced(c candidate) {
	l.output.replaces()
	config := c.report.Config
	l.Log.Info("slave.ini replaced", "file", l.File.Path, "revision", config.FileVersion,
		"servers", len(config.Servers), "slaves", len(config.Slaves), "changes", c.changes)
}

// judge makes a candidate of a text.
func (l *loop) judge(text string) (candidate, error) {
	running, revision := l.judgedFor()
	return l.candidate(l.ctx, text, l.output.file, revision, running)
}

// replace puts a judged candidate in place, and has chmpx told. It returns errChmpxChanged if
// chmpx is another one by now than the one that the candidate was judged for.
func (l *loop) replace(c candidate) error {
	staged, err := l.File.Stage(c.bytes)
	if err != nil {
		return err
	}
	defer staged.Discard()
	if err := l.secondOpinion(staged.Path(), c); err != nil {
		return err
	}
	if err := l.mayReplace(); err != nil {
		return err
	}
	if !c.again && !l.standsFor(c) {
		return errChmpxChanged
	}
	if err := l.cannotReadNext(); err != nil {
		return err
	}
	now := time.Now()
	first := !l.output.file.good
	if first && l.jobs.awaitsStart() {
		l.save() // before the file is there: between the two the agent may end
	}
	old, _ := daemon.InodeOf(l.File.Path)
	l.pace.replaced(now)
	if err := staged.Commit(); errors.Is(err, render.ErrNotDurable) {
		l.Log.Warn("cannot flush slave.ini to the disk", "error", err)
	} else if err != nil {
		return err
	}
	if !l.parking.keepsPrevious() {
		l.dropPrevious() // one that an agent before this one left, or somebody else
	}
	l.output.putInPlace(c, old)
	l.noteReplaced()
	l.tellChmpx(now, first, l.probe.last)
	return nil
}

// mostLooks is how often a text is judged anew because chmpx is another one when the file is
// about to be replaced.
const mostLooks = 3

// lastLook is how long chmpx is looked at in the last moment; a look takes some 10 ms.
const lastLook = time.Second

// errChmpxChanged: what was judged was judged for another chmpx than the one that is there now.
var errChmpxChanged = errors.New("chmpx starts and stops too often to replace slave.ini under it; the agent tries again")

// standsFor looks at chmpx in the last moment before a rename, and reports whether the candidate
// that was judged before is still fit for it: which text the running chmpx survives depends on what
// it was started with. A look that shows nothing changes nothing.
func (l *loop) standsFor(c candidate) bool {
	config := l.output.file.config
	if l.Chmpx == nil || config == nil || l.probe.found.blind() {
		return true
	}
	if l.probe.await(l.ctx) != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(l.ctx, lastLook)
	defer cancel()
	p := l.lookFor(ctx, config)
	l.probe.looked(p)
	if found := p.presence(); found != foundRunning && found != foundDown {
		return true
	}
	running, revision := l.judgedFor()
	l.probe.result(p, l.confirms(time.Now(), p))
	nowRunning, nowRevision := l.judgedFor()
	if reflect.DeepEqual(running, nowRunning) && revision == nowRevision {
		return true
	}
	return revision == nowRevision && l.refuse(l.Judge.Judge(l.ctx, c.bytes, nowRunning)) == nil
}

// judgedFor is what a text is judged for: the chmpx that runs, and the revision of the text.
func (l *loop) judgedFor() (running *chmpx.Running, revision int) {
	return l.probe.mayRun(l.output.file.config, l.confirmation.done), l.output.nextRevision(l.probe.last)
}

// mayReplace waits until the file may be replaced, and returns an error if that is another agent's
// part by now.
func (l *loop) mayReplace() error {
	if err := l.pace.mayReplace(l.ctx); err != nil {
		return err
	}
	return l.lock.Hold()
}

// secondOpinion returns a *Refusal if there is one against the staged file.
func (l *loop) secondOpinion(path string, c candidate) error {
	if l.SecondOpinion == nil {
		return nil
	}
	err := l.SecondOpinion.Check(l.ctx, path)
	switch {
	case l.ctx.Err() != nil:
		return l.ctx.Err()
	case err != nil:
		return &Refusal{Report: c.report, Reason: err.Error()}
	}
	return nil
}

// putAgain puts the file in place once more, under the next revision. why is for the history.
func (l *loop) putAgain(now time.Time, why string) error {
	c, err := l.judge(string(l.output.file.bytes))
	if err != nil {
		return err
	}
	c.digest = l.output.file.digest
	c.again = true
	if err := l.replace(c); err != nil {
		return err
	}
	l.history.add(now, l.output.revision, why)
	l.save()
	if l.parking.waits() { // under a revision that may be used by now
		l.dropParked()
		l.poll.Want(now)
	}
	return nil
}

// checkFile puts the file back if it is not what was put in place.
func (l *loop) checkFile(now time.Time) {
	if !l.output.file.good || l.parking.keepsPrevious() && !l.unseen() {
		return
	}
	if err := l.lock.Hold(); err != nil {
		l.repair.locked(now, err)
		return
	}
	b, err := l.File.Read()
	if err == nil && l.parking.is(b) {
		l.parkedInPlace(now, l.parking.end(), daemon.Inode{})
		l.expect(now, nil)
		return
	}
	if err == nil && sum(b) == l.output.file.sum {
		l.repair.done("slave.ini is good again")
		return
	}
	if !l.repair.mayBegin(now) {
		return
	}
	l.repair.begin(now, l.File.Path, err)
	if err := l.putAgain(now, "restored: another program changed or removed it"); err != nil {
		l.repair.failed(now, err)
		return
	}
	l.repair.done("slave.ini restored")
}
