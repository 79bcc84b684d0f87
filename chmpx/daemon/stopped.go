package daemon

import (
	"path/filepath"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/render/regularfile"
)

// Stopped tells whether a signal, a debugger or the freezer of its cgroup has stopped the chmpx of
// a status: it does nothing then, and needs no restart to go on. What is not seen is not stopped.
func (*Prober) Stopped(st Status) bool { return Stopped("/proc", "/sys/fs/cgroup", st.PID) }

// Stopped is that for a process of chmpx's, by what the kernel shows in these folders.
func Stopped(proc, cgroups string, pid int) bool {
	// In another PID namespace the number may be that of any process.
	p := processOf(proc, pid)
	return p.name == program && (p.state == 'T' || p.state == 't' || frozen(proc, cgroups, pid))
}

// frozen tells whether the cgroup of a process is frozen. The state of the process does not tell.
func frozen(proc, cgroups string, pid int) bool {
	b, err := regularfile.Read(filepath.Join(proc, strconv.Itoa(pid), "cgroup"), regularfile.Small)
	if err != nil {
		return false
	}
	shows := func(path, words string) bool {
		b, err := regularfile.Read(filepath.Join(cgroups, path), regularfile.Small)
		return err == nil && strings.Contains(string(b), words)
	}
	for line := range strings.Lines(string(b)) {
		_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch controllers, path, _ := strings.Cut(line, ":"); controllers {
		case "": // version 2
			if shows(path+"/cgroup.events", "frozen 1") || shows("unified"+path+"/cgroup.events", "frozen 1") {
				return true
			}
		case "freezer": // version 1
			if shows("freezer"+path+"/freezer.state", "FROZEN") {
				return true
			}
		}
	}
	return false
}
