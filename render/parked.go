package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k2hdkc-slave-agent/render/regularfile"
)

// A parked file is a good configuration that a running chmpx must not load, but a fresh one can: it
// has another GROUP, say, or more server nodes than the running one has room for. It waits
// beside the file until chmpx is down.
//
// Between the moment that chmpx is seen to be down and the rename another one may start and load
// the old file. The rename would make it load the new one. So the old file keeps a second name,
// that of the previous file, until it is sure that nobody has loaded it: as long as the old inode
// has a name, chmpx hears nothing of the replacement (docs/chmpx.md 0.3).

// Park writes b to the parked file. The caller may show it to others at ParkedPath. It has the
// looks of a replacement, and is flushed.
func (f File) Park(b []byte) error {
	s, err := f.stage(b, filepath.Base(f.ParkedPath()))
	if err != nil {
		return err
	}
	return s.Commit()
}

// ParkedPath returns the path of the parked file, there or not.
func (f File) ParkedPath() string { return f.beside("parked") }

func (f File) previousPath() string { return f.beside("previous") }

// beside returns the path of a file that goes with the file.
func (f File) beside(what string) string { return f.aside(what + ".ini") }

// aside returns the path of a file of the agent's own that goes with the file.
func (f File) aside(what string) string {
	dir, base := filepath.Split(f.Path)
	return filepath.Join(dir, "."+strings.TrimSuffix(base, ".ini")+"."+what)
}

// Parked returns the bytes of the parked file. The error is fs.ErrNotExist's kind if there is none.
func (f File) Parked() ([]byte, error) { return regularfile.ReadInPlace(f.ParkedPath(), MaxFile) }

// CheckParked returns an error, ErrAltered, unless b is what is in the parked file.
func (f File) CheckParked(b []byte) error {
	if err := unaltered(f.ParkedPath(), b); err != nil {
		return f.cannotReplace(err)
	}
	return nil
}

// DropParked removes the parked file, if there is one.
func (f File) DropParked() error { return remove(f.ParkedPath()) }

// CommitParked puts the parked file in place if b is what is in it, and keeps the file before as
// the previous one. The caller ends that with RestorePrevious or DropPrevious: until then a chmpx
// that has loaded the previous file hears of no replacement. The error is fs.ErrNotExist's kind if
// there is no parked file, and ErrNotDurable's as that of Commit.
func (f File) CommitParked(b []byte) error {
	root, old, err := f.open()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := f.redress(f.ParkedPath(), old); err != nil {
		return f.cannotReplace(err)
	}
	base, previous := filepath.Base(f.Path), filepath.Base(f.previousPath())
	if old != nil {
		if err := root.Remove(previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f.cannotReplace(err)
		}
		if err := root.Link(base, previous); err != nil {
			return fmt.Errorf("cannot replace %s while chmpx may start: %w", f.Path, f.explain(err))
		}
	}
	err = f.renameParked(root, b)
	if err != nil && !errors.Is(err, ErrNotDurable) {
		root.Remove(previous)
	}
	return err
}

// TakeParked puts the parked file in place if b is what is in it, and keeps no previous one, for a
// caller that knows that no chmpx runs. The errors are those of CommitParked.
func (f File) TakeParked(b []byte) error {
	root, old, err := f.open()
	if err != nil {
		return err
	}
	defer root.Close()
	if old != nil { // else it looks as the options have it, which nobody here knows
		if err := f.redress(f.ParkedPath(), old); err != nil {
			return f.cannotReplace(err)
		}
	}
	return f.renameParked(root, b)
}

// renameParked renames the parked file.
func (f File) renameParked(root *os.Root, b []byte) error {
	if err := f.CheckParked(b); err != nil {
		return err
	}
	if err := root.Rename(filepath.Base(f.ParkedPath()), filepath.Base(f.Path)); err != nil {
		return f.cannotReplace(fmt.Errorf("by %s: %w", f.ParkedPath(), err))
	}
	return f.flush(root)
}

// Previous returns the bytes of the file that has a previous. The error is fs.ErrNotExist's kind if
// there is none.
func (f File) Previous() ([]byte, error) { return regularfile.ReadInPlace(f.previousPath(), MaxFile) }

// RestorePrevious puts the previous file in place again: a chmpx that has loaded it finds what it
// knows.
func (f File) RestorePrevious() error {
	if err := os.Rename(f.previousPath(), f.Path); err != nil {
		return f.cannotReplace(err)
	}
	return nil
}

// DropPrevious lets the file before go, if there is a previous.
func (f File) DropPrevious() error { return remove(f.previousPath()) }

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
