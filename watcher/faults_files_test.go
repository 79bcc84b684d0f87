package watcher

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render"
)

// fileFaults are files that become something else, or another program's.
func fileFaults() []fault {
	// instead puts something in the file's place that the agent cannot replace.
	instead := func(name, wrong, says string, put func(path string) error) fault {
		return fault{name: name, wrong: wrong, does: "reads nothing of it and waits for nobody; says so; puts the file back once that is gone",
			strike: func(h *host) {
				h.edit(func(path string) error { return errors.Join(os.Remove(path), put(path)) })
			}, heal: func(h *host) { h.edit(os.Remove) },
			edit: true, late: true, sees: time.Second, writes: -1, within: 2 * time.Minute, asks: 45, says: []string{"cannot restore slave.ini", says}}
	}
	link := func(to string) func(path string) error {
		return func(path string) error { return os.Symlink(to, path) }
	}
	return []fault{
		instead("the file is a FIFO", "somebody puts a FIFO in the file's place", "is not a regular file", func(path string) error { return unix.Mkfifo(path, 0o644) }),
		instead("the file has no end", "somebody has the file lead to /dev/zero", "symbolic link", link("/dev/zero")),
		instead("the file is a link in a circle", "somebody has the file lead to itself", "symbolic link", link("slave.ini")),
		{name: "the file is a terabyte long", wrong: "somebody makes the file as large as can be", does: "reads none of it; puts the last good one back at once, under the next revision",
			strike: func(h *host) { h.edit(func(path string) error { return os.Truncate(path, 1<<40) }) },
			edit:   true, sees: 5 * time.Second, writes: 2, asks: 60, says: []string{"restoring the last good one", "more than"}, once: true},
		{name: "the file gets an ACL", wrong: "the operator lets one more user read the file, by an ACL", does: "gives each new file the same ACL",
			before: func(h *host) { tryACL(h) }, strike: func(h *host) { setACL(h.t, h.config.File.Path) },
			sees: 5 * time.Second, asks: 60, hush: true, also: func(h *host) {
				if got := acl(h.config.File.Path); got != someACL {
					h.t.Errorf("the ACL is %x, want %x", got, someACL)
				}
			}},
		{name: "the lock file is deleted", wrong: "somebody deletes the lock file", does: "makes it anew, and holds it",
			strike: func(h *host) { h.removeLock() }, sees: 5 * time.Second, asks: 60, hush: true, also: func(h *host) {
				if l, err := h.config.File.Lock(); !errors.Is(err, render.ErrLocked) {
					l.Unlock()
					h.t.Errorf("another agent gets the file: %v", err)
				}
			}},
		anotherAgent(),
		{name: "the file is the agent's configuration", wrong: "somebody makes the file another name of the agent's configuration", does: "replaces neither; says so; puts the file back once that is gone",
			before: func(h *host) {
				h.config.File.Taken = []render.Taken{{What: "the configuration", Path: filepath.Join(h.dir, "state", "agent.ini")}}
			}, strike: func(h *host) {
				config := h.config.File.Taken[0].Path
				h.edit(func(path string) error {
					return errors.Join(os.Rename(path, config), edits["edited"](config), os.Link(config, path))
				})
			}, heal: func(h *host) {
				if err := os.Remove(h.config.File.Taken[0].Path); err != nil {
					h.t.Error(err)
				}
				h.edit(os.Remove)
			},
			edit: true, late: true, sees: time.Second, writes: -1, within: 2 * time.Minute, asks: 45, says: []string{"cannot restore slave.ini", "the configuration"}},
		{name: "the file may not be replaced", wrong: "somebody has made the file immutable (chattr +i)", does: "keeps the file; says how to allow it",
			strike: func(h *host) { h.chattr(true) }, heal: func(h *host) { h.chattr(false) },
			asks: 120, says: []string{"cannot replace slave.ini", "chattr -i"}, tries: true},
		{name: "chmpx could not read a new file", wrong: "somebody takes the right to read the file away from chmpx's user (chmod 600)", does: "keeps the file, on which chmpx goes on; says whom it is about and what helps; replaces it as soon as chmpx could read it",
			before: (*host).asNobody, strike: func(h *host) { h.chmod(h.config.File.Path, 0o600) },
			heal: func(h *host) { h.edit(func(path string) error { return os.Chmod(path, 0o644) }) },
			asks: 120, says: []string{"cannot replace slave.ini", "chmpx (uid 65534", "mode 0600"}, tries: true},
		{name: "chmpx could not read a file of this mode", wrong: "the operator sets a mode that keeps chmpx's user from the file (mode = 0600)", does: "keeps the file; says what helps",
			before: (*host).asNobody, strike: func(h *host) { h.modeOfConfiguration(0o600) }, heal: func(h *host) { h.modeOfConfiguration(0o644) },
			asks: 120, says: []string{"cannot replace slave.ini", "correct mode, owner or group in the agent's configuration"}, tries: true},
		{name: "chmpx could not enter the folder", wrong: "somebody takes the right to enter the folder away from chmpx's user (chmod 700)", does: "keeps the file, which chmpx could not find; says which folder; replaces it at the next look at chmpx",
			before: (*host).asNobody, strike: func(h *host) { h.chmod(h.dir, 0o700) }, heal: func(h *host) { h.chmod(h.dir, 0o755) },
			asks: 120, says: []string{"cannot replace slave.ini", "cannot enter", "chmod that folder"}, tries: true},
		{name: "the kernel does not tell of files", wrong: "there is no inotify instance left (fs.inotify.max_user_instances)", does: "looks at its files every two seconds; asks the kernel again every minute",
			run: unnotified, sees: 2 * time.Second, asks: 1, says: []string{"the kernel does not notify the agent", "every 2 s"}, once: true},
		stateInstead("the state is a FIFO", func(path string) error { return unix.Mkfifo(path, 0o600) }),
		stateInstead("the state has no end", link("/dev/zero")),
		stateInstead("the state is a terabyte long", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
		}),
	}
}

// anotherAgent is one that another one takes the file from.
func anotherAgent() fault {
	var other *render.Lock
	return fault{name: "another agent takes the file", wrong: "somebody deletes the lock file and starts another agent on the same file",
		does: "replaces nothing as long as the other one runs, says so, and takes the file up again after that",
		strike: func(h *host) {
			h.removeLock()
			var err error
			if other, err = h.config.File.Lock(); err != nil {
				h.t.Fatal(err)
			}
		}, heal: func(h *host) { other.Unlock() }, asks: 120, says: []string{"cannot keep slave.ini right", "another agent keeps this file"}, tries: true}
}

func (h *host) removeLock() {
	noError(h.t, os.Remove(filepath.Join(filepath.Dir(h.config.File.Path), ".slave.lock")))
}

// stateInstead is an agent that finds something else than a file as its state.
func stateInstead(name string, put func(path string) error) fault {
	return fault{name: name, wrong: "the agent starts, and finds that", does: "starts without it and waits for nobody: asks for the whole text once, and writes nothing that has not changed",
		strike: func(h *host) {
			h.stop()
			noError(h.t, errors.Join(os.Remove(h.config.StateFile), put(h.config.StateFile)))
			h.start()
		}, sees: 5 * time.Second, asks: 60, also: (*host).asksOnceForAll, says: []string{"cannot use the saved state"}, once: true}
}

// modeOfConfiguration gives the agent a configuration with a mode.
func (h *host) modeOfConfiguration(mode fs.FileMode) {
	h.stop()
	h.config.File.Mode = &mode
	h.start()
}

// chattr makes the file immutable, or lets it be replaced again.
func (h *host) chattr(immutable bool) {
	const flag = 0x10 // FS_IMMUTABLE_FL
	f, err := os.Open(h.config.File.Path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		flags &^= flag
		if immutable {
			flags |= flag
		}
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	if err != nil {
		h.t.Skipf("may not make a file immutable here: %v", err)
	}
	if immutable {
		h.t.Cleanup(func() { h.chattr(false) })
	}
}

// unnotified holds a FileWatch without inotify to its row.
func unnotified(t *testing.T, f fault) {
	file := filepath.Join(t.TempDir(), "file")
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		touched := blind().Files(t.Context(), slog.New(log), file)
		write(t, file)
		start := time.Now()
		if path := <-touched; path != file || time.Since(start) > f.sees {
			t.Errorf("%s changed, heard of after %v", path, time.Since(start))
		}
		time.Sleep(faultLasts)
		log.want(t, 1, f.says...)
	})
}

// someACL is one that names user 65534: user::rw-, user:65534:r--, group::---, mask::r--,
// other::r--.
const someACL = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xfe\xff\x00\x00" +
	"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"

const aclAttr = "system.posix_acl_access"

func acl(path string) string {
	b := make([]byte, 1024)
	n, err := unix.Getxattr(path, aclAttr, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func setACL(t interface{ Error(...any) }, path string) {
	if err := unix.Setxattr(path, aclAttr, []byte(someACL), 0); err != nil {
		t.Error(err)
	}
}

// tryACL skips a row where files can have no ACL.
func tryACL(h *host) {
	path := filepath.Join(h.dir, "state", "acl")
	err := errors.Join(os.WriteFile(path, nil, 0o600), unix.Setxattr(path, aclAttr, []byte(someACL), 0), os.Remove(path))
	if errors.Is(err, syscall.ENOTSUP) {
		h.t.Skip("files have no ACL here")
	}
}
