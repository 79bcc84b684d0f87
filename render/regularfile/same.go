package regularfile

import (
	"os"
	"path/filepath"
)

// maxLinks is how many symbolic links the kernel follows.
const maxLinks = 40

// Same tells whether two paths lead to one file, by links and mounts of whatever kind, or would if
// there was one.
func Same(a, b string) bool {
	if sameInode(a, b) {
		return true
	}
	dirA, nameA := filepath.Split(target(a))
	dirB, nameB := filepath.Split(target(b))
	return nameA == nameB && (dirA == dirB || sameInode(dirA, dirB))
}

func sameInode(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
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
