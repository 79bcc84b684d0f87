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

// A held file is a good configuration that a running chmpx must not load, but a fresh one can: it
// has another GROUP, say, or more server nodes than the running one has room for. It waits
// beside the file until chmpx is down.
//
// Between the moment that chmpx is seen to be down and the rename another one may start and load
// the old file. It would be told of the new one. So the old file keeps a second name, the guard,
// until it is sure that nobody has loaded it: as long as the old inode has a name, chmpx hears
// nothing of the replacement (docs/chmpx.md 0.3).

// Hold writes b to the held file. The caller may show it to others at HeldPath. It has the looks
// of a replacement, and is flushed.
func (f File) Hold(b []byte) error {
	s, err := f.stage(b, filepath.Base(f.HeldPath()))
	if err != nil {
		return err
	}
	return s.Commit()
}

// HeldPath returns the path of the held file, there or not.
func (f File) HeldPath() string { return f.beside("held") }

func (f File) guardPath() string { return f.beside("guard") }

// beside returns the path of a file that goes with the file.
func (f File) beside(what string) string { return f.aside(what + ".ini") }

// aside returns the path of a file of the agent's own that goes with the file.
func (f File) aside(what string) string {
	dir, base := filepath.Split(f.Path)
	return filepath.Join(dir, "."+strings.TrimSuffix(base, ".ini")+"."+what)
}

// Held returns the bytes of the held file. The error is fs.ErrNotExist's kind if there is none.
func (f File) Held() ([]byte, error) { return regularfile.ReadInPlace(f.HeldPath(), MaxFile) }

// DropHeld removes the held file, if there is one.
func (f File) DropHeld() error { return remove(f.HeldPath()) }

// CommitHeld puts the held file in place, with a guard on the file before. The caller ends that
// with TakeBack or DropGuard, and soon: until then chmpx hears of no replacement. The error is
// fs.ErrNotExist's kind if there is no held file, and ErrNotDurable's as that of Commit.
func (f File) CommitHeld() error {
	root, old, err := f.open()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := f.redress(f.HeldPath(), old); err != nil {
		return f.cannotReplace(err)
	}
	base, guard := filepath.Base(f.Path), filepath.Base(f.guardPath())
	if old != nil {
		if err := root.Remove(guard); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f.cannotReplace(err)
		}
		if err := root.Link(base, guard); err != nil {
			return fmt.Errorf("cannot replace %s while chmpx may start: %w", f.Path, explain(err))
		}
	}
	err = f.renameHeld(root)
	if err != nil && !errors.Is(err, ErrNotDurable) {
		root.Remove(guard)
	}
	return err
}

// TakeHeld puts the held file in place without a guard, for a caller that knows that no chmpx runs.
// The errors are those of CommitHeld.
func (f File) TakeHeld() error {
	root, old, err := f.open()
	if err != nil {
		return err
	}
	defer root.Close()
	if old != nil { // else it looks as the options have it, which nobody here knows
		if err := f.redress(f.HeldPath(), old); err != nil {
			return f.cannotReplace(err)
		}
	}
	return f.renameHeld(root)
}

// renameHeld renames the held file.
func (f File) renameHeld(root *os.Root) error {
	if err := root.Rename(filepath.Base(f.HeldPath()), filepath.Base(f.Path)); err != nil {
		return f.cannotReplace(fmt.Errorf("by %s: %w", f.HeldPath(), err))
	}
	if err := syncDir(root); err != nil {
		return fmt.Errorf("%s %w: %w", f.Path, ErrNotDurable, err)
	}
	return nil
}

// Guarded returns the bytes of the file that has a guard. The error is fs.ErrNotExist's kind if
// there is none.
func (f File) Guarded() ([]byte, error) { return regularfile.ReadInPlace(f.guardPath(), MaxFile) }

// TakeBack puts the guarded file in place again: a chmpx that has loaded it finds what it knows.
func (f File) TakeBack() error {
	if err := os.Rename(f.guardPath(), f.Path); err != nil {
		return f.cannotReplace(err)
	}
	return nil
}

// DropGuard lets the file before go, if there is a guard.
func (f File) DropGuard() error { return remove(f.guardPath()) }

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
