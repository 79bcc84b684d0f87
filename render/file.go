package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
)

// Why a file cannot be replaced. The errors of [File] wrap one of these, or the system's error
// where none of them fits.
var (
	ErrSymlink     = errors.New("is a symbolic link")
	ErrMountPoint  = errors.New("is a mount point of its own")
	ErrNotRegular  = regularfile.ErrNotRegular
	ErrNoDirectory = errors.New("its directory is not there")
	ErrReadOnly    = errors.New("its file system is read-only")
	ErrNoSpace     = errors.New("its file system is full")

	// ErrNotDurable is the one error of Commit after which the new file is in place: the directory
	// could not be flushed, so that a power cut may bring the old file back.
	ErrNotDurable = errors.New("is in place, but may not survive a power cut")
)

// File is the file that the agent keeps right, and what a replacement of it has to look like.
type File struct {
	// Path is absolute and ends in .ini.
	Path string

	// Mode of a replacement; nil takes that of the existing file, or 0644.
	Mode *fs.FileMode

	// Owner and Group of a replacement; nil takes those of the existing file,
	// or the agent's own.
	Owner, Group *int
}

// MaxFile bounds a file for chmpx, in bytes. A RESOURCE is far smaller.
const MaxFile = 4 << 20

// Read returns the bytes of the file. It holds no descriptor on it afterwards. The error is
// fs.ErrNotExist's kind if there is none, [ErrNotRegular]'s also for a symbolic link.
func (f File) Read() ([]byte, error) { return regularfile.ReadInPlace(f.Path, MaxFile) }

// Check returns an error if the file cannot be replaced, as far as that shows before there is
// anything to write.
func (f File) Check() error {
	root, _, err := f.open()
	if err != nil {
		return err
	}
	return root.Close()
}

// Stage writes b to a complete file beside the target: same directory, name ending in .ini, final
// owner and mode, flushed. The caller ends it with Commit or Discard, and stages one at a time.
// Stage overwrites what an agent that was killed left behind.
func (f File) Stage(b []byte) (*Staged, error) { return f.stage(b, filepath.Base(f.Path)) }

// stage writes b to a complete file that is to become the file called name in the directory.
func (f File) stage(b []byte, name string) (_ *Staged, err error) {
	root, old, err := f.open()
	if err != nil {
		return nil, err
	}
	s := &Staged{file: f, root: root}
	defer func() {
		if err != nil {
			s.Discard()
			err = fmt.Errorf("cannot write %s: %w", s.Path(), explain(err))
		}
	}()
	s.next, err = atomicfile.Create(root, s.name(), name)
	if err != nil {
		return nil, err
	}
	if err := f.fill(s.next.File, b, old); err != nil {
		return nil, err
	}
	return s, s.next.Close()
}

// fill gives the new file its bytes and everything else that a reader may see of it.
func (f File) fill(w *os.File, b []byte, old fs.FileInfo) error {
	if _, err := w.Write(b); err != nil {
		return err
	}
	mode := f.mode(old)
	if err := f.chown(w, old, mode); err != nil {
		return err
	}
	if err := w.Chmod(mode); err != nil {
		return err
	}
	if old != nil {
		if err := copyLabel(f.Path, w); err != nil {
			return err
		}
	}
	return w.Sync()
}

func (f File) mode(old fs.FileInfo) fs.FileMode {
	switch {
	case f.Mode != nil:
		return *f.Mode
	case old != nil:
		return old.Mode().Perm()
	default:
		return 0o644
	}
}

// chown gives the new file its owner. If the agent may not give it that of the old file, the file
// becomes the agent's own only where everybody may read it anyway: chmpx must not lose the right
// to read it.
func (f File) chown(w *os.File, old fs.FileInfo, mode fs.FileMode) error {
	now, err := w.Stat()
	if err != nil {
		return err
	}
	uid, gid := ids(now)
	wantUID, wantGID := uid, gid
	if old != nil {
		wantUID, wantGID = ids(old)
	}
	if f.Owner != nil {
		wantUID = *f.Owner
	}
	if f.Group != nil {
		wantGID = *f.Group
	}
	if wantUID == uid && wantGID == gid {
		return nil
	}
	err = w.Chown(wantUID, wantGID)
	takenOver := f.Owner == nil && f.Group == nil
	// EINVAL: there is no such owner in the agent's namespace of users.
	mayNot := errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL)
	if mayNot && takenOver && mode&0o004 != 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot give it the owner %d:%d: %w", wantUID, wantGID, err)
	}
	return nil
}

func ids(fi fs.FileInfo) (uid, gid int) {
	st := fi.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}

// open opens the file's directory and looks at the file, nil if there is none yet.
func (f File) open() (*os.Root, fs.FileInfo, error) {
	dir := filepath.Dir(f.Path)
	if fi, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || (err == nil && !fi.IsDir()) {
		return nil, nil, fmt.Errorf("cannot replace %s: %w: create %s first", f.Path, ErrNoDirectory, dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot replace %s: %w", f.Path, err)
	}
	old, err := f.inspect(root)
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return root, old, nil
}

func (f File) inspect(root *os.Root) (fs.FileInfo, error) {
	old, err := root.Lstat(filepath.Base(f.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot replace %s: %w", f.Path, err)
	case old.Mode()&fs.ModeSymlink != 0:
		target, _ := os.Readlink(f.Path)
		return nil, fmt.Errorf("cannot replace %s: it %w to %s, and chmpx would not notice that it leads elsewhere: name the file itself as output", f.Path, ErrSymlink, target)
	case !old.Mode().IsRegular():
		return nil, fmt.Errorf("cannot replace %s: it %w", f.Path, ErrNotRegular)
	}
	return old, nil
}

// Staged is a complete replacement that is not in place yet.
type Staged struct {
	file File
	root *os.Root // nil after Commit and Discard
	next *atomicfile.Next
}

// name is always the same, so that nothing can pile up.
func (s *Staged) name() string { return filepath.Base(s.Path()) }

// Path returns the path of the staged file, for a second opinion on it.
func (s *Staged) Path() string { return s.file.beside("next") }

// Commit puts the staged file in place and flushes the directory. After an error the old file
// is still there, except after [ErrNotDurable].
func (s *Staged) Commit() error {
	defer s.Discard()
	// The file may have changed since Stage.
	if _, err := s.file.inspect(s.root); err != nil {
		return err
	}
	if err := s.next.Commit(); err != nil {
		return fmt.Errorf("cannot replace %s: %w", s.file.Path, explain(err))
	}
	if err := syncDir(s.root); err != nil {
		return fmt.Errorf("%s %w: %w", s.file.Path, ErrNotDurable, err)
	}
	return nil
}

// Discard removes the staged file. It does nothing after Commit or Discard.
func (s *Staged) Discard() {
	if s.root == nil {
		return
	}
	if s.next != nil {
		s.next.Discard()
	}
	s.root.Close()
	s.root = nil
}

func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// explain adds to a system error what it means here and what the operator can do.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("it %w: nothing can take its place, and chmpx does not survive a write to it; mount its directory instead: %w", ErrMountPoint, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space; until then the old file stays: %w", ErrNoSpace, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the agent's user (uid %d) needs the right to write in its directory: %w", os.Geteuid(), err)
	}
	return err
}
