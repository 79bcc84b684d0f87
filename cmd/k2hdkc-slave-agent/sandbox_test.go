package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/cmd/options"
)

// service lets the agent believe that systemd has started it, or not.
func service(t *testing.T, is bool) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("INVOCATION_ID", "")
	if is {
		t.Setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
	}
}

// disk says what access(2) says of folders; one that is not in it is not there.
type disk map[string]error

func (d disk) access(path string, mode uint32) error {
	err, there := d[path]
	switch {
	case !there:
		return unix.ENOENT
	case mode == unix.F_OK:
		return nil
	}
	return err
}

var folders = &options.Options{AntpickaxDir: "/etc/antpickax", Output: "/srv/k2hdkc/slave.ini"}

const memory = "/var/lib/antpickax"

func old(string) time.Duration { return time.Hour }

// Between systemd's settling where the agent may write and the agent's first
// look there is a moment, in which another package may be installed.
func TestAFolderThatCameJustBeforeTheFirstLookNeedsAnotherStart(t *testing.T) {
	service(t, true)
	now := disk{"/etc/antpickax": nil, memory: unix.EROFS, "/srv/k2hdkc": nil}
	for made, want := range map[time.Duration]error{10 * time.Millisecond: errSaid, 5 * time.Second: nil, time.Hour: nil} {
		l := newLateFolders(folders, now.access, func(string) time.Duration { return made })
		defer l.stop()
		if err := l.check(slog.New(slog.DiscardHandler)); !errors.Is(err, want) {
			t.Errorf("made %v ago: %v, want %v", made, err, want)
		}
	}
	if d := age("/nowhere"); d < young {
		t.Errorf("a folder that is not there is %v old", d)
	}
}

func TestAFolderThatCameLateAndIsReadOnlyNeedsAnotherStart(t *testing.T) {
	service(t, true)
	for dir, why := range map[string]string{
		"/etc/antpickax": "K2HR3's script makes it", memory: "chmpx's package makes it", "/srv/k2hdkc": "the operator makes it",
	} {
		d := disk{"/etc/antpickax": nil, memory: nil, "/srv/k2hdkc": nil}
		delete(d, dir)
		l := newLateFolders(folders, d.access, old)
		defer l.stop()
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		if err := l.check(log); err != nil || said.Len() != 0 {
			t.Errorf("%s: %v before it has come: %s", dir, err, said.String())
		}
		if l.look() == nil {
			t.Errorf("%s is not looked for", dir)
		}
		d[dir] = unix.EROFS
		if err := l.check(log); !errors.Is(err, errSaid) {
			t.Errorf("%s (%s): %v, want the agent to end", dir, why, err)
		}
		if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "folder="+dir) {
			t.Errorf("the log does not say why: %s", said.String())
		}
	}
}

// Another start would change nothing of these, so that it would come again and
// again.
func TestNoOtherStartForFoldersThatItWouldNotChange(t *testing.T) {
	for name, c := range map[string]struct {
		service       bool
		before, after disk
	}{
		"all of them are there": {true, disk{"/etc/antpickax": nil, memory: nil, "/srv/k2hdkc": nil}, nil},
		"read-only from the start": {true, disk{"/etc/antpickax": unix.EROFS, memory: unix.EROFS, "/srv/k2hdkc": unix.EROFS},
			disk{"/etc/antpickax": unix.EROFS, memory: unix.EROFS, "/srv/k2hdkc": unix.EROFS}},
		"come late and can be written in":       {true, disk{}, disk{"/etc/antpickax": nil, memory: nil, "/srv/k2hdkc": nil}},
		"come late and belong to somebody else": {true, disk{}, disk{"/etc/antpickax": unix.EACCES, memory: unix.EACCES, "/srv/k2hdkc": unix.EPERM}},
		"not started by systemd":                {false, disk{}, disk{"/etc/antpickax": unix.EROFS, memory: unix.EROFS, "/srv/k2hdkc": unix.EROFS}},
	} {
		t.Run(name, func(t *testing.T) {
			service(t, c.service)
			now := c.before
			l := newLateFolders(folders, func(path string, mode uint32) error { return now.access(path, mode) }, old)
			defer l.stop()
			if c.after != nil {
				now = c.after
			}
			if err := l.check(slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
			if l.look() != nil {
				t.Errorf("still looking for %v", l.missing)
			}
		})
	}
}

func TestErrorsOfWritingTellOfTheUnit(t *testing.T) {
	const hint = "systemctl daemon-reload && systemctl restart k2hdkc-slave-agent"
	for _, c := range []struct {
		err     error
		service bool
		want    bool
	}{
		{&os.PathError{Op: "chown", Path: "/etc/k2hdkc/.slave.next.ini", Err: syscall.EPERM}, true, true},
		{&os.PathError{Op: "chown", Path: "/etc/k2hdkc/.slave.next.ini", Err: syscall.EINVAL}, true, true},
		{&os.PathError{Op: "open", Path: "/srv/.slave.next.ini", Err: syscall.EROFS}, true, true},
		{&os.PathError{Op: "mkdir", Path: "/srv/state", Err: syscall.EACCES}, true, true},
		{&os.PathError{Op: "open", Path: "/srv/.slave.next.ini", Err: syscall.ENOSPC}, true, false},
		{errors.New("the RESOURCE is not put in place"), true, false},
		{&os.PathError{Op: "open", Path: "/srv/.slave.next.ini", Err: syscall.EROFS}, false, false},
	} {
		service(t, c.service)
		got := explainRights(fmt.Errorf("cannot write: %w", c.err))
		if strings.Contains(got.Error(), hint) != c.want || !errors.Is(got, c.err) {
			t.Errorf("under systemd: %v: %v", c.service, got)
		}
	}
	if err := explainRights(nil); err != nil {
		t.Error(err)
	}
}
