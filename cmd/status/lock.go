package status

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// LockName is the lock file's name within the run-dir.
const LockName = "status.lock"

// AliveEvery is how often the daemon gives its sign of life where no service manager says how often
// it wants one.
const AliveEvery = 30 * time.Second

// ErrHeld says that another agent uses the run-dir.
var ErrHeld = errors.New("another agent uses this run-dir")

// Lock says that this process is the agent whose status is in the run-dir. It ends with Release or
// with the process, however that ends.
type Lock struct {
	path string
	f    *os.File
}

// Hold claims the run-dir for this process. It fails with [ErrHeld] rather than wait for another
// agent to exit.
func Hold(dir string) (*Lock, error) {
	l := &Lock{path: filepath.Join(dir, LockName)}
	if err := l.take(childLimit); err != nil {
		return nil, err
	}
	return l, nil
}

// Keep returns nil if the run-dir is this process's. If somebody has deleted the lock file, Keep
// claims the run-dir once more, and fails with [ErrHeld] if another agent has come first. A Write
// begins with it.
func (l *Lock) Keep() error {
	if l.inPlace(l.f) {
		return nil
	}
	return l.take(0)
}

// Alive is Keep with the daemon's sign of life: the lock file's time of modification.
func (l *Lock) Alive() error {
	if err := l.Keep(); err != nil {
		return err
	}
	return l.touch()
}

// touch sets the time, and writes this process's number, which is for people: a disk that is full
// may have no room for it.
func (l *Lock) touch() error {
	_, _ = l.f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, l.path, now, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "set the time of", Path: l.path, Err: err}
	}
	return nil
}

// Tell tells whoever looks whether status.json is as it should be: err is why it cannot be written.
// How much of the lock file is locked says it: all of it, or as many bytes as the error's number.
// That takes nothing of a disk, which may be full or read-only. What fails here fails in Keep
// again.
func (l *Lock) Tell(err error) {
	if l.f == nil {
		return
	}
	if err == nil {
		if fcntl(l.f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}) != nil {
			l.unlock() // somebody has locked the rest for reading, which take knows to deal with
			_ = l.take(0)
		}
		return
	}
	number, ok := errors.AsType[unix.Errno](err)
	if !ok {
		number = unix.EIO
	}
	_ = fcntl(l.f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: int64(number)})
	_ = fcntl(l.f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Start: int64(number)})
}

// Release gives the last sign of life and ends the claim. The file stays: removing it would race
// with the next agent to lock it.
func (l *Lock) Release() {
	if l.f == nil {
		return
	}
	if l.inPlace(l.f) {
		_ = l.touch() // it says when the agent ended, for whoever wants to know
	}
	l.unlock()
}

// unlock does not trust in closing: a child between its fork and its exec has a copy of the
// descriptor, which would keep the lock.
func (l *Lock) unlock() {
	if l.f == nil {
		return
	}
	_ = fcntl(l.f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK})
	l.f.Close()
	l.f = nil
}

const (
	// childLimit is how long a child of an agent that was killed may keep its lock: one that was
	// forked and has yet to close its descriptors by becoming the program it is to run.
	childLimit = time.Second
	childPause = 20 * time.Millisecond

	// maxTakes bounds how often a lock file may go away while it is being locked.
	maxTakes = 100
)

// take locks the lock file, and is not done before that is the one which others find.
func (l *Lock) take(limit time.Duration) error {
	for range maxTakes {
		f, err := regularfile.OpenOrMake(l.path, 0o644)
		if err != nil {
			return err
		}
		err = claim(f, limit)
		if err == nil && l.inPlace(f) {
			l.unlock()
			l.f = f
			return errors.Join(f.Chmod(0o644), f.Truncate(0), l.touch())
		}
		held, _, _ := isHeld(f)
		f.Close()
		switch {
		case err == nil: // it was replaced meanwhile
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES):
			return &fs.PathError{Op: "lock", Path: l.path, Err: err}
		case held:
			return fmt.Errorf("%s: %w; stop that one first, or give this one another run-dir", filepath.Dir(l.path), ErrHeld)
		default:
			// Whoever may read the file can lock it for reading, which is in an agent's way and
			// is no agent.
			if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return fmt.Errorf("cannot lock %s: another program deletes or locks it again and again", l.path)
}

// claim takes the lock for writing, which no two processes can have.
func claim(f *os.File, limit time.Duration) error {
	for waited := time.Duration(0); ; waited += childPause {
		err := fcntl(f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) || waited >= limit {
			return err
		}
		time.Sleep(childPause)
	}
}

// isHeld tells whether an agent holds the lock, and why it cannot write status.json, 0 if it can.
// It takes no lock: it asks what would be in the way of one for reading, which is an agent's alone,
// and needs no right but to have the file open.
func isHeld(f *os.File) (held bool, unwritten unix.Errno, err error) {
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	if err := fcntl(f, unix.F_OFD_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return false, 0, err
	}
	return true, unix.Errno(lock.Len), nil
}

// fcntl is about the whole file, whatever is in it, unless the lock has a length or a start.
func fcntl(f *os.File, command int, lock *unix.Flock_t) error {
	for {
		err := unix.FcntlFlock(f.Fd(), command, lock)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// inPlace tells whether an open file is the one that others find as the lock file.
func (l *Lock) inPlace(f *os.File) bool {
	if f == nil {
		return false
	}
	mine, errMine := f.Stat()
	now, errNow := os.Lstat(l.path)
	return errMine == nil && errNow == nil && os.SameFile(mine, now)
}
