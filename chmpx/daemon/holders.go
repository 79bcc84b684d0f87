package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

const (
	maxHolders     = 16
	holdersTimeout = 2 * time.Second
	// gone is what the kernel adds to the path of an open file without that
	// name any more.
	gone = " (deleted)"
)

// ErrNotAll says that a search could not look everywhere.
var ErrNotAll = errors.New("not everything could be looked through")

// Inode is one file, whatever its names. The zero value is a file that is not
// known.
type Inode struct {
	Dev, Ino uint64
	// Born is when it was made, in nanoseconds since 1970, or 0 if the file system
	// does not keep that. A file system soon gives the number of a file that is gone
	// to another.
	Born int64
}

// InodeOf returns the file at path, after symbolic links, as chmpx's own watch
// sees it (docs/chmpx.md D.1). It does not open the file.
func InodeOf(path string) (Inode, error) {
	i, err := inodeAt(path, 0)
	if err != nil {
		return Inode{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return i, nil
}

// inodeAt returns what the kernel knows already, so that no server of a network
// file system has to answer.
func inodeAt(path string, flags int) (Inode, error) {
	var st unix.Statx_t
	flags |= unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	if err := unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return Inode{}, err
	}
	i := Inode{Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		i.Born = st.Btime.Sec*int64(time.Second) + int64(st.Btime.Nsec)
	}
	return i, nil
}

// Holder is what keeps a replaced file alive: a process that has it open, or
// another name of it.
type Holder struct {
	PID     int    // 0: a hard link
	Program string // the process's name as the kernel has it, 15 bytes at most
	Path    string // the hard link, or the name the process has it open by
}

// String names it for a message.
func (h Holder) String() string {
	if h.PID == 0 {
		return fmt.Sprintf("the hard link %q", h.Path)
	}
	return fmt.Sprintf("process %d (%q)", h.PID, h.Program)
}

// Holders finds what keeps the old file of path alive after another one was
// renamed over it. As long as something does, chmpx does not notice the new file
// (docs/chmpx.md D.4). It finds hard links in the same folder, and processes that
// have the old file open. old is its inode, taken before the rename; if that is
// not known, Holders finds only processes, by the name they opened it by.
//
// It opens none of these files, takes two seconds at most, and lists 16 at
// most. With an error that is ErrNotAll it returns what it found nevertheless: the
// time was up, ctx ended, or this process may not look into some others. That takes
// CAP_SYS_PTRACE, which even root does not have in a hardened unit. It does not
// find mappings without a descriptor, and hard links in other folders.
func Holders(ctx context.Context, path string, old Inode) ([]Holder, error) {
	return holders(ctx, "/proc", path, old)
}

func holders(ctx context.Context, proc, path string, old Inode) ([]Holder, error) {
	ctx, stop := context.WithTimeout(ctx, holdersTimeout)
	defer stop()
	s := search{ctx: ctx, proc: proc, path: path, old: old}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		s.path = filepath.Join(dir, filepath.Base(path))
	}
	err := errors.Join(s.links(), s.processes())
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrNotAll, err)
	}
	return s.found, err
}

type search struct {
	ctx   context.Context
	proc  string
	path  string
	old   Inode
	found []Holder
}

// links looks for other names in the folder of the file.
func (s *search) links() error {
	if s.old == (Inode{}) {
		return nil
	}
	dir := filepath.Dir(s.path)
	return s.each(dir, func(name string) {
		path := filepath.Join(dir, name)
		if i, err := inodeAt(path, unix.AT_SYMLINK_NOFOLLOW); err == nil && i == s.old && path != s.path {
			s.found = append(s.found, Holder{Path: path})
		}
	})
}

// processes looks for open descriptors.
func (s *search) processes() error {
	closed := 0
	err := s.each(s.proc, func(name string) {
		pid, err := strconv.Atoi(name)
		if err != nil {
			return
		}
		if !s.process(pid) {
			closed++
		}
	})
	if closed > 0 && err == nil {
		err = fmt.Errorf("user %d may not see which files some processes (%d) have open: that takes CAP_SYS_PTRACE; run `lsof +L1` as root to list them", os.Geteuid(), closed)
	}
	return err
}

// process looks into one process and reports whether it could.
func (s *search) process(pid int) bool {
	dir := filepath.Join(s.proc, strconv.Itoa(pid))
	held := ""
	err := s.each(filepath.Join(dir, "fd"), func(fd string) {
		if held == "" {
			held = s.holds(filepath.Join(dir, "fd", fd))
		}
	})
	if held != "" {
		comm, _ := regularfile.Read(filepath.Join(dir, "comm"), regularfile.Small)
		s.found = append(s.found, Holder{PID: pid, Program: strings.TrimSpace(string(comm)), Path: held})
	}
	ended := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
	return err == nil || ended || s.ctx.Err() != nil
}

// holds returns the name by which a descriptor has the old file open, or "". It
// examines only files that have lost their name.
func (s *search) holds(fd string) string {
	link, err := os.Readlink(fd)
	if err != nil {
		return ""
	}
	name, ok := strings.CutSuffix(link, gone)
	if !ok {
		return ""
	}
	if s.old == (Inode{}) {
		if name == s.path {
			return name
		}
		return ""
	}
	if i, err := inodeAt(fd, 0); err != nil || i != s.old {
		return ""
	}
	return name
}

// each calls f for the names in a folder, until there are enough holders or
// the search ends.
func (s *search) each(dir string, f func(name string)) error {
	err := regularfile.EachName(regularfile.Dir(dir), ".", func(name string) bool {
		if len(s.found) == maxHolders || s.ctx.Err() != nil {
			return false
		}
		f(name)
		return true
	})
	if len(s.found) < maxHolders {
		err = cmp.Or(err, s.ctx.Err())
	}
	return err
}
