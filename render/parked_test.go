package render

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
)

// parked is a target with the content "old" and "new" parked beside it.
func parked(t *testing.T) File {
	t.Helper()
	f := target(t)
	write(t, f.Path, "old", 0o640)
	fatal.If(t, f.Park([]byte("new")))
	return f
}

// deletions returns how often the kernel has told by now that the inode which is at path
// is deleted: that is how chmpx hears of a replacement.
func deletions(t *testing.T, path string) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	fatal.If(t, err)
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
	f := parked(t)
	if content(t, f.Path) != "old" || content(t, f.ParkedPath()) != "new" {
		t.Error("it is in place already")
	}
	if info, err := os.Stat(f.ParkedPath()); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("parked as %v, %v", info, err)
	}
	if err := f.DropParked(); err != nil {
		t.Error(err)
	}
	onlyFile(t, f.Path)
	if err := f.CommitParked([]byte("new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a parked file: %v", err)
	}
	onlyFile(t, f.Path)
	if content(t, f.Path) != "old" {
		t.Error("the file has changed")
	}
}

func TestNobodyHearsOfAHeldFileBeforeTheGuardIsDropped(t *testing.T) {
	f := parked(t)
	heard := deletions(t, f.Path)
	fatal.If(t, f.CommitParked([]byte("new")))
	if content(t, f.Path) != "new" || heard() != 0 {
		t.Errorf("file %q, told %d times", content(t, f.Path), heard())
	}
	if b, err := f.Previous(); err != nil || string(b) != "old" {
		t.Errorf("previous: %q, %v", b, err)
	}
	fatal.If(t, f.DropPrevious())
	if heard() != 1 {
		t.Errorf("told %d times after that", heard())
	}
	onlyFile(t, f.Path)
	if err := f.DropPrevious(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestAHeldFileCanBeTakenBack(t *testing.T) {
	f := parked(t)
	before, _ := os.Stat(f.Path)
	fatal.If(t, errors.Join(f.CommitParked([]byte("new")), f.RestorePrevious()))
	after, _ := os.Stat(f.Path)
	if !os.SameFile(before, after) || content(t, f.Path) != "old" {
		t.Error("it is another file than before")
	}
	onlyFile(t, f.Path)
}

func TestAHeldFileCanBeTheFirst(t *testing.T) {
	f := target(t)
	fatal.If(t, errors.Join(f.Park([]byte("new")), f.CommitParked([]byte("new"))))
	if content(t, f.Path) != "new" {
		t.Error("it is not in place")
	}
	onlyFile(t, f.Path)
}

func TestAGuardLeftByAKilledAgentIsReplaced(t *testing.T) {
	f := parked(t)
	write(t, filepath.Join(filepath.Dir(f.Path), ".slave.previous.ini"), "older", 0o644)
	fatal.If(t, f.CommitParked([]byte("new")))
	if b, _ := f.Previous(); string(b) != "old" {
		t.Errorf("previous: %q", b)
	}
}
