package member

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Guard keeps others from reading or replacing role tokens. K2HR3's own init script leaves its
// token readable by everybody, in a folder that everybody may write to (docs/k2hr3.md F.1, G6).
// Guard changes only what belongs to the agent's own user, takes rights away and gives none, and
// follows no link: where others could write, a name may lead anywhere.
//
// The zero Guard is ready for use, also concurrently. It logs once what it cannot close.
type Guard struct {
	mu     sync.Mutex
	failed map[string]string // why a path could not be closed, as it was logged last
}

// rule says which rights on a folder or file are too many, which ones Guard takes away then, and
// how it logs that.
type rule struct {
	kind           uint32
	tooMany, taken uint32
	logTaken       func(log *slog.Logger, args ...any)
}

var (
	// A group that may write to the folder was meant to.
	folderRule = rule{unix.S_IFDIR, 0o002, 0o022, func(log *slog.Logger, args ...any) {
		log.Info("everybody could write to the folder of the role token; the agent has closed it to others", args...)
	}}
	tokenRule = rule{unix.S_IFREG, 0o077, 0o077, func(log *slog.Logger, args ...any) {
		log.Info("others could read the role token; the agent has closed it to them", args...)
	}}
	// A group that may read the token was meant to. K2HR3's script does not write this file.
	ownTokenRule = rule{unix.S_IFREG, 0o007, 0o077, func(log *slog.Logger, args ...any) {
		log.Warn("everybody could read the role token; the agent has closed it to others, and whoever may have read it has the token", args...)
	}}
	userTokenRule = rule{unix.S_IFREG, 0o007, 0o077, func(log *slog.Logger, args ...any) {
		log.Warn("everybody could read the user's token; the agent has closed it to others, and whoever may have read it can act as that user", args...)
	}}
)

// CloseFolder closes a folder that everybody can write to, and closes the role token called name in
// it to everybody but its owner. Whatever else is there stays readable. Folder and token need not
// exist.
func (g *Guard) CloseFolder(dir, name string, log *slog.Logger) {
	folder, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		g.warn(dir, unopened(dir, err), log)
		return
	}
	defer unix.Close(folder)
	g.close(folder, dir, folderRule, log)

	// From the open folder, whatever has its name by now.
	path := filepath.Join(dir, name)
	file, err := openFile(folder, name)
	if err != nil {
		g.warn(path, unopened(path, err), log)
		return
	}
	defer unix.Close(file)
	g.close(file, path, tokenRule, log)
}

// CloseFile closes a role token that everybody can read.
func (g *Guard) CloseFile(path string, log *slog.Logger) { g.closeFile(path, ownTokenRule, log) }

// CloseUserToken closes a user's token that everybody can read.
func (g *Guard) CloseUserToken(path string, log *slog.Logger) { g.closeFile(path, userTokenRule, log) }

func (g *Guard) closeFile(path string, r rule, log *slog.Logger) {
	file, err := openFile(unix.AT_FDCWD, path)
	if err != nil {
		g.warn(path, unopened(path, err), log)
		return
	}
	defer unix.Close(file)
	g.close(file, path, r, log)
}

func openFile(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// unopened returns the error for what could not be opened; nil if there is nothing to close:
// because it is not there, because not even the agent can read it, or because what a link leads to
// is closed.
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

// close takes rights on an open file or folder from others, and logs that.
func (g *Guard) close(fd int, path string, r rule, log *slog.Logger) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && st.Mode&r.tooMany == 0 {
		g.warn(path, nil, log)
		return
	}
	if err == nil {
		err = closable(st, r.kind)
	}
	next := st.Mode & 0o7777 &^ r.taken
	if err == nil {
		err = unix.Fchmod(fd, next)
	}
	g.warn(path, err, log)
	if err == nil {
		r.logTaken(log, "path", path, "mode", octal(next), "was", octal(st.Mode&0o7777))
	}
}

// closable returns what speaks against changing a mode. A file with a second name may be one of the
// system's that somebody has linked there.
func closable(st unix.Stat_t, kind uint32) error {
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return errors.New("it is not a regular file")
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to user %d, not to the agent's", st.Uid)
	case kind == unix.S_IFREG && st.Nlink != 1:
		return errors.New("it has a second name, and may be another program's file")
	}
	return nil
}

// warn logs what could not be closed, once as long as the reason is the same; nil forgets that.
func (g *Guard) warn(path string, err error, log *slog.Logger) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		delete(g.failed, path)
		return
	}
	if g.failed[path] == err.Error() {
		return
	}
	if g.failed == nil {
		g.failed = map[string]string{}
	}
	g.failed[path] = err.Error()
	log.Warn("others may read the role token or replace it, and the agent cannot close it to them: the file should have mode 0600 and its folder 0755, both root's",
		"path", path, "error", err)
}

func octal(mode uint32) string { return fmt.Sprintf("%04o", mode) }
