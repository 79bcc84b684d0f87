package render

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Reader is a process that reads files, as far as that decides which ones it may read.
type Reader struct {
	UID    int
	Groups []int // its group first
	// All: owner, group and mode keep it from nothing (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH).
	All bool
	// Elsewhere: it may see other folders above that of a file, as in a container.
	Elsewhere bool
}

// Bar is what keeps a reader from a file: the file itself, or a folder on the way to it.
type Bar struct {
	Path     string
	Mode     fs.FileMode // with its type
	UID, GID int
}

// Looks are its mode and owner in words.
func (b Bar) Looks() string {
	return fmt.Sprintf("mode %04o, owner %d:%d", b.Mode.Perm(), b.UID, b.GID)
}

// The rights that somebody needs, as the mode has them for others.
const (
	toRead  = 0o4
	toEnter = 0o1
)

// overflow is the owner or group that the kernel shows in place of each one that the user namespace
// of this process does not have: two of them may be different ones.
const overflow = 65534

// may tells whether r has a right to a file. Where that is not sure, it has.
func (r Reader) may(uid, gid int, mode fs.FileMode, right fs.FileMode) bool {
	has := func(shift int) bool { return mode.Perm()>>shift&right == right }
	switch {
	case r.All:
		return true
	case uid == r.UID && (has(6) || uid != overflow):
		return has(6)
	case slices.Contains(r.Groups, gid) && (has(3) || gid != overflow):
		return has(3)
	}
	return has(0)
}

// Bar returns what surely keeps r from reading the file at path. It is nil if nothing does, or if
// that is not sure: there is an ACL, say, or this process cannot look at all of it.
func (r Reader) Bar(path string) *Bar {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	if b := barOf(path, info); !r.may(b.UID, b.GID, b.Mode, toRead) && certain(path) {
		return &b
	}
	return r.onTheWay(filepath.Dir(path))
}

// Bar is [Reader.Bar] for what would be at the path of the file once it is replaced.
func (f File) Bar(r Reader) *Bar {
	root, old, err := f.open()
	if err != nil {
		return nil // there is no replacement, and Stage says why
	}
	defer root.Close()
	dir, err := filepath.EvalSymlinks(filepath.Dir(f.Path))
	if err != nil {
		return nil
	}
	b := Bar{Path: f.Path, Mode: f.mode(old)}
	dressedAs := f.Path
	if old == nil { // as the kernel makes a new file
		info, err := root.Stat(".")
		if err != nil {
			return nil
		}
		dressedAs, b.UID, b.GID = dir, os.Geteuid(), os.Getegid()
		if info.Mode()&fs.ModeSetgid != 0 {
			_, b.GID = ids(info)
		}
	} else {
		b.UID, b.GID = ids(old)
	}
	b.UID, b.GID = f.owner(b.UID, b.GID)
	if !r.may(b.UID, b.GID, b.Mode, toRead) && certain(dressedAs) {
		return &b
	}
	return r.onTheWay(dir)
}

// onTheWay returns the folder that keeps r from what is in dir, which has no symbolic link in it.
func (r Reader) onTheWay(dir string) *Bar {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return nil
		}
		if b := barOf(dir, info); !r.may(b.UID, b.GID, b.Mode, toEnter) && certain(dir) {
			return &b
		}
		up := filepath.Dir(dir)
		if up == dir || r.Elsewhere {
			return nil
		}
		dir = up
	}
}

func barOf(path string, info fs.FileInfo) Bar {
	b := Bar{Path: path, Mode: info.Mode()}
	b.UID, b.GID = ids(info)
	return b
}

// certain tells whether owner, group and mode are all that could let somebody to a file: it has no
// ACL of any kind, and this kernel, rather than a server, looks at them.
func certain(path string) bool {
	names, err := attributes(path)
	if err != nil || slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "acl") }) {
		return false
	}
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.FUSE_SUPER_MAGIC, unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.V9FS_MAGIC:
		return false
	}
	return true
}
