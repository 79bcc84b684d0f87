package watcher

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ownMounts is set in a process that may mount what it likes.
const ownMounts = "K2HDKC_TEST_OWN_MOUNTS"

// mounted holds the agent to a row whose host's directory is a file system of its
// own. That takes a process with its own mounts: this test again.
func mounted(t *testing.T, f fault) {
	if os.Getenv(ownMounts) != "" {
		inBubble(t, func(t *testing.T, h *host) {
			h.mount()
			h.suffer(f)
		})
		return
	}
	again(t, &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWNS | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}, ownMounts+"=1")
}

// mount gives the host a small disk.
func (h *host) mount() {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		h.t.Skip(err)
	}
	if err := unix.Mount("tmpfs", h.dir, "tmpfs", 0, "size=256k"); err != nil {
		h.t.Skip(err)
	}
	h.t.Cleanup(func() { unix.Unmount(h.dir, unix.MNT_DETACH) })
	noError(h.t, os.Mkdir(filepath.Dir(h.config.StateFile), 0o755))
	h.setToken(h.token)
}

// readOnly lays a read-only view of the host's directory over it.
func (h *host) readOnly() {
	err := unix.Mount(h.dir, h.dir, "", unix.MS_BIND, "")
	if err = errors.Join(err, unix.Mount("", h.dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) writable() {
	if err := unix.Unmount(h.dir, 0); err != nil {
		h.t.Error(err)
	}
}

// fill leaves no byte on the host's disk.
func (h *host) fill() {
	f, err := os.Create(h.filler())
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	for size := 4096; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

func (h *host) filler() string { return filepath.Join(h.dir, "filler") }

func (h *host) empty() {
	if err := os.Remove(h.filler()); err != nil {
		h.t.Error(err)
	}
}

func mountFaults() []fault {
	const fails = "cannot replace slave.ini"
	return []fault{
		{name: "the disk is full", wrong: "there is no space on the file's disk", does: "keeps the file, leaves nothing behind; says so", run: mounted,
			strike: (*host).fill, heal: (*host).empty, asks: 120, says: []string{fails, "free some space"}},
		{name: "the disk is full and the file is gone", wrong: "somebody deletes the file while there is no space on its disk", does: "puts it back as soon as there is space", run: mounted,
			strike: func(h *host) {
				before := h.file()
				h.fill()
				h.edit(os.Remove)
				// What was freed by that is taken again.
				f, err := os.OpenFile(h.filler(), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					h.t.Fatal(err)
				}
				f.Write(make([]byte, 2*len(before)))
				f.Close()
			}, heal: (*host).empty, edit: true, sees: time.Second, late: true, writes: -1, within: 2 * time.Minute,
			asks: 60, says: []string{"restoring the last good one"}},
		{name: "the disk is read-only", wrong: "the kernel has made the file's disk read-only after an error", does: "keeps the file; says so", run: mounted,
			strike: (*host).readOnly, heal: (*host).writable, asks: 120, says: []string{fails, "read-only"}},
		{name: "the file is a mount point", wrong: "somebody mounts a single file over slave.ini, as container runtimes do", does: "keeps the file; says that its directory is to be mounted instead", run: mounted,
			strike: func(h *host) {
				path := h.config.File.Path
				same := filepath.Join(h.dir, "state", "same.ini")
				b, err := os.ReadFile(path)
				if err = errors.Join(err, os.WriteFile(same, b, 0o644), unix.Mount(same, path, "", unix.MS_BIND, "")); err != nil {
					h.t.Fatal(err)
				}
			}, heal: func(h *host) {
				if err := errors.Join(unix.Unmount(h.config.File.Path, 0), os.Remove(filepath.Join(h.dir, "state", "same.ini"))); err != nil {
					h.t.Error(err)
				}
			}, tries: true, asks: 120, says: []string{fails, "mount its directory instead"}, edit: true},
	}
}
