package watcher

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// shownAlone are the conditions that nothing else in the line tells.
var shownAlone = []Code{HalfConnected, CertificateMissing, CertificateChanged, ServerDown}

// String says it in one short line for the operator: what is wrong, if anything
// is, then what is in place, and what is waited for.
func (s Status) String() string {
	var parts []string
	add := func(part string) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	wrong := s.Asking.Kind != NoProblem || s.Applying.Kind != NoProblem
	add(s.text(s.Asking))
	add(s.text(s.Applying))
	add(s.file(wrong))
	if s.Asking.Kind != Unreachable {
		add(s.text(s.Membership))
	}
	for _, c := range s.Health.Conditions.Items() {
		if c.Active && slices.Contains(shownAlone, c.Code) {
			add(c.Message)
		}
	}
	switch {
	case s.Job:
		add("waiting for systemd's job of chmpx's unit")
	case !wrong:
		add(s.waits())
	}
	return strings.Join(parts, "; ")
}

// text is what goes wrong, in words.
func (s Status) text(t Problem) string {
	since := " since " + at(t.Since)
	why := " (" + t.Why + ")"
	switch t.Kind {
	case Unreachable:
		return "K2HR3 cannot be reached" + since + why
	case NoText:
		return "K2HR3 gives no RESOURCE" + since + why
	case NoServer:
		if !s.HasFile {
			return "waiting for the first server of " + s.role()
		}
		return "K2HR3 lists no server" + since
	case Refused:
		return "RESOURCE refused" + since + why
	case Contradiction:
		return "K2HR3 contradicts itself since " + at(t.Since) + why
	case Parked:
		return "RESOURCE waits for a restart of chmpx since " + at(t.Since) + why
	case Unwritable:
		return "cannot replace slave.ini" + since + why
	case NoMember:
		return "membership unconfirmed" + since + why
	}
	return ""
}

// file is what is in place. kept: it stays for want of a better one.
func (s Status) file(kept bool) string {
	switch {
	case !s.HasFile && kept, !s.HasFile && s.Joining:
		return ""
	case !s.HasFile:
		return "no slave.ini yet"
	}
	file := fmt.Sprintf("revision %d with %d server", s.Revision, s.Servers)
	if s.Servers != 1 {
		file += "s"
	}
	if kept {
		file = fmt.Sprintf("keeping revision %d", s.Revision)
	}
	switch s.Chmpx {
	case ChmpxRuns:
		return file + ", run by chmpx since " + at(s.ChmpxSince)
	case ChmpxWaits:
		return file + ", not loaded by chmpx yet"
	case ChmpxBehind:
		return file + ", not loaded by chmpx: restart chmpx"
	case ChmpxDown:
		return file + "; chmpx is not running"
	case ChmpxHidden:
		return file + "; cannot probe chmpx"
	}
	return file
}

// waits is what the next change will come by.
func (s Status) waits() string {
	switch {
	case !s.HasFile && s.Joining:
		return "registering"
	case !s.HasFile:
		return "asking K2HR3"
	case s.Ring:
		return "chmpx has other servers, asking K2HR3"
	case s.Holds:
		return "K2HR3 holds the request"
	}
	return "asking K2HR3 about every " + short(s.Every)
}

// role is the role's name within its tenant.
func (s Status) role() string { return s.Role[strings.LastIndexByte(s.Role, ':')+1:] }

// at writes a time so that it can be understood years later.
func at(t time.Time) string { return t.Format(time.DateTime) }

// short writes 5m0s as 5m.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
