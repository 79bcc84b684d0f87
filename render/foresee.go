package render

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// leastRoom is the room that a replacement of a file needs which is not there yet, in bytes. A file
// of a hundred nodes has some 20 KiB.
const leastRoom = 64 << 10

// room is the room that a replacement needs: twice the file, since a parked one may be there too.
func (f File) room() uint64 {
	info, err := os.Lstat(f.Path)
	if err != nil || info.Size() < leastRoom/2 {
		return leastRoom
	}
	return 2 * uint64(info.Size())
}

// Foresee returns an error if a replacement of the file would fail, as far as that shows without
// writing anything; it is the error that the replacement would have.
func (f File) Foresee() error {
	if err := f.Check(); err != nil {
		return err
	}
	if err := f.foresee(filepath.Dir(f.Path)); err != nil {
		return f.cannotReplace(err)
	}
	return nil
}

func (f File) foresee(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	switch {
	case fs.Flags&unix.ST_RDONLY != 0:
		return syscall.EROFS
	case fs.Blocks > 0 && fs.Bavail*uint64(max(fs.Bsize, 1)) < f.room():
		return fmt.Errorf("%d KiB are free: %w", fs.Bavail*uint64(max(fs.Bsize, 1))>>10, syscall.ENOSPC)
	case noInode(dir):
		return syscall.ENOSPC
	case isMountPoint(f.Path):
		return syscall.EBUSY
	case Frozen(dir) != "" || Frozen(f.Path) != "":
		return syscall.EPERM
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &os.PathError{Op: "write in", Path: dir, Err: err}
	}
	return nil
}

// maxMounts bounds the list of mounts, in bytes.
const maxMounts = 4 << 20

// isMountPoint tells whether something is mounted at path itself.
func isMountPoint(path string) bool {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return false
	}
	b, err := regularfile.Read("/proc/thread-self/mountinfo", maxMounts)
	if err != nil {
		return false
	}
	// A blank in a path is \040 there, and so on (proc_pid_mountinfo(5)).
	escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	want := escape.Replace(filepath.Join(dir, filepath.Base(path)))
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == want {
			return true
		}
	}
	return false
}

// OtherNames returns how many names the file has besides its own and that of the previous file,
// which the agent keeps for a moment: as long as it has another one, chmpx does not hear of a
// replacement (docs/chmpx.md D.4). Without a file there are none.
func (f File) OtherNames() int {
	info, err := os.Lstat(f.Path)
	if err != nil {
		return 0
	}
	names := int(info.Sys().(*syscall.Stat_t).Nlink) - 1
	if previous, err := os.Lstat(f.previousPath()); err == nil && os.SameFile(info, previous) {
		names--
	}
	return max(names, 0)
}
