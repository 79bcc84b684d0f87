package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// ErrLocked says that another agent, or some other program, holds the lock of the file.
var ErrLocked = errors.New("another agent keeps this file")

// otherProcess is ErrLocked of a process that is not known to be an agent.
type otherProcess struct{}

func (otherProcess) Error() string        { return "another process keeps this file" }
func (otherProcess) Is(target error) bool { return target == ErrLocked }

// Lock is the right to replace the file. It ends with Unlock or with the
// process.
type Lock struct {
	file File
	f    *os.File
}

// Lock claims the file for this process, by a lock file beside it: two agents that can replace the
// same file, also from two containers that share the directory, meet there. It fails with
// [ErrLocked] rather than wait for the other one to exit.
//
// Whoever deletes the lock file ends the claim, and another agent may take it up. So a replacement
// begins with [Lock.Hold], and whoever keeps the file for long calls that when something happens to
// [File.LockPath].
func (f File) Lock() (*Lock, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	l := &Lock{file: f}
	if err := l.take(childLimit); err != nil {
		return nil, err
	}
	return l, nil
}

// Hold returns nil if the file is this process's. If somebody has deleted or replaced the lock
// file, Hold claims the file once more, and fails with [ErrLocked] if another agent has come first.
func (l *Lock) Hold() error {
	if l.inPlace(l.f) {
		return nil
	}
	return l.take(0)
}

// LockPath returns the path of the lock file.
func (f File) LockPath() string { return f.aside("lock") }

// inPlace tells whether an open file is the one that others find as the lock file.
func (l *Lock) inPlace(f *os.File) bool {
	mine, errMine := f.Stat()
	now, errNow := os.Lstat(l.file.LockPath())
	return errMine == nil && errNow == nil && os.SameFile(mine, now)
}

// maxTakes bounds how often a lock file may go away while it is being locked.
const maxTakes = 100

// take locks the lock file, and is not done before that is the one which others find.
func (l *Lock) take(limit time.Duration) error {
	for range maxTakes {
		f, err := regularfile.OpenOrMake(l.file.LockPath(), 0o600)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			if err := l.file.Check(); err != nil {
				return err
			}
			continue // its directory has come back
		}
		if err != nil {
			return fmt.Errorf("cannot lock %s: %w", l.file.Path, l.file.explain(err))
		}
		err = claim(f, limit)
		if err == nil && l.inPlace(f) {
			l.Unlock()
			l.f = f
			l.sign()
			return nil
		}
		which, locked := holder(f)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%s: %w: %s holds %s; stop that one first, or give this one another output", l.file.Path, locked, which, l.file.LockPath())
		}
		if err != nil {
			return fmt.Errorf("cannot lock %s: %w", l.file.LockPath(), err)
		}
	}
	return fmt.Errorf("cannot lock %s: another program deletes %s again and again", l.file.Path, l.file.LockPath())
}

// sign writes this process's number, which is for the other one's message only.
func (l *Lock) sign() {
	if err := l.f.Truncate(0); err == nil {
		fmt.Fprintln(l.f, os.Getpid())
	}
}

// An agent that was killed may leave the lock to a child for a moment: one that was forked, and
// has yet to close its descriptors by becoming the program it is to run. The next agent must not
// take that child for another agent.
const (
	childLimit = time.Second
	childPause = 20 * time.Millisecond
)

func claim(l *os.File, limit time.Duration) error {
	for waited := time.Duration(0); ; waited += childPause {
		err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || waited >= limit {
			return err
		}
		time.Sleep(childPause)
	}
}

// Unlock releases the file. The lock file stays: removing it would race with the next one to lock
// it.
func (l *Lock) Unlock() {
	if l.f == nil {
		return
	}
	// Not by closing alone, for the reason that claim waits.
	syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN)
	l.f.Close()
	l.f = nil
}

// holder tells what holds the lock, and whether that is an agent: one has signed the file. Anybody
// else who may read the file can lock it, too, and then the number in it is that of an agent of
// long ago.
func holder(l *os.File) (which string, kind error) {
	// Of a list that changes while it is read, the kernel may leave out what does not change.
	for range maxLooks {
		if which, kind = shown(l); which != "" {
			return which, kind
		}
	}
	return "one that this host's /proc/locks does not show, maybe of another container,", otherProcess{}
}

// maxLooks is how often the kernel's list of locks is looked at.
const maxLooks = 10

// shown is what holder returns if the kernel shows the lock.
func shown(l *os.File) (which string, kind error) {
	info, err := l.Stat()
	if err != nil {
		return "", nil
	}
	st := info.Sys().(*syscall.Stat_t)
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	locks, _ := regularfile.Read("/proc/locks", regularfile.Small)
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK  ADVISORY  WRITE 812 fe:00:10010723 0 EOF; what only waits has -> for FLOCK.
		w := strings.Fields(line)
		if len(w) < 6 || w[1] != "FLOCK" || w[5] != file {
			continue
		}
		kind = otherProcess{}
		b := make([]byte, 16)
		if n, _ := l.ReadAt(b, 0); strings.TrimSpace(string(b[:n])) == w[4] {
			kind = ErrLocked
		}
		name, err := regularfile.Read("/proc/"+w[4]+"/comm", regularfile.Small)
		if err != nil { // as after exec 9<FILE; flock 9 in a shell
			return fmt.Sprintf("one that has it from process %s, which has ended,", w[4]), otherProcess{}
		}
		return fmt.Sprintf("process %s (%q)", w[4], strings.TrimSpace(string(name))), kind
	}
	return "", nil
}
