package service

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// supervise makes the agent believe that systemd has started it, or not.
func supervise(t *testing.T, is bool) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("INVOCATION_ID", "")
	if is {
		t.Setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
	}
}

// disk says what access(2) says of folders; one that is not in it is not there. They are old.
type disk map[string]error

func (d disk) age(string) time.Duration { return time.Hour }

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

// made is a disk whose folders were made some time ago.
type made struct {
	disk
	ago time.Duration
}

func (m made) age(string) time.Duration { return m.ago }

const memory = "/var/lib/antpickax"

var dirs = []string{"/etc/antpickax", memory, "/srv/k2hdkc"}

// Between systemd's settling where the agent may write and the agent's first
// look there is a moment, in which another package may be installed.
func TestAFolderThatCameJustBeforeTheFirstLookNeedsAnotherStart(t *testing.T) {
	supervise(t, true)
	now := disk{"/etc/antpickax": nil, memory: unix.EROFS, "/srv/k2hdkc": nil}
	for ago, want := range map[time.Duration]error{10 * time.Millisecond: ErrRestart, 5 * time.Second: nil, time.Hour: nil} {
		f := newFolders(made{now, ago}, dirs)
		defer f.Stop()
		if err := f.Check(slog.New(slog.DiscardHandler)); !errors.Is(err, want) {
			t.Errorf("made %v ago: %v, want %v", ago, err, want)
		}
	}
	if d := (kernel{}).age("/nowhere"); d < young {
		t.Errorf("a folder that is not there is %v old", d)
	}
}

func TestAFolderThatCameLateAndIsReadOnlyNeedsAnotherStart(t *testing.T) {
	supervise(t, true)
	for dir, why := range map[string]string{
		"/etc/antpickax": "K2HR3's script makes it", memory: "chmpx's package makes it", "/srv/k2hdkc": "the operator makes it",
	} {
		d := disk{"/etc/antpickax": nil, memory: nil, "/srv/k2hdkc": nil}
		delete(d, dir)
		f := newFolders(d, dirs)
		defer f.Stop()
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		if err := f.Check(log); err != nil || said.Len() != 0 {
			t.Errorf("%s: %v before it has come: %s", dir, err, said.String())
		}
		if f.Tick() == nil {
			t.Errorf("%s is not looked for", dir)
		}
		d[dir] = unix.EROFS
		if err := f.Check(log); !errors.Is(err, ErrRestart) {
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
			supervise(t, c.service)
			now := maps.Clone(c.before)
			f := newFolders(now, dirs)
			defer f.Stop()
			maps.Copy(now, c.after)
			if err := f.Check(slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
			if f.Tick() != nil {
				t.Errorf("still looking for %v", f.missing)
			}
		})
	}
}
