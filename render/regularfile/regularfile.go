// Package regularfile reads files in whose place somebody may put anything at any moment: a FIFO
// that never opens, a device that never ends, a link in a circle, a file of a terabyte. What is
// no regular file, or is larger than the reader wants, is an error, and no call waits for anybody.
//
// /dev/null counts as an empty file, since people name it where they want none.
//
// Everything in the agent that opens a file for reading goes through this package; a test looks
// for other ways.
package regularfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Small bounds a file that somebody writes by hand, or that a program keeps a few values in: a few
// kilobytes are much already.
const Small = 1 << 20

var (
	// ErrNotRegular says that something else than a regular file is there.
	ErrNotRegular = errors.New("is not a regular file")
	// ErrTooLarge says that a file has more bytes than its reader wants.
	ErrTooLarge = errors.New("is too large")
)

// patience is how long a read may wait. A regular file keeps nobody waiting, but for some of the
// kernel's own that only look like one, as /proc/kmsg. It counts from the opening: on a busy host
// it has to last until the first read, also of one that keeps nobody waiting, as /proc/net/tcp.
const patience = 500 * time.Millisecond

// Read returns the content of the file at path, which symbolic links may lead to. Its errors are
// *fs.PathError; they are ErrNotRegular's kind, or ErrTooLarge's for more than limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, limit)
}

// ReadInPlace is Read for a file that has to be at path itself: a symbolic link is ErrNotRegular.
func ReadInPlace(path string, limit int64) ([]byte, error) {
	f, err := OpenInPlace(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, limit)
}

// Open opens the regular file at path, which symbolic links may lead to, for reading.
func Open(path string) (*os.File, error) { return open(path, os.Stat, os.O_RDONLY, 0) }

// OpenInPlace is Open for a file that has to be at path itself: a symbolic link is ErrNotRegular.
func OpenInPlace(path string) (*os.File, error) {
	return open(path, os.Lstat, os.O_RDONLY|unix.O_NOFOLLOW, 0)
}

// OpenOrMake opens the regular file at path itself for reading and writing; a new one gets this
// mode. A symbolic link is ErrNotRegular.
func OpenOrMake(path string, mode fs.FileMode) (*os.File, error) {
	return open(path, os.Lstat, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, mode)
}

// OpenFolder opens the folder at path, which symbolic links may lead to, for its names.
func OpenFolder(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

// OpenRoot is os.OpenRoot, which would wait for the other end of a FIFO.
func OpenRoot(path string) (*os.Root, error) { return os.OpenRoot(path + "/") }

func open(path string, stat func(string) (fs.FileInfo, error), flags int, mode fs.FileMode) (*os.File, error) {
	// Some devices do something when they are opened, so this looks first.
	info, err := stat(path)
	if err == nil {
		err = check(path, info)
	}
	if err != nil && (flags&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	f, err := os.OpenFile(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if err != nil {
		return nil, err
	}
	// What was at path may have changed meanwhile.
	if info, err = f.Stat(); err == nil {
		err = check(path, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	_ = f.SetReadDeadline(time.Now().Add(patience)) // the error: nothing has to be waited for
	return f, nil
}

func check(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() || isNull(info) {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: notRegular(info.Mode().Type())}
}

// isNull tells whether it is /dev/null.
func isNull(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && st.Rdev == unix.Mkdev(1, 3)
}

// notRegular is what is there instead.
type notRegular fs.FileMode

func (m notRegular) Error() string {
	kind := "something else"
	switch mode := fs.FileMode(m); {
	case mode&fs.ModeSymlink != 0:
		kind = "a symbolic link"
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a FIFO"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	}
	return "it " + ErrNotRegular.Error() + " but " + kind
}

func (notRegular) Is(target error) bool { return target == ErrNotRegular }

// tooLarge is how much would have been enough.
type tooLarge int64

func (n tooLarge) Error() string      { return fmt.Sprintf("it has more than %d bytes", int64(n)) }
func (tooLarge) Is(target error) bool { return target == ErrTooLarge }

// ReadAll returns what is left of an open file, limit bytes at most.
func ReadAll(f *os.File, limit int64) ([]byte, error) { return readAll(f.Name(), f, limit) }

func readAll(path string, f fs.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err == nil {
		err = checkSize(path, info, limit)
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	// Some files of the kernel's say that they are empty, and a file may grow.
	n, err := b.ReadFrom(io.LimitReader(f, limit+1))
	if err == nil && n > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: tooLarge(limit)}
	}
	if err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func checkSize(path string, info fs.FileInfo, limit int64) error {
	if err := check(path, info); err != nil {
		return err
	}
	if info.Size() > limit {
		return &fs.PathError{Op: "read", Path: path, Err: tooLarge(limit)}
	}
	return nil
}

// Check returns an error if there is something at path, which symbolic links may lead to, that is
// no regular file or has more than limit bytes. It is for a file that is not read as a whole.
func Check(path string, limit int64) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return checkSize(path, info, limit)
}

// Dir is the file system at a folder, "/" for that of the host: its Open is as the package's, but
// opens folders too.
type Dir string

// Open opens a regular file or a folder for reading.
func (root Dir) Open(name string) (fs.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return OpenFolder(root.path(name))
	}
	return Open(root.path(name))
}

// Stat follows symbolic links.
func (root Dir) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return os.Stat(root.path(name))
}

func (root Dir) path(name string) string { return filepath.Join(string(root), name) }

// ReadFS is Read for a file of a file system.
func ReadFS(files fs.FS, name string, limit int64) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(name, f, limit)
}

// portion is how many names of a folder are read at once.
const portion = 256

// EachName calls f for the names in a folder of a file system, in any order, until f returns false.
// A folder may have any number of them; the memory that EachName needs does not grow with it.
func EachName(files fs.FS, dir string, f func(name string) (more bool)) error {
	opened, err := files.Open(dir)
	if err != nil {
		return err
	}
	defer opened.Close()
	d, ok := opened.(fs.ReadDirFile)
	if !ok {
		return &fs.PathError{Op: "readdir", Path: dir, Err: syscall.ENOTDIR}
	}
	for {
		entries, err := d.ReadDir(portion)
		for _, e := range entries {
			if !f(e.Name()) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
