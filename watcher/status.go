package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// Status is what the watcher has done and what it waits for. Two of them can
// be compared by ==. Nothing in it is secret.
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
		Holds:   l.poll.holds,
		Every:   l.poll.every(l.scene()),
		Ring:    l.ring.differs != "",
		Job:     l.jobOp.busy,
	}
	if s.HasFile {
		s.Revision, s.Servers = file.config.FileVersion, len(file.config.Servers)
	}
	now := l.wall().Round(0)
	s.ChmpxSince = now
	if s.Chmpx == l.shown.Chmpx && s.Revision == l.shown.Revision {
		s.ChmpxSince = l.shown.ChmpxSince
	}
	s.Asking = since(l.poll.silence.err, silenceKind, l.shown.Asking, now)
	s.Applying = since(l.notApplying(), applyingKind, l.shown.Applying, now)
	s.Membership = since(l.membership.doubts.err, func(error) ProblemKind { return NoMember }, l.shown.Membership, now)
	return s
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
	var refusal *Refusal
	switch {
	case errors.Is(err, errFlips):
		return Contradiction
	case !errors.As(err, &refusal):
		return Unwritable
	case onlyNoServer(refusal.Report):
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
