// Package atomicfile replaces a file as a whole: it writes a temporary file in the same folder
// and renames that over the file. Whoever opens the path at any moment finds the old content or
// the new one, also when two processes replace the file at once or one of them is killed.
//
// [Write] is the whole way for a small file of the agent's own. [Create] is for a caller that
// does more with the new file before it takes its place, as render does with slave.ini.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k2hdkc-slave-agent/render/regularfile"
)

// leftoverAge is the age from which on a temporary file must be one of a process that was
// killed: to write a small file takes milliseconds.
const leftoverAge = time.Minute

// maxNames bounds the search for them in a folder that others have filled: it is many more than a
// folder of the agent's has, and takes a millisecond at each write.
const maxNames = 1000

// Write replaces the file at path, or makes it, with this content and mode. It does not flush
// the disk: after a power cut the file may hold the old content, the new one, or nothing. The
// error is an *fs.PathError with path in it; the temporary file's name is of no use to anybody.
func Write(path string, content []byte, mode fs.FileMode) error {
	err := write(path, content, mode)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return &fs.PathError{Op: "replace", Path: path, Err: errno}
	}
	return err
}

func write(path string, content []byte, mode fs.FileMode) error {
	dir, err := regularfile.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	name := filepath.Base(path)
	removeLeftovers(dir, name)
	next, err := Create(dir, "."+name+"."+rand.Text()+".next", name)
	if err != nil {
		return err
	}
	defer next.Discard()
	if _, err := next.Write(content); err != nil {
		return err
	}
	if err := next.Chmod(mode); err != nil {
		return err
	}
	return next.Commit()
}

// removeLeftovers removes the temporary files that earlier calls of Write did not live to rename.
func removeLeftovers(dir *os.Root, name string) {
	seen := 0
	_ = regularfile.EachName(dir.FS(), ".", func(temp string) bool { // the error: a write does not need this
		seen++
		if strings.HasPrefix(temp, "."+name+".") && strings.HasSuffix(temp, ".next") {
			if info, err := dir.Lstat(temp); err == nil && time.Since(info.ModTime()) > leftoverAge {
				dir.Remove(temp)
			}
		}
		return seen < maxNames
	})
}

// Next is a new file that has yet to take the place of another one. Write to it, give it the
// mode and owner it is to have, then call Commit.
type Next struct {
	*os.File
	dir        *os.Root
	temp, name string
}

// Create makes the file temp in dir, with mode 0600, which Commit will rename to name. A file
// called temp that is there already is removed, and a link not followed. The caller keeps dir
// open until Commit or Discard.
func Create(dir *os.Root, temp, name string) (*Next, error) {
	if err := dir.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &Next{File: f, dir: dir, temp: temp, name: name}, nil
}

// Commit closes the file, unless the caller has, and puts it in place. After an error the old
// file is still there and the new one is gone.
func (n *Next) Commit() error {
	err := n.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if err == nil {
		err = n.dir.Rename(n.temp, n.name)
	}
	if err != nil {
		n.Discard()
		return err
	}
	n.temp = ""
	return nil
}

// Discard closes and removes the file. It does nothing after Commit or Discard.
func (n *Next) Discard() {
	if n.temp != "" {
		n.Close()
		n.dir.Remove(n.temp)
		n.temp = ""
	}
}
