package maintain

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/packaging/preparechmpx"
	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
)

// mark begins the copy of the drop-in that a removal leaves for chmpx. The deb's
// postrm knows it, too.
const mark = "# Left by the removal of k2hdkc-slave-agent"

// enableChmpx enables the unit that waits for the agent's first file, once: its own
// package leaves that to somebody, and where user data brings both there is nobody.
// K2HR3's script, which is meant to, does not get that far as root.
func (h *host) enableChmpx() {
	unit := h.Options.Unit
	if unit == "" || !h.Options.Start || !h.Configured() || h.exists(enabledOnce) {
		return
	}
	switch state, _ := h.ask("systemctl", "is-enabled", unit); {
	case state == "disabled":
		if _, status := h.ask("systemctl", "--quiet", "enable", unit); status != 0 {
			return
		}
		h.say("%s is enabled; it starts when its configuration is there. After systemctl disable %[1]s it stays disabled.", unit)
	case !strings.HasPrefix(state, "enabled"):
		return
	}
	if atomicfile.MakeFolders(h.path(stateDir), 0o755) == nil {
		_ = atomicfile.Write(h.path(enabledOnce), nil, 0o644) // without it the unit is enabled once more
	}
}

// makeMemoryFolder makes the folder of chmpx's memory, as chmpx's own package does.
// One that comes after the agent was started, as with both packages at once, would
// be closed to it until it is started anew. A chmpx that runs without it has its
// memory in /tmp, and who joins it would look for that in a folder that came.
func (h *host) makeMemoryFolder() {
	if h.exists(chmpxMemory) || h.chmpxRuns() || !h.Configured() {
		return
	}
	runs, _ := chmpxunit.Read(regularfile.Dir(h.root), h.Options, true) // its unit's start says what is wrong
	gid := -1
	if runs.LetsGroupIn() {
		if n, ok := chmpxunit.Number(regularfile.Dir(h.root), "etc/group", runs.Group); ok {
			gid = n
		}
	}
	_ = preparechmpx.Folder(h.path(chmpxMemory), gid, !runs.LetsOthersIn())
}

// makeUsers makes the user that chmpx runs as, and the group of the programs that may join it,
// where there are none: as the package's sysusers.d has them, by systemd or without it.
func (h *host) makeUsers() {
	const account = options.ServiceAccount
	h.ask("systemd-sysusers", sysusers)
	files := regularfile.Dir(h.root)
	if _, ok := chmpxunit.Number(files, "etc/group", account); !ok {
		h.tell("groupadd", "--system", account)
	}
	if _, ok := chmpxunit.Number(files, "etc/passwd", account); !ok {
		h.tell("useradd", "--system", "--gid", account, "--home-dir", "/", "--no-create-home", "--shell", "/usr/sbin/nologin", account)
	}
	_, user := chmpxunit.Number(files, "etc/passwd", account)
	_, group := chmpxunit.Number(files, "etc/group", account)
	if !user || !group {
		h.say("there is no user and group %s, and they cannot be made; chmpx.service cannot start before there are.", account)
	}
}

// chmpxRuns tells whether there is a process of chmpx's, whoever started it.
func (h *host) chmpxRuns() bool {
	names, _ := filepath.Glob(h.path("/proc/[0-9]*/comm"))
	for _, name := range names {
		if comm, err := regularfile.Read(name, regularfile.Small); err == nil && string(comm) == "chmpx\n" {
			return true
		}
	}
	return false
}

// chmpxHere tells whether this host has a chmpx.
func (h *host) chmpxHere() bool {
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		if h.exists(filepath.Join(dir, "chmpx.service")) {
			return true
		}
	}
	return h.chmpxRuns()
}

// leaveBehind lets chmpx.service go on with the file it has, also after a reboot. An
// administrator's own drop-in of that name stays as it is. Where there is no file to
// go on with, nothing is left.
func (h *host) leaveBehind() {
	info, err := os.Stat(h.path(slaveINI))
	if err != nil || info.Size() == 0 || h.exists(ownDropIn) || !h.chmpxHere() {
		return
	}
	vendor, err := regularfile.Read(h.path(vendorDropIn), regularfile.Small)
	if err != nil {
		return
	}
	runs, _ := chmpxunit.Read(regularfile.Dir(h.root), h.Options, chmpxunit.UserNamespaces())
	file := h.path(ownDropIn)
	err = atomicfile.MakeFolders(filepath.Dir(file), 0o755)
	if err == nil {
		err = atomicfile.Write(file, leftDropIn(vendor, runs.Options), 0o644)
	}
	if err != nil {
		h.say("chmpx.service will not find %s after a reboot: %v", slaveINI, err)
	}
}

// leftDropIn makes what is left of the package's drop-in: all but its comments, and
// what runs a program of the package; and what the options had otherwise.
func leftDropIn(vendor []byte, options []string) []byte {
	left := []byte(mark + ", so that chmpx keeps running on\n" +
		"# " + slaveINI + ". Installing the package again, or purging it, takes this away; it\n" +
		"# may be deleted as soon as chmpx is configured in another way.\n")
	for line := range bytes.Lines(vendor) {
		if line[0] != '#' && !bytes.Contains(line, []byte("/usr/libexec/k2hdkc-slave-agent/")) {
			left = append(left, line...)
		}
	}
	for _, line := range options {
		left = append(left, line+"\n"...)
	}
	return left
}

// removeLeft removes what leaveBehind has left.
func (h *host) removeLeft() {
	file := h.path(ownDropIn)
	if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
		return
	}
	text, err := regularfile.Read(file, regularfile.Small)
	if err != nil || !bytes.HasPrefix(text, []byte(mark)) {
		return
	}
	os.Remove(file)
	os.Remove(filepath.Dir(file)) // unless there is more in it
}
