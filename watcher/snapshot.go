package watcher

import (
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

// Snapshot is what the watcher has done and what it waits for. Two of them can
// be compared by ==. Nothing in it is secret.
type Snapshot struct {
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
	// Ring: chmpx knows other servers than the file, and K2HR3 is asked for
	// them.
	Ring bool
	// What goes wrong, as far as anything does: no text from K2HR3, a text
	// that is not put in place, a membership that is not certain.
	Asking, Applying, Standing Trouble
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

// Trouble is something that goes wrong. Its zero value is that nothing does.
type Trouble struct {
	Kind  TroubleKind
	Since time.Time
	Why   string // a few words, on one line
}

// TroubleKind is a kind of trouble.
type TroubleKind int

const (
	NoTrouble TroubleKind = iota
	// Unreachable: there is no answer of K2HR3.
	Unreachable
	// NoText: K2HR3 answers without the text.
	NoText
	// NoServer: the text lists no server node.
	NoServer
	// Refused: the text is not fit for chmpx.
	Refused
	// Unwritable: the file cannot be replaced or put back.
	Unwritable
	// NoMember: the host may not be a member of the role.
	NoMember
)

// show calls Changed if there is something to tell.
func (w *Watcher) show() {
	if w.Changed == nil {
		return
	}
	s := w.snapshot()
	if s == w.shown {
		return
	}
	w.shown = s
	w.Changed(s)
}

// snapshot sums up. What is as it was keeps the time since when it is so.
func (w *Watcher) snapshot() Snapshot {
	s := Snapshot{
		Role:    w.Member.Role.String(),
		HasFile: w.current.good,
		Chmpx:   w.chmpx(),
		Joining: !w.standing.first,
		Holds:   w.asking.holds,
		Every:   w.every(),
		Ring:    w.looking.ring != nil,
	}
	if s.HasFile {
		s.Revision, s.Servers = w.current.config.FileVersion, len(w.current.config.Servers)
	}
	now := w.wall().Round(0)
	s.ChmpxSince = now
	if s.Chmpx == w.shown.Chmpx && s.Revision == w.shown.Revision {
		s.ChmpxSince = w.shown.ChmpxSince
	}
	s.Asking = trouble(w.asking.silence.err, silenceKind, w.shown.Asking, now)
	s.Applying = trouble(w.applying(), applyingKind, w.shown.Applying, now)
	s.Standing = trouble(w.standing.nag.err, func(error) TroubleKind { return NoMember }, w.shown.Standing, now)
	return s
}

// every is about the pause between two requests, as long as nothing happens.
func (w *Watcher) every() time.Duration {
	if w.looking.calm() {
		return stretch * w.Interval
	}
	return w.Interval
}

func (w *Watcher) chmpx() Chmpx {
	l := &w.looking
	switch {
	case w.Chmpx == nil || l.told == "" || l.missing:
		return ChmpxUnseen
	case l.absent:
		return ChmpxDown
	case !l.seen:
		return ChmpxHidden
	case l.confirmed:
		return ChmpxRuns
	case l.confirm == nil && l.tries > 0:
		return ChmpxBehind
	}
	return ChmpxWaits
}

// applying is what keeps a text from the file.
func (w *Watcher) applying() error {
	if err := w.drift.failure.err; err != nil {
		return err
	}
	return w.asking.refusal.err
}

// trouble makes one of an error, with what was known of it before.
func trouble(err error, kind func(error) TroubleKind, before Trouble, now time.Time) Trouble {
	if err == nil {
		return Trouble{}
	}
	t := Trouble{Kind: kind(err), Since: now, Why: brief(err)}
	if t.Kind == before.Kind {
		t.Since = before.Since
	}
	return t
}

func silenceKind(err error) TroubleKind {
	if errors.Is(err, k2hr3.ErrTransport) {
		return Unreachable
	}
	return NoText
}

func applyingKind(err error) TroubleKind {
	var refusal *Refusal
	switch {
	case !errors.As(err, &refusal):
		return Unwritable
	case onlyNoServer(refusal.Report):
		return NoServer
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
