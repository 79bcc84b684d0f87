package render

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

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
	ErrTaken       = errors.New("is another file that the agent needs")
	ErrReadOnly    = errors.New("its file system is read-only")
	ErrNoSpace     = errors.New("its file system is full")
	ErrAltered     = errors.New("is not as the agent wrote it")

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

	// Taken are the other files that the agent reads or writes. The file must be none of them.
	Taken []Taken
}

// Taken is a file that the agent needs for something else.
type Taken struct {
	What string // such as "the configuration"
	Path string
}

// MaxFile bounds a file for chmpx, in bytes. A RESOURCE is far smaller.
const MaxFile = 4 << 20

// Read returns the bytes of the file, by way of a symbolic link, too, as chmpx reads it. It holds
// no descriptor on it afterwards. The error is fs.ErrNotExist's kind if there is none.
func (f File) Read() ([]byte, error) { return regularfile.Read(f.Path, MaxFile) }

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
	s := &Staged{file: f, root: root, old: old, bytes: b}
	defer func() {
		if err != nil {
			s.Discard()
			err = f.cannotReplace(fmt.Errorf("cannot write %s: %w", s.Path(), err))
		}
	}()
	// The temporary name is always the same, so that nothing can pile up.
	s.next, err = atomicfile.Create(root, filepath.Base(s.Path()), name)
	if err != nil {
		return nil, err
	}
	if _, err := s.next.Write(b); err != nil {
		return nil, err
	}
	if err := f.dress(s.next.File, old); err != nil {
		return nil, err
	}
	if err := s.next.Sync(); err != nil {
		return nil, err
	}
	return s, s.next.Close()
}

// open opens the file's directory and looks at the file, nil if there is none yet.
func (f File) open() (*os.Root, fs.FileInfo, error) {
	dir := filepath.Dir(f.Path)
	root, err := regularfile.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil, fmt.Errorf("cannot replace %s: %w: %s", f.Path, ErrNoDirectory, noDirectory(dir))
	}
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

// noDirectory says what to do about a directory that is not there: something else may be in its
// place, or in that of one above it.
func noDirectory(dir string) string {
	for path := dir; path != filepath.Dir(path); path = filepath.Dir(path) {
		info, err := os.Lstat(path)
		switch {
		case err != nil: // it may not be there, or have a file above it
			continue
		case info.Mode()&fs.ModeSymlink != 0:
			if to, err := os.Stat(path); err != nil || !to.IsDir() {
				target, _ := os.Readlink(path)
				return fmt.Sprintf("%s is a symbolic link to %s, where no directory is: mend the link", path, target)
			}
		case !info.IsDir():
			return fmt.Sprintf("%s is a file, a FIFO, a socket or a device: move that away and create %s", path, dir)
		}
		break
	}
	return "create " + dir + " first"
}

func (f File) inspect(root *os.Root) (fs.FileInfo, error) {
	if err := f.checkTaken(); err != nil {
		return nil, err
	}
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
		what := "a FIFO, a socket or a device"
		if old.IsDir() {
			what = "a folder"
		}
		return nil, fmt.Errorf("cannot replace %s: it %w but %s: move that away", f.Path, ErrNotRegular, what)
	}
	return old, nil
}

// checkTaken returns an error if the file, or one that comes and goes beside it, is another one
// that the agent needs.
func (f File) checkTaken() error {
	paths := []string{f.Path, f.beside("next"), f.beside("parked"), f.beside("previous"), f.LockPath()}
	var own []regularfile.Location
	for _, path := range paths {
		own = append(own, regularfile.Locate(path))
	}
	for _, t := range f.Taken {
		if i := slices.IndexFunc(own, regularfile.Locate(t.Path).Same); i >= 0 {
			return fmt.Errorf("cannot replace %s: %s %w, %s (%s); name another file as output", f.Path, paths[i], ErrTaken, t.What, t.Path)
		}
	}
	return nil
}

// Staged is a complete replacement that is not in place yet.
type Staged struct {
	file File
	root *os.Root    // nil after Commit and Discard
	old  fs.FileInfo // the file that next looks like; nil: there was none
	next *atomicfile.Next

	bytes []byte // of next
}

// Path returns the path of the staged file, for a second opinion on it.
func (s *Staged) Path() string { return s.file.beside("next") }

// Commit puts the staged file in place and flushes the directory, unless somebody has written to
// the staged file meanwhile. After an error the old file is still there, except after
// [ErrNotDurable].
func (s *Staged) Commit() error {
	defer s.Discard()
	// The file may have changed since Stage.
	old, err := s.file.inspect(s.root)
	if err != nil {
		return err
	}
	if !unchanged(s.old, old) {
		err = s.file.redress(s.Path(), old)
	}
	if err == nil {
		err = unaltered(s.Path(), s.bytes)
	}
	if err == nil {
		err = s.next.Commit()
	}
	if err != nil {
		return s.file.cannotReplace(err)
	}
	return s.file.flush(s.root)
}

// unaltered returns an error unless b is what is at path: whoever was shown a file before it takes
// its place, such as check-command, may have written to it.
func unaltered(path string, b []byte) error {
	now, err := regularfile.ReadInPlace(path, MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		err = fmt.Errorf("%s %w: %w", path, ErrAltered, err)
	case !bytes.Equal(now, b):
		err = fmt.Errorf("%s %w: find the program that changes it; check-command may read it, and nothing else", path, ErrAltered)
	}
	return err
}

// unchanged tells whether a file looks as it did before.
func unchanged(before, now fs.FileInfo) bool {
	if before == nil || now == nil {
		return before == nil && now == nil
	}
	return os.SameFile(before, now) && before.Sys().(*syscall.Stat_t).Ctim == now.Sys().(*syscall.Stat_t).Ctim
}

// redress gives a complete file at path the looks of the one that it is to replace now.
func (f File) redress(path string, old fs.FileInfo) error {
	w, err := regularfile.OpenInPlace(path)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := f.dress(w, old); err != nil {
		return err
	}
	return w.Sync()
}

// cannotReplace says why the file cannot be replaced.
func (f File) cannotReplace(err error) error {
	return fmt.Errorf("cannot replace %s: %w", f.Path, f.explain(err))
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

// flush flushes the directory, in which the file has just been replaced.
func (f File) flush(root *os.Root) error {
	d, err := root.Open(".")
	if err == nil {
		defer d.Close()
		err = d.Sync()
	}
	if err != nil {
		return fmt.Errorf("%s %w: %w", f.Path, ErrNotDurable, err)
	}
	return nil
}

// aboutLooks tells whether an error is about the looks of a file, not about making one.
func aboutLooks(err error) bool {
	pe, ok := errors.AsType[*fs.PathError](err)
	return ok && slices.Contains([]string{"chown", "chmod", "setxattr"}, pe.Op)
}

// explain adds to a system error what it means here and what the operator can do.
func (f File) explain(err error) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("it %w: nothing can take its place, and chmpx does not survive a write to it; mount its directory instead: %w", ErrMountPoint, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, syscall.ENOSPC) && noInode(filepath.Dir(f.Path)):
		return fmt.Errorf("%w: no inode is free: delete files that nobody needs: %w", ErrNoSpace, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space: %w", ErrNoSpace, err)
	case errors.Is(err, fs.ErrPermission) && !aboutLooks(err):
		return fmt.Errorf("%s: %w", f.forbidden(err), err)
	}
	return err
}

// noInode tells whether the file system of a directory has room for no more files.
func noInode(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Files > 0 && fs.Ffree == 0
}

// forbidden says what keeps the agent from making, opening or replacing a file, and what to do.
func (f File) forbidden(err error) string {
	dir, uid := filepath.Dir(f.Path), os.Geteuid()
	var about []string
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		about = append(about, filepath.Join(dir, filepath.Base(e.Path)))
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		about = append(about, filepath.Join(dir, filepath.Base(e.New)), filepath.Join(dir, filepath.Base(e.Old)))
	}
	for _, path := range append(about, f.Path, dir) {
		if attr := Frozen(path); attr != "" {
			return fmt.Sprintf("run chattr -%s %s: its attribute %[1]s does not allow it", attr, path)
		}
	}
	if unix.Access(dir, unix.W_OK|unix.X_OK) != nil {
		return fmt.Sprintf("the agent's user (uid %d) needs the right to write in its directory", uid)
	}
	// A file of somebody else's: in a sticky directory it cannot be removed, and not everybody may
	// open it.
	for _, path := range about {
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		if owner, _ := ids(info); owner != uid {
			return fmt.Sprintf("%s belongs to uid %d, with mode %04o, and the agent's user may neither open nor replace it: run chown %d %[1]s", path, owner, info.Mode().Perm(), uid)
		}
		if info.Mode().Perm()&0o600 != 0o600 {
			return fmt.Sprintf("%s has the mode %04o: run chmod u+rw %[1]s", path, info.Mode().Perm())
		}
	}
	return fmt.Sprintf("the agent's user (uid %d) has the right to do it, but something denies it: see the kernel's log", uid)
}
