package watcher

import (
	"errors"
	"log/slog"
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
	case replaced && l.flipped(now, before):
		l.supersedeParked()
		l.poll.contradicted(now, l.scene())
	case replaced:
		l.supersedeParked()
		l.poll.replaced(now, r, l.scene())
	default:
		l.accept()
		l.flips.calm(now)
		l.poll.same(now, r, l.scene())
	}
}

// flipped reports whether K2HR3 has contradicted itself once more by the text that
// has replaced another one.
func (l *loop) flipped(now time.Time, before string) bool {
	return l.flips.replaced(now, before, l.output.file.digest)
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
	l.poll.refused(now, l.scene())
	message := "cannot replace slave.ini"
	var refusal *Refusal
	if errors.As(err, &refusal) {
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
	if refusal == nil || !refusal.Parked {
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
	c, err := l.judge(a.Text)
	if err != nil {
		return false, l.park(now, a, err)
	}
	if c.digest == l.output.banned {
		return false, &Refusal{Report: c.report, Reason: "chmpx ended when it loaded this text; the agent keeps the previous slave.ini until K2HR3 has another text (`systemctl reload k2hdkc-slave-agent` tries it again)"}
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
	file := l.output.file
	running := l.probe.mayRun(file.config, l.confirmation.done)
	return l.candidate(l.ctx, text, file, l.output.nextRevision(l.probe.last), running)
}

// replace puts a judged candidate in place, and has chmpx told.
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
	now := time.Now()
	first := !l.output.file.good
	if first && l.jobs.awaitsStart() {
		l.save() // before the file is there: between the two the agent may end
	}
	old, _ := daemon.InodeOf(l.File.Path)
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

// mayReplace waits until the file may be replaced, and returns an error if that is another agent's
// part by now.
func (l *loop) mayReplace() error {
	if err := l.pace.wait(l.ctx); err != nil {
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
	if err := l.replace(c); err != nil {
		return err
	}
	l.history.add(now, l.output.revision, why)
	l.save()
	if l.parking.waits() { // under a revision that may be used by now
		l.dropParked()
		l.poll.want(now)
	}
	return nil
}

// checkFile puts the file back if it is not what was put in place.
func (l *loop) checkFile(now time.Time) {
	if !l.output.file.good || l.parking.keepsPrevious() {
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
