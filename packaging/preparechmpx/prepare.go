package preparechmpx

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

// host is what chmpx finds when it starts.
type host struct {
	file                         string // its configuration
	memory, queues, proc, msgMax string // paths
	uid, gid                     int    // whom it runs as; gid is that of who may join it
	closed                       bool   // to all others
	log                          *slog.Logger
}

// whom looks up whom the unit runs chmpx as.
func (h *host) whom(files fs.FS, runs chmpxunit.Runs) error {
	var ok bool
	if h.uid, ok = chmpxunit.Number(files, "etc/passwd", runs.User); !ok {
		return fmt.Errorf("there is no user %s in /etc/passwd: systemd-sysusers makes k2hdkc, useradd --system another", runs.User)
	}
	h.gid = -1
	if runs.LetsGroupIn() {
		if h.gid, ok = chmpxunit.Number(files, "etc/group", runs.Group); !ok {
			return fmt.Errorf("there is no group %s in /etc/group: systemd-sysusers makes k2hdkc, groupadd --system another", runs.Group)
		}
	}
	h.closed = !runs.LetsOthersIn()
	return nil
}

// prepare does what is needed, all of it that can be done.
func (h *host) prepare() error {
	errs := []error{Folder(h.memory, h.gid, h.closed)}
	text, err := regularfile.Read(h.file, render.MaxFile)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, h.letRead())
	if c, _ := chmpx.Load(text, nil); c != nil { // else chmpx says what is wrong with it
		errs = append(errs, h.clear(c.Group, max(c.SelfCtlPort, 0)), h.raise(c.MaxMQServer+c.MaxMQClient))
	}
	return errors.Join(errs...)
}

// Folder makes the folder of chmpx's memory that of a group, whose members make and remove files in
// it, and closes it to others if they cannot join chmpx anyway. Without a group (-1) everybody may
// write there, as chmpx's own package has it, unless the folder was there.
func Folder(dir string, gid int, closed bool) error {
	mode := fs.FileMode(0o777)
	if gid >= 0 {
		mode = fs.ModeSetgid | 0o777
		if closed {
			mode = fs.ModeSetgid | 0o770
		}
	}
	err := os.Mkdir(dir, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make the folder of chmpx's memory: %w", err)
	}
	if !made && gid < 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); gid >= 0 && (!ok || int(st.Gid) != gid) {
		// Its owner stays: a folder of chmpx's own user does as well as one of root's.
		if err := os.Chown(dir, -1, gid); err != nil {
			return err
		}
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	if info.Mode()&bits == mode {
		return nil
	}
	return os.Chmod(dir, mode)
}

// letRead gives the file to chmpx's group if it is one that chmpx's user cannot read.
func (h *host) letRead() error {
	info, err := os.Stat(h.file)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || h.uid == 0 || h.gid < 0 {
		return nil
	}
	mode := info.Mode().Perm()
	switch {
	case int(st.Uid) == h.uid && mode&0o400 != 0, int(st.Gid) == h.gid && mode&0o040 != 0, mode&0o004 != 0:
		return nil
	}
	if err := os.Chown(h.file, -1, h.gid); err != nil {
		return err
	}
	if err := os.Chmod(h.file, mode|0o040); err != nil {
		return err
	}
	h.log.Info("slave.ini now belongs to chmpx's group, since chmpx's user could not read it", "file", h.file, "mode", fmt.Sprintf("%04o", mode|0o040), "gid", h.gid)
	return nil
}

// clear removes what a chmpx of another user has left: its state, and the queues that nobody else
// may remove (docs/chmpx.md K.4). Root's chmpx needs none of that.
func (h *host) clear(group string, ctlPort int) error {
	if h.uid == 0 || group == "" || strings.Contains(group, "/") {
		return nil
	}
	name := filepath.Join(h.memory, daemon.StateName(group, ctlPort))
	state := []string{name + ".chmpx", name + ".k2h"}
	use, err := h.inUse()
	if err != nil {
		return err
	}
	var errs []error
	var before []int // whom it ran as
	removed := 0
	for _, path := range state {
		uid, id, ok := owner(path)
		if !ok || uid == h.uid {
			continue
		}
		if use.byChmpx[id] {
			return fmt.Errorf("another chmpx, of uid %d, runs on %s: end it", uid, path)
		}
		before = append(before, uid)
		removed += remove(path, &errs)
	}
	names, err := names(h.queues)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	// Beside another chmpx of the group, as on a server node, what somebody has open may be its.
	beside := slices.ContainsFunc(names, func(name string) bool {
		_, id, ok := owner(filepath.Join(h.queues, name))
		return ok && isQueue(name, group) && use.byChmpx[id]
	})
	for _, name := range names {
		path := filepath.Join(h.queues, name)
		uid, id, ok := owner(path)
		if !ok || uid == h.uid || !isQueue(name, group) {
			continue
		}
		// Those of programs that have joined are theirs, unless chmpx ran as the same user.
		if !use.byAnybody[id] || !beside && slices.Contains(before, uid) {
			removed += remove(path, &errs)
		}
	}
	if removed > 0 {
		h.log.Info("what a chmpx of another user had left is removed", "group", group, "files", removed)
	}
	return errors.Join(errs...)
}

// isQueue tells whether a queue is one of a group of chmpx's.
func isQueue(name, group string) bool {
	id, ok := strings.CutPrefix(name, group+".")
	_, err := strconv.ParseUint(id, 16, 64)
	return ok && len(id) == 16 && err == nil
}

func remove(path string, errs *[]error) (removed int) {
	if err := os.Remove(path); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			*errs = append(*errs, fmt.Errorf("cannot remove what a chmpx of another user has left: %w", err))
		}
		return 0
	}
	return 1
}

// file identifies one, whatever its names.
type file struct{ dev, ino uint64 }

// owner returns whose a file is; ok is false if there is none.
func owner(path string) (uid int, id file, ok bool) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, file{}, false
	}
	return int(st.Uid), file{st.Dev, st.Ino}, true
}

// use is which files processes have open.
type use struct{ byChmpx, byAnybody map[file]bool }

// inUse looks through all processes. A chmpx holds its queues and its state open while it runs.
func (h *host) inUse() (use, error) {
	u := use{map[file]bool{}, map[file]bool{}}
	processes, err := names(h.proc)
	if err != nil {
		return u, err
	}
	for _, pid := range processes {
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		dir := filepath.Join(h.proc, pid)
		comm, _ := regularfile.Read(filepath.Join(dir, "comm"), regularfile.Small)
		fds, _ := names(filepath.Join(dir, "fd")) // it may have ended
		for _, fd := range fds {
			var st unix.Stat_t
			if unix.Stat(filepath.Join(dir, "fd", fd), &st) != nil {
				continue
			}
			id := file{st.Dev, st.Ino}
			u.byAnybody[id] = true
			if string(comm) == "chmpx\n" {
				u.byChmpx[id] = true
			}
		}
	}
	return u, nil
}

func names(dir string) ([]string, error) {
	d, err := regularfile.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// raise sees to it that queues may be as deep as chmpx needs them.
func (h *host) raise(need int) error {
	if h.uid == 0 {
		return nil
	}
	text, err := regularfile.Read(h.msgMax, regularfile.Small)
	if err != nil {
		return err
	}
	now, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || now >= need {
		return err
	}
	f, err := os.OpenFile(h.msgMax, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(need))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("fs.mqueue.msg_max is %d, and a chmpx that does not run as root needs %d (MAXMQSERVER + MAXMQCLIENT): raise it on the machine that this container runs on, or set chmpx-user = root: %w", now, need, err)
	}
	return nil
}
