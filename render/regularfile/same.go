package regularfile

import (
	"os"
	"path/filepath"
)

// maxLinks is how many symbolic links the kernel follows.
const maxLinks = 40

// Location is where a path leads, whether there is a file or not.
type Location struct {
	file os.FileInfo // nil: there is none
	dir  os.FileInfo // nil: there is none
	path string      // dir's and name, after the links at the path itself
	name string
}

// Locate finds out where a path leads.
func Locate(path string) Location {
	l := Location{path: target(path)}
	dir, name := filepath.Split(l.path)
	l.name = name
	l.file = stat(l.path)
	l.dir = stat(dir)
	return l
}

func stat(path string) os.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// Same tells whether two paths lead to one file, by links and mounts of whatever kind, or would if
// there was one.
func (l Location) Same(m Location) bool {
	switch {
	case l.file != nil && m.file != nil && os.SameFile(l.file, m.file):
		return true
	case l.dir != nil && m.dir != nil:
		return l.name == m.name && os.SameFile(l.dir, m.dir)
	}
	return l.path == m.path
}

// target follows the links at a path itself, also to where there is no file yet.
func target(path string) string {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			dir, _ := filepath.Split(path)
			to = dir + to
		}
		path = to
	}
	return path
}
