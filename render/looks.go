package render

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// aclAttr is where the kernel keeps who may read a file besides its owner and group.
const aclAttr = "system.posix_acl_access"

// dress gives a new file the looks of the one that it is to replace, nil if there is none: owner,
// group, mode and extended attributes, which have its ACL and label. What the file cannot have is
// an error, for chmpx or somebody else may depend on it.
//
// Whatever the order of the steps, nobody may read the new file who may not read the old one.
func (f File) dress(w *os.File, old fs.FileInfo) error {
	if err := f.chown(w, old); err != nil {
		return err
	}
	if old == nil {
		return w.Chmod(f.mode(nil))
	}
	acl, err := f.copyAttributes(w)
	if err != nil {
		return err
	}
	if acl { // the mode goes with it
		return nil
	}
	return w.Chmod(f.mode(old))
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

// chown gives the new file its owner.
func (f File) chown(w *os.File, old fs.FileInfo) error {
	now, err := w.Stat()
	if err != nil {
		return err
	}
	uid, gid := ids(now)
	wantUID, wantGID := uid, os.Getegid() // of a first file: a setgid folder has given it its own group
	if old != nil {
		wantUID, wantGID = ids(old)
	}
	wantUID, wantGID = f.owner(wantUID, wantGID)
	if wantUID == uid && wantGID == gid {
		return nil
	}
	err = w.Chown(wantUID, wantGID)
	if old == nil && f.Owner == nil && f.Group == nil && errors.Is(err, fs.ErrPermission) {
		return nil // of a file system that has its own idea of groups, and nobody has asked for one
	}
	if err != nil {
		return fmt.Errorf("cannot give it the owner %d:%d: %w; set owner and group to those that this agent may give a file to, or chown the old file to %d:%d", wantUID, wantGID, err, uid, gid)
	}
	return nil
}

// owner returns whose a new file is that would be uid's and gid's otherwise.
func (f File) owner(uid, gid int) (int, int) {
	if f.Owner != nil {
		uid = *f.Owner
	}
	if f.Group != nil {
		gid = *f.Group
	}
	return uid, gid
}

func ids(fi fs.FileInfo) (uid, gid int) {
	st := fi.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}

// copyAttributes gives the new file the extended attributes of the old one, and reports whether it
// has an ACL now. A new file has some from its folder: a label that a confined chmpx may not be
// allowed to read, or an ACL.
func (f File) copyAttributes(w *os.File) (acl bool, err error) {
	names, err := attributes(f.Path)
	if err != nil {
		return false, fmt.Errorf("cannot list the extended attributes of the old file: %w", err)
	}
	for _, name := range names {
		value, err := attribute(f.Path, name)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
			continue // it has gone, or is one that the kernel only names
		}
		if err == nil && name == aclAttr {
			acl = true
			value = f.inACL(value)
		}
		if err == nil {
			err = setAttribute(w, name, value)
		}
		if err != nil {
			return false, notGiven(name, err)
		}
	}
	if acl {
		return true, nil
	}
	err = unix.Fremovexattr(int(w.Fd()), aclAttr)
	if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
		return false, fmt.Errorf("cannot take the ACL from it that its folder gives to new files: %w", err)
	}
	return false, nil
}

// HasACL tells whether an open file has an ACL. To replace it by another one takes a user namespace
// that has those who are named there.
func HasACL(f *os.File) bool {
	n, err := unix.Fgetxattr(int(f.Fd()), aclAttr, nil)
	return err == nil && n > 0
}

// notGiven says why the new file has an attribute not.
func notGiven(name string, err error) error {
	switch {
	case name != aclAttr:
		return fmt.Errorf("cannot give it the extended attribute %s of the old file: %w", name, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("cannot give it the ACL of the old file, which names a user or group that the agent's user namespace does not have (PrivateUsers= of its unit): %w", err)
	}
	return fmt.Errorf("cannot give it the ACL of the old file: %w", err)
}

// bound are attributes that belong to one inode and its content. The kernel makes them.
var bound = []string{"security.ima", "security.evm"}

// attributes returns the names of a file's extended attributes, none where the file system has
// none.
func attributes(path string) ([]string, error) {
	for {
		n, err := unix.Llistxattr(path, nil)
		if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
			return nil, nil
		}
		b := make([]byte, n)
		if err == nil {
			n, err = unix.Llistxattr(path, b)
		}
		if errors.Is(err, unix.ERANGE) {
			continue // one more by now
		}
		if err != nil {
			return nil, &fs.PathError{Op: "listxattr", Path: path, Err: err}
		}
		names := strings.Split(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00")
		return slices.DeleteFunc(names, func(name string) bool { return name == "" || slices.Contains(bound, name) }), nil
	}
}

func attribute(path, name string) ([]byte, error) {
	b := make([]byte, 64<<10) // the kernel's own limit
	n, err := unix.Lgetxattr(path, name, b)
	if err != nil {
		return nil, &fs.PathError{Op: "getxattr", Path: path, Err: err}
	}
	return b[:n], nil
}

// setAttribute leaves an attribute alone that is right: to set it may take a right that the agent
// does not have.
func setAttribute(w *os.File, name string, value []byte) error {
	now := make([]byte, len(value)+1)
	if n, err := unix.Fgetxattr(int(w.Fd()), name, now); err == nil && string(now[:n]) == string(value) {
		return nil
	}
	if err := unix.Fsetxattr(int(w.Fd()), name, value, 0); err != nil {
		return &fs.PathError{Op: "setxattr", Path: w.Name(), Err: err}
	}
	return nil
}

// The tags of an ACL's entries for owner, group and everybody else (linux/posix_acl.h).
const (
	aclOwner, aclGroup, aclOther = 0x01, 0x04, 0x20

	aclHeader, aclEntry = 4, 8 // bytes; an entry is tag, rights and id
)

// inACL puts the mode that the operator wants, if any, into an ACL: the group's rights are the
// group's there, and not the most that anybody named may have.
func (f File) inACL(acl []byte) []byte {
	if f.Mode == nil {
		return acl
	}
	acl = slices.Clone(acl)
	for at := aclHeader; at+aclEntry <= len(acl); at += aclEntry {
		rights := uint16(*f.Mode)
		switch binary.LittleEndian.Uint16(acl[at:]) {
		case aclOwner:
			rights >>= 6
		case aclGroup:
			rights >>= 3
		case aclOther:
		default:
			continue
		}
		binary.LittleEndian.PutUint16(acl[at+2:], rights&0o7)
	}
	return acl
}

// Frozen is what chattr has set on a file or folder that keeps it from being replaced, or "".
func Frozen(path string) string {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st); err != nil {
		return ""
	}
	switch {
	case st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0:
		return "i"
	case st.Attributes&unix.STATX_ATTR_APPEND != 0:
		return "a"
	}
	return ""
}
