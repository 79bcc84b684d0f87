package render

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// held is a target with the content "old" and "new" held beside it.
func held(t *testing.T) File {
	t.Helper()
	f := target(t)
	write(t, f.Path, "old", 0o640)
	if err := f.Hold([]byte("new")); err != nil {
		t.Fatal(err)
	}
	return f
}

// deletions returns how often the kernel has told by now that the inode which is at path
// is deleted: that is how chmpx hears of a replacement.
func deletions(t *testing.T, path string) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_DELETE_SELF); err != nil {
		t.Fatal(err)
	}
	told := 0
	return func() int {
		var event [unix.SizeofInotifyEvent]byte
		for {
			n, err := unix.Read(fd, event[:])
			if err != nil {
				return told
			}
			if n == len(event) && binary.NativeEndian.Uint32(event[4:])&unix.IN_DELETE_SELF != 0 {
				told++
			}
		}
	}
}

func TestAHeldFileChangesNothingUntilItIsCommitted(t *testing.T) {
	f := held(t)
	if content(t, f.Path) != "old" || content(t, f.HeldPath()) != "new" {
		t.Error("it is in place already")
	}
	if info, err := os.Stat(f.HeldPath()); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("held as %v, %v", info, err)
	}
	if err := f.DropHeld(); err != nil {
		t.Error(err)
	}
	onlyFile(t, f.Path)
	if err := f.CommitHeld(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a held file: %v", err)
	}
	onlyFile(t, f.Path)
	if content(t, f.Path) != "old" {
		t.Error("the file has changed")
	}
}

func TestNobodyHearsOfAHeldFileBeforeTheGuardIsDropped(t *testing.T) {
	f := held(t)
	heard := deletions(t, f.Path)
	if err := f.CommitHeld(); err != nil {
		t.Fatal(err)
	}
	if content(t, f.Path) != "new" || heard() != 0 {
		t.Errorf("file %q, told %d times", content(t, f.Path), heard())
	}
	if b, err := f.Guarded(); err != nil || string(b) != "old" {
		t.Errorf("guarded: %q, %v", b, err)
	}
	if err := f.DropGuard(); err != nil {
		t.Fatal(err)
	}
	if heard() != 1 {
		t.Errorf("told %d times after that", heard())
	}
	onlyFile(t, f.Path)
	if err := f.DropGuard(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestAHeldFileCanBeTakenBack(t *testing.T) {
	f := held(t)
	before, _ := os.Stat(f.Path)
	if err := errors.Join(f.CommitHeld(), f.TakeBack()); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(f.Path)
	if !os.SameFile(before, after) || content(t, f.Path) != "old" {
		t.Error("it is another file than before")
	}
	onlyFile(t, f.Path)
}

func TestAHeldFileCanBeTheFirst(t *testing.T) {
	f := target(t)
	if err := errors.Join(f.Hold([]byte("new")), f.CommitHeld()); err != nil {
		t.Fatal(err)
	}
	if content(t, f.Path) != "new" {
		t.Error("it is not in place")
	}
	onlyFile(t, f.Path)
}

func TestAGuardLeftByAKilledAgentIsReplaced(t *testing.T) {
	f := held(t)
	write(t, filepath.Join(filepath.Dir(f.Path), ".slave.guard.ini"), "older", 0o644)
	if err := f.CommitHeld(); err != nil {
		t.Fatal(err)
	}
	if b, _ := f.Guarded(); string(b) != "old" {
		t.Errorf("guarded: %q", b)
	}
}
