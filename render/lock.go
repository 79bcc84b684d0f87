package render

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrLocked says that another agent keeps the same file.
var ErrLocked = errors.New("another agent keeps this file")

// Lock is the right to replace the file. It ends with Unlock or with the
// process.
type Lock struct{ f *os.File }

// Lock claims the file for this process, by a lock file beside it: two agents that can replace the
// same file, also from two containers that share the directory, meet there. It fails with
// [ErrLocked] rather than wait for the other one to exit.
func (f File) Lock() (*Lock, error) {
	base := filepath.Base(f.Path)
	path := filepath.Join(filepath.Dir(f.Path), "."+strings.TrimSuffix(base, ".ini")+".lock")
	if err := f.Check(); err != nil {
		return nil, err
	}
	l, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", f.Path, explain(err))
	}
	if err := claim(l); err != nil {
		defer l.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w: process %s holds %s; stop that one first, or give this one another output", f.Path, ErrLocked, holder(l), path)
		}
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	// The number is for the other one's message only.
	if err := l.Truncate(0); err == nil {
		fmt.Fprintln(l, os.Getpid())
	}
	return &Lock{l}, nil
}

// An agent that was killed may leave the lock to a child for a moment: one that was forked, and
// has yet to close its descriptors by becoming the program it is to run. The next agent must not
// take that child for another agent.
const (
	childLimit = time.Second
	childPause = 20 * time.Millisecond
)

func claim(l *os.File) error {
	for waited := time.Duration(0); ; waited += childPause {
		err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || waited >= childLimit {
			return err
		}
		time.Sleep(childPause)
	}
}

// Unlock releases the file. The lock file stays: removing it would race with the next one to lock
// it.
func (l *Lock) Unlock() {
	// Not by closing alone, for the same reason.
	syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN)
	l.f.Close()
}

func holder(l *os.File) string {
	b := make([]byte, 16)
	n, _ := l.ReadAt(b, 0)
	pid := strings.TrimSpace(string(b[:n]))
	if pid == "" {
		return "unknown"
	}
	return pid
}
