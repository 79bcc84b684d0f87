package render

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestTwoAgentsOnOneFile(t *testing.T) {
	f := target(t)
	first, err := f.Lock()
	fatal.If(t, err)
	_, err = f.Lock()
	if says := fmt.Sprintf("%s: another agent keeps this file: process %d (", f.Path, os.Getpid()); !errors.Is(err, ErrLocked) || !strings.HasPrefix(err.Error(), says) {
		t.Errorf("second lock: %v", err)
	}
	other := File{Path: filepath.Join(filepath.Dir(f.Path), "other.ini")}
	if l, err := other.Lock(); err != nil {
		t.Errorf("a neighbour is locked too: %v", err)
	} else {
		l.Unlock()
	}
	first.Unlock()
	again, err := f.Lock()
	if err != nil {
		t.Fatalf("after Unlock: %v", err)
	}
	again.Unlock()
}

// What an agent that was killed leaves behind holds the lock for a moment only.
func TestLockOutlastsAMomentOfSomebodyElses(t *testing.T) {
	f := target(t)
	synctest.Test(t, func(t *testing.T) {
		first, err := f.Lock()
		fatal.If(t, err)
		time.AfterFunc(300*time.Millisecond, first.Unlock)
		second, err := f.Lock()
		fatal.If(t, err)
		second.Unlock()
	})
}

// Whoever may read the lock file can lock it, by a program that is no agent and signs nothing.
func TestLockNamesWhatHoldsIt(t *testing.T) {
	for name, lock := range map[string]int{"for reading": unix.LOCK_SH, "for writing": unix.LOCK_EX} {
		t.Run(name, func(t *testing.T) {
			f := target(t)
			write(t, f.LockPath(), "1\n", 0o600) // by an agent that has ended; its number is another one's now
			other, err := os.Open(f.LockPath())
			fatal.If(t, err)
			defer other.Close()
			fatal.If(t, unix.Flock(int(other.Fd()), lock))
			comm, err := os.ReadFile("/proc/self/comm")
			fatal.If(t, err)
			says := fmt.Sprintf("%s: another process keeps this file: process %d (%q) holds %s", f.Path, os.Getpid(), strings.TrimSpace(string(comm)), f.LockPath())
			if _, err := f.Lock(); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want %s", err, says)
			}
		})
	}
}

// A copy of the descriptor, as a child has it between fork and exec, does not
// keep the lock.
func TestUnlockCountsForCopiesToo(t *testing.T) {
	f := target(t)
	first, err := f.Lock()
	fatal.If(t, err)
	child, err := unix.Dup(int(first.f.Fd()))
	fatal.If(t, err)
	defer unix.Close(child)
	first.Unlock()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		second, err := f.Lock()
		if err != nil || time.Since(start) != 0 {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		second.Unlock()
	})
}

// Whoever deletes the lock file lets another agent in, and the first one may not replace the file
// then.
func TestLockThatSomebodyDeletes(t *testing.T) {
	spoil := map[string]func(t *testing.T, lock string){
		"deleted":                  func(*testing.T, string) {},
		"replaced by another file": func(t *testing.T, lock string) { write(t, lock, "", 0o600) },
		"replaced by a copy": func(t *testing.T, lock string) {
			write(t, lock+".copy", "1\n", 0o600)
			fatal.If(t, os.Rename(lock+".copy", lock))
		},
		"gone with its folder": func(t *testing.T, lock string) {
			dir := filepath.Dir(lock)
			fatal.If(t, errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o755)))
		},
	}
	for name, spoil := range spoil {
		spoiled := func(t *testing.T) (File, *Lock) {
			f := target(t)
			f.Path = filepath.Join(filepath.Dir(f.Path), "k2hdkc", "slave.ini")
			fatal.If(t, os.Mkdir(filepath.Dir(f.Path), 0o755))
			first, err := f.Lock()
			fatal.If(t, err)
			t.Cleanup(first.Unlock)
			if err := first.Hold(); err != nil {
				t.Errorf("nobody has touched it: %v", err)
			}
			lock := first.file.LockPath()
			fatal.If(t, os.Remove(lock))
			spoil(t, lock)
			return f, first
		}
		t.Run(name+", and another agent comes first", func(t *testing.T) {
			f, first := spoiled(t)
			second, err := f.Lock()
			fatal.If(t, err)
			if err := first.Hold(); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process") {
				t.Errorf("the first one may replace the file, too: %v", err)
			}
			second.Unlock()
			if err := first.Hold(); err != nil {
				t.Errorf("when the other one has ended: %v", err)
			}
		})
		t.Run(name+", and the agent comes first", func(t *testing.T) {
			f, first := spoiled(t)
			fatal.If(t, first.Hold())
			synctest.Test(t, func(t *testing.T) {
				if second, err := f.Lock(); !errors.Is(err, ErrLocked) {
					second.Unlock()
					t.Errorf("another one may replace the file, too: %v", err)
				}
			})
		})
	}
}

// What is in the place of the lock file may be anything.
func TestLockFileThatIsNone(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a FIFO":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("/dev/zero", path) },
		"a circle":    func(path string) error { return os.Symlink(path, path) },
	} {
		f := target(t)
		fatal.If(t, put(f.aside("lock")))
		if l, err := f.Lock(); err == nil || !strings.Contains(err.Error(), ".slave.lock") {
			l.Unlock()
			t.Errorf("%s: %v", name, err)
		}
	}
}
