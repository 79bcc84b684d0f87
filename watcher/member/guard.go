package member

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Guard closes to others what they may know or change of role tokens. K2HR3's
// own init script leaves its token readable by everybody, in a folder that
// everybody may write to (spec k2hr3 F.1, G6). It changes only what belongs to
// the agent's own user, takes rights away and gives none, and follows no link:
// where others could write, a name may lead anywhere.
//
// The zero Guard is ready for use. What it cannot close it tells of once.
type Guard struct {
	told map[string]string // what was told last, by path
}

// rule is which rights are too many on a folder or file, which of them are taken
// then, and what is said of it.
type rule struct {
	kind           uint32
	tooMany, taken uint32
	done           string
}

var (
	// A group that may write to the folder was meant to.
	folderRule = rule{unix.S_IFDIR, 0o002, 0o022, "everybody could write to the folder of the role token; it is closed to others now"}
	tokenRule  = rule{unix.S_IFREG, 0o077, 0o077, "others could read the role token; it is closed to them now"}
	// A group that may read the token was meant to.
	ownTokenRule = rule{unix.S_IFREG, 0o007, 0o077, "everybody could read the role token; it is closed to others now"}
)

// CloseFolder closes a folder that everybody can write to, and the role token
// called name in it to everybody but its owner. Whatever else is there stays
// readable. It is no matter if folder or token are not there.
func (g *Guard) CloseFolder(dir, name string, log *slog.Logger) {
	folder, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		g.tell(dir, unopened(dir, err), log)
		return
	}
	defer unix.Close(folder)
	g.close(folder, dir, folderRule, log)

	// From the folder that was looked at, whatever has its name by now.
	path := filepath.Join(dir, name)
	file, err := openFile(folder, name)
	if err != nil {
		g.tell(path, unopened(path, err), log)
		return
	}
	defer unix.Close(file)
	g.close(file, path, tokenRule, log)
}

// CloseFile closes a role token that everybody can read.
func (g *Guard) CloseFile(path string, log *slog.Logger) {
	file, err := openFile(unix.AT_FDCWD, path)
	if err != nil {
		g.tell(path, unopened(path, err), log)
		return
	}
	defer unix.Close(file)
	g.close(file, path, ownTokenRule, log)
}

func openFile(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// unopened says why something was not looked at; nil if there is nothing to
// close: because it is not there, because not even the agent can read it, or
// because what a link leads to is closed.
func unopened(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		info, err := os.Stat(path)
		if err != nil || info.Mode().IsRegular() && info.Mode()&0o007 == 0 || info.IsDir() && info.Mode()&0o002 == 0 {
			return nil
		}
		return errors.New("it is a symbolic link, which is not followed")
	}
	return err
}

// close takes rights on an open file or folder from others, and tells of it.
func (g *Guard) close(fd int, path string, r rule, log *slog.Logger) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && st.Mode&r.tooMany == 0 {
		g.tell(path, nil, log)
		return
	}
	if err == nil {
		err = closable(st, r.kind)
	}
	next := st.Mode & 0o7777 &^ r.taken
	if err == nil {
		err = unix.Fchmod(fd, next)
	}
	g.tell(path, err, log)
	if err == nil {
		log.Info(r.done, "path", path, "mode", octal(next), "was", octal(st.Mode&0o7777))
	}
}

// closable says what speaks against changing a mode. A file with a second name
// may be one of the system's that somebody has linked there.
func closable(st unix.Stat_t, kind uint32) error {
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return errors.New("it is not a regular file")
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to user %d, not to the agent's", st.Uid)
	case kind == unix.S_IFREG && st.Nlink != 1:
		return errors.New("it has a second name, and may be another file's")
	}
	return nil
}

// tell warns of what could not be closed, once as long as the reason is the
// same; nil forgets that.
func (g *Guard) tell(path string, err error, log *slog.Logger) {
	if err == nil {
		delete(g.told, path)
		return
	}
	if g.told[path] == err.Error() {
		return
	}
	if g.told == nil {
		g.told = map[string]string{}
	}
	g.told[path] = err.Error()
	log.Warn("others may read the role token or replace it, and the agent cannot close it to them: the file should have mode 0600 and its folder 0755, both root's",
		"path", path, "error", err)
}

func octal(mode uint32) string { return fmt.Sprintf("%04o", mode) }
