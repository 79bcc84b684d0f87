package unitfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNotRegular says that a path names something that is no regular file.
var ErrNotRegular = errors.New("is not a regular file")

// Files is the file system at a folder, "/" for that of the host, for programs
// that nothing may hold up: a generator, for which a boot waits. Of what is
// neither a regular file nor a folder, such as a FIFO, Open returns ErrNotRegular.
type Files string

// Open opens a regular file or a folder for reading.
func (root Files) Open(name string) (fs.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !readable(info) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	// Somebody may have put a FIFO there meanwhile.
	f, err := os.OpenFile(root.path(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !readable(info) {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Stat follows symbolic links.
func (root Files) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return os.Stat(root.path(name))
}

func (root Files) path(name string) string { return filepath.Join(string(root), name) }

func readable(info fs.FileInfo) bool { return info.Mode().IsRegular() || info.IsDir() }
