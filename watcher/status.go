package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// Status is what the watcher has done and what it waits for. Two of them can
// be compared by ==: what is in their lists has changed only if the list is another.
// Nothing in it is secret.
type Status struct {
	// Role is the YRN of the role whose RESOURCE is followed.
	Role string
	// Revision is the FILEVERSION of the good file in place; HasFile tells
	// whether there is one. Servers are its server nodes.
	HasFile  bool
	Revision int
	Servers  int
	// Chmpx is how chmpx was when it was last looked at, and ChmpxSince when
	// the watcher found it so first, with this revision.
	Chmpx      Chmpx
	ChmpxSince time.Time
	// Joining: the first look at the membership is not over yet.
	Joining bool
	// Holds: K2HR3 holds requests until there is something new. Otherwise it
	// is asked about every Every.
	Holds bool
	Every time.Duration
	// Job: systemd is at work on chmpx's unit because of the file.
	Job bool
	// Ring: chmpx knows other servers than the file, and K2HR3 is asked for
	// them.
	Ring bool
	// What goes wrong, as far as anything does: no text from K2HR3, a text
	// that is not put in place, a membership that is not certain.
	Asking, Applying, Membership Problem

	Talk    Talk
	File    File
	Process Process
	// Known is what K2HR3 knows the host by, CheckedAt when that was last asked, and MemberSince
	// when K2HR3 confirmed the membership after it had not; zero: it has not.
	Known                  member.Identity
	CheckedAt, MemberSince time.Time
	Nodes                  List[ServerNode]
	Changes                List[Change] // the latest ten, the latest first
	Health                 Health
}

// Talk is the conversation with K2HR3.
type Talk struct {
	HeardAt time.Time // the latest proper answer
	// FailedAt is when the latest request failed, and Failure why; zero if none has since HeardAt.
	FailedAt time.Time
	Failure  string
	// NextAt is when K2HR3 is asked next, zero while a request is under way, since AskingSince.
	NextAt      time.Time
	NextWhy     string // of the request that comes next, or is under way
	AskingSince time.Time
}

// File is what Status has of the file besides the fields above.
type File struct {
	SHA256     string
	Slaves     int
	ReplacedAt time.Time // zero: by nobody since the agent remembers
}

// Process is the running chmpx.
type Process struct {
	// Seen: chmpx can be looked at. Without it the other fields say how it was last.
	Seen        bool
	Running     bool
	PID         int
	StartedAt   time.Time
	Revision    int
	Clients     int
	ConfirmedAt time.Time // when it was first seen to run the file in place; zero: it does not
}

// Chmpx is how chmpx was found.
type Chmpx int

const (
	// ChmpxUnseen: it was not looked at, or there is nothing to look with.
	ChmpxUnseen Chmpx = iota
	// ChmpxRuns: it runs the file in place.
	ChmpxRuns
	// ChmpxWaits: it runs, and has yet to show the file in place.
	ChmpxWaits
	// ChmpxBehind: it runs and has not taken the file within its time.
	ChmpxBehind
	// ChmpxDown: it does not run.
	ChmpxDown
	// ChmpxHidden: the look at it failed.
	ChmpxHidden
)

// Problem is something that goes wrong. Its zero value is that nothing does.
type Problem struct {
	Kind  ProblemKind
	Since time.Time
	Why   string // a few words, on one line
}

// ProblemKind is a kind of trouble.
type ProblemKind int

const (
	// NoProblem: nothing goes wrong.
	NoProblem ProblemKind = iota
	// Unreachable: there is no answer of K2HR3.
	Unreachable
	// NoText: K2HR3 answers without the text.
	NoText
	// NoServer: the text lists no server node.
	NoServer
	// Refused: the text is not fit for chmpx.
	Refused
	// Contradiction: K2HR3 answers with one text and another in turn.
	Contradiction
	// Parked: the text is not fit for the chmpx that runs, and waits for another.
	Parked
	// Unwritable: the file cannot be replaced or put back.
	Unwritable
	// NoMember: the host may not be a member of the role.
	NoMember
)

// status sums up what the parts are like. What is as it was in the status shown
// before keeps the time since when it is so.
func (l *loop) status() Status {
	file := &l.output.file
	s := Status{
		Role:    l.Role,
		HasFile: file.good,
		Chmpx:   l.chmpxStatus(),
		Joining: !l.membership.checked,
		Holds:   l.poll.Holds(),
		Every:   l.poll.Every(l.scene()),
		Ring:    l.ring.differs != "",
		Job:     l.jobOp.busy,
	}
	if s.HasFile {
		s.Revision, s.Servers = file.config.FileVersion, len(file.config.Servers)
	}
	l.sumUp(&s)
	now := l.wall().Round(0)
	s.ChmpxSince = now
	if s.Chmpx == l.shown.Chmpx && s.Revision == l.shown.Revision {
		s.ChmpxSince = l.shown.ChmpxSince
	}
	s.Asking = since(l.poll.silence.err, silenceKind, l.shown.Asking, now)
	s.Applying = since(l.notApplying(), applyingKind, l.shown.Applying, now)
	s.Membership = since(l.membership.doubts.err, func(error) ProblemKind { return NoMember }, l.shown.Membership, now)
	l.health.see(time.Now(), l.signs(&s), s.HasFile)
	s.Health = l.health.Health
	return s
}

// sumUp adds what the parts know of K2HR3, the file and chmpx.
func (l *loop) sumUp(s *Status) {
	s.Talk = l.poll.talk(l.requestOp.busy)
	s.Known, s.CheckedAt, s.MemberSince = l.membership.known, l.membership.checkedAt, l.membership.since
	file := l.output.file
	s.File.SHA256 = file.sum
	if file.config != nil {
		s.File.Slaves = len(file.config.Slaves)
		s.File.ReplacedAt = l.history.replacedAt(file.config.FileVersion)
	}
	s.Changes = l.history.changes
	s.Process = l.probe.process()
	if l.confirmation.done {
		s.Process.ConfirmedAt = l.confirmation.doneAt
	}
	l.nodes.see(file.config, l.probe.last, &l.healing)
	s.Nodes = l.nodes.list
}

// signs returns all that is wrong at the moment.
func (l *loop) signs(s *Status) []sign {
	signs := l.signsOfK2HR3()
	if !s.HasFile {
		signs = append(signs, sign{code: NoFile, message: "there is no slave.ini that chmpx could use yet"})
	}
	signs = append(signs, l.signsOfChmpx(s.Chmpx)...)
	running := l.probe.last
	if l.probe.found != foundRunning {
		running = nil
	}
	signs = append(signs, l.certs.signs(running)...)
	return append(signs, l.inherited(time.Now(), signs)...)
}

// settles is how long what was wrong with chmpx before this watcher stays so: some of that shows
// only after a while.
const settles = 10 * time.Second

// inherited returns what was wrong in the view of the watcher before, and what this one has not
// looked at yet.
func (l *loop) inherited(now time.Time, own []sign) (signs []sign) {
	if l.Before == nil {
		return nil
	}
	heard := !l.poll.heardAt.IsZero() || !l.poll.failedAt.IsZero()
	seen := l.Chmpx == nil || l.probe.found != neverProbed && now.Sub(l.began) >= settles
	for _, c := range l.Before.Conditions.Items() {
		looked := heard
		switch c.Code {
		case NoFile, CertificateMissing:
			looked = true
		case ChmpxUnseeable, ChmpxNotRunning, RevisionUnconfirmed, RingDiffers, HalfConnected, CertificateChanged, ServerDown:
			looked = seen
		}
		if !looked && !slices.ContainsFunc(own, func(s sign) bool { return s.code == c.Code }) {
			signs = append(signs, sign{code: c.Code, message: c.Message, severity: c.Severity})
		}
	}
	return signs
}

func (l *loop) signsOfK2HR3() (signs []sign) {
	add := func(code Code, err error, message string) {
		if err != nil {
			signs = append(signs, sign{code: code, message: message + ": " + brief(err)})
		}
	}
	if err := l.poll.silence.err; silenceKind(err) == Unreachable {
		add(K2HR3Unreachable, err, "K2HR3 cannot be reached")
	} else {
		add(ResourceUnreadable, err, "K2HR3 gives no RESOURCE")
	}
	if err := l.membership.doubts.err; !errors.Is(err, k2hr3.ErrTransport) {
		add(NotMember, err, "the membership in the role is unconfirmed")
	}
	if err := l.output.refusal.err; err != nil {
		switch applyingKind(err) {
		case NoServer:
			signs = append(signs, sign{code: NoServerListed, message: "the RESOURCE lists no server node"})
		case Parked:
			add(RestartNeeded, err, "the RESOURCE waits for a restart of chmpx")
		case Unwritable:
			add(FileUnwritable, err, "slave.ini cannot be replaced")
		default:
			add(ResourceRefused, err, "the RESOURCE is not applied")
		}
	}
	if !slices.ContainsFunc(signs, func(s sign) bool { return s.code == FileUnwritable }) {
		add(FileUnwritable, cmp.Or(l.repair.failure.err, l.parking.danger.err), "slave.ini cannot be put in place")
	}
	add(ResourceContradictory, l.flips.wrong.err, "K2HR3 contradicts itself")
	return signs
}

func (l *loop) signsOfChmpx(found Chmpx) (signs []sign) {
	switch {
	case l.Chmpx == nil || l.probe.found == neverProbed:
	case l.probe.found == foundNoProgram:
		signs = append(signs, sign{code: ChmpxUnseeable, message: "chmpxstatus is not installed", severity: Info})
	case l.probe.found.blind():
		signs = append(signs, sign{code: ChmpxUnseeable, message: "chmpxstatus cannot be run: " + brief(l.probe.err)})
	case found == ChmpxHidden:
		signs = append(signs, sign{code: ChmpxUnseeable, message: "cannot look at chmpx: " + brief(l.probe.err)})
	case found == ChmpxDown:
		signs = append(signs, sign{code: ChmpxNotRunning, message: "chmpx is not running"})
	default:
		signs = l.signsOfRunning()
	}
	return signs
}

func (l *loop) signsOfRunning() (signs []sign) {
	file, runs := l.output.file.config, l.probe.last
	if file != nil && runs.Revision != file.FileVersion {
		message := fmt.Sprintf("chmpx runs revision %d and has not taken revision %d", runs.Revision, file.FileVersion)
		signs = append(signs, sign{code: RevisionUnconfirmed, message: message, lasts: max(l.Confirm, leastUnconfirmed)})
	}
	if l.ring.differs != "" {
		signs = append(signs, sign{code: RingDiffers, message: "chmpx has other servers than slave.ini: " + oneLine(l.ring.differs)})
	}
	if half, ok := l.healing.sign(!l.jobs.absent); ok {
		signs = append(signs, half)
	}
	if len(l.nodes.down) > 0 {
		down := sign{code: ServerDown, message: oneLine(l.nodes.downInWords())}
		if l.nodes.allDown() {
			down.severity = Error
			if !l.healing.met { // worse than half connected, so it counts no later
				down.lasts = halfFor
			}
		}
		signs = append(signs, down)
	}
	return signs
}

func (l *loop) chmpxStatus() Chmpx {
	switch {
	case l.Chmpx == nil || l.probe.found == neverProbed || l.probe.found.blind():
		return ChmpxUnseen
	case l.probe.found == foundDown:
		return ChmpxDown
	case l.probe.found == foundHidden:
		return ChmpxHidden
	case l.confirmation.done:
		return ChmpxRuns
	case l.confirmation.pending == nil && l.confirmation.tries > 0:
		return ChmpxBehind
	}
	return ChmpxWaits
}

// notApplying is what keeps a text from the file.
func (l *loop) notApplying() error {
	if err := l.repair.failure.err; err != nil {
		return err
	}
	return cmp.Or(l.parking.danger.err, l.output.refusal.err, l.flips.wrong.err)
}

// since makes a Problem of an error, with what was known of it before.
func since(err error, kind func(error) ProblemKind, before Problem, now time.Time) Problem {
	if err == nil {
		return Problem{}
	}
	t := Problem{Kind: kind(err), Since: now, Why: brief(err)}
	if t.Kind == before.Kind {
		t.Since = before.Since
	}
	return t
}

func silenceKind(err error) ProblemKind {
	if errors.Is(err, k2hr3.ErrTransport) {
		return Unreachable
	}
	return NoText
}

func applyingKind(err error) ProblemKind {
	refusal, refused := errors.AsType[*Refusal](err)
	switch {
	case errors.Is(err, errFlips):
		return Contradiction
	case !refused:
		return Unwritable
	case refusal.Report.Only(chmpx.RuleNoServer):
		return NoServer
	case refusal.Parked:
		return Parked
	}
	return Refused
}

// brief is what an operator needs first of an error; the log has the rest.
func brief(err error) string {
	var (
		refusal  *Refusal
		exchange *k2hr3.Error
		errno    syscall.Errno
		path     *fs.PathError
		name     *net.DNSError
	)
	switch {
	case errors.As(err, &refusal):
		return oneLine(refusal.Reason)
	case errors.Is(err, member.ErrNoToken):
		return member.ErrNoToken.Error()
	case errors.Is(err, member.ErrMissing):
		return member.ErrMissing.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &exchange):
		return oneLine(briefExchange(exchange))
	case errors.As(err, &name):
		return "name not found"
	case errors.As(err, &path) && errors.As(err, &errno):
		return errno.Error()
	}
	return oneLine(err.Error())
}

// briefExchange tells what became of an exchange with K2HR3.
func briefExchange(e *k2hr3.Error) string {
	var errno syscall.Errno
	var name *net.DNSError
	switch {
	case e.Status != 0:
		return fmt.Sprintf("status %d: %v", e.Status, e.Kind)
	case e.Timeout():
		return "no answer in time"
	case errors.As(e, &name):
		return "its name is not found"
	case errors.As(e, &errno):
		return errno.Error()
	case e.Err != nil:
		return e.Err.Error()
	}
	return e.Kind.Error()
}

// mostWords bounds a reason within a status line, in bytes.
const mostWords = 110

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= mostWords {
		return s
	}
	cut := s[:mostWords]
	if i := strings.LastIndexByte(cut, ' '); i > mostWords/2 {
		cut = cut[:i]
	}
	return strings.ToValidUTF8(cut, "") + " …"
}
