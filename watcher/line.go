package watcher

import (
	"fmt"
	"strings"
	"time"
)

// String says it in one short line for the operator: what is wrong, if anything
// is, then what is in place, and what is waited for.
func (s Snapshot) String() string {
	var parts []string
	add := func(part string) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	wrong := s.Asking.Kind != NoTrouble || s.Applying.Kind != NoTrouble
	add(s.text(s.Asking))
	add(s.text(s.Applying))
	add(s.file(wrong))
	if s.Asking.Kind != Unreachable {
		add(s.text(s.Standing))
	}
	if !wrong {
		add(s.waits())
	}
	return strings.Join(parts, "; ")
}

// text is what goes wrong, in words.
func (s Snapshot) text(t Trouble) string {
	since := " since " + at(t.Since)
	why := " (" + t.Why + ")"
	switch t.Kind {
	case Unreachable:
		return "K2HR3 cannot be reached" + since + why
	case NoText:
		return "K2HR3 gives no text" + since + why
	case NoServer:
		if !s.HasFile {
			return "waiting for the first server of " + s.role()
		}
		return "K2HR3 lists no server" + since
	case Refused:
		return "K2HR3's text is refused" + since + why
	case Unwritable:
		return "the file cannot be replaced" + since + why
	case NoMember:
		return "membership is not certain" + since + why
	}
	return ""
}

// file is what is in place. kept: it stays for want of a better one.
func (s Snapshot) file(kept bool) string {
	switch {
	case !s.HasFile && kept, !s.HasFile && s.Joining:
		return ""
	case !s.HasFile:
		return "no file yet"
	}
	file := fmt.Sprintf("revision %d with %d server", s.Revision, s.Servers)
	if s.Servers != 1 {
		file += "s"
	}
	if kept {
		file = fmt.Sprintf("revision %d stays", s.Revision)
	}
	switch s.Chmpx {
	case ChmpxRuns:
		return file + ", run by chmpx since " + at(s.ChmpxSince)
	case ChmpxWaits:
		return file + ", not yet run by chmpx"
	case ChmpxBehind:
		return file + ", not taken by chmpx, which needs a restart"
	case ChmpxDown:
		return file + "; chmpx does not run"
	case ChmpxHidden:
		return file + "; chmpx cannot be looked at"
	}
	return file
}

// waits is what the next change will come by.
func (s Snapshot) waits() string {
	switch {
	case !s.HasFile && s.Joining:
		return "registering"
	case !s.HasFile:
		return "asking K2HR3"
	case s.Ring:
		return "chmpx knows other servers, asking K2HR3"
	case s.Holds:
		return "K2HR3 holds the request"
	}
	return "K2HR3 is asked about every " + short(s.Every)
}

// role is the role's name within its tenant.
func (s Snapshot) role() string { return s.Role[strings.LastIndexByte(s.Role, ':')+1:] }

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
