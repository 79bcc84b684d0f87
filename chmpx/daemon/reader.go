package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

// ProcessStatus is what the kernel shows of a process, by name (proc_pid_status(5)); nil: nothing.
// proc is where it shows its processes, /proc.
func ProcessStatus(proc string, pid int) map[string]string {
	b, err := regularfile.Read(filepath.Join(proc, strconv.Itoa(pid), "status"), regularfile.Small)
	if err != nil {
		return nil
	}
	shown := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		shown[key] = strings.TrimSpace(value)
	}
	return shown
}

// ReaderOf returns whom a process reads files as; ok is false if nothing tells. Of the numbers of
// user and group, the second ones count, the effective ones.
func ReaderOf(proc string, pid int) (r render.Reader, ok bool) {
	shown := ProcessStatus(proc, pid)
	uids, gids := strings.Fields(shown["Uid"]), strings.Fields(shown["Gid"])
	if len(uids) < 2 || len(gids) < 2 {
		return r, false
	}
	var err error
	if r.UID, err = strconv.Atoi(uids[1]); err != nil {
		return r, false
	}
	for _, id := range append(gids[1:2], strings.Fields(shown["Groups"])...) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return r, false
		}
		r.Groups = append(r.Groups, n)
	}
	caps, err := strconv.ParseUint(shown["CapEff"], 16, 64)
	if err != nil { // nothing tells; root usually has them
		r.All = r.UID == 0
	} else {
		r.All = caps&(1<<unix.CAP_DAC_OVERRIDE|1<<unix.CAP_DAC_READ_SEARCH) != 0
	}
	its, errIts := os.Stat(filepath.Join(proc, strconv.Itoa(pid), "root"))
	own, errOwn := os.Stat("/")
	r.Elsewhere = errIts == nil && errOwn == nil && !os.SameFile(its, own)
	return r, true
}

// Reader returns whom the chmpx of a status reads files as; ok is false if nothing tells.
func (*Prober) Reader(st Status) (r render.Reader, ok bool) {
	if isChmpx(st.PID) != nil {
		return r, false
	}
	return ReaderOf("/proc", st.PID)
}

// isChmpx returns nil if a process is a chmpx. In another PID namespace the number may be that of
// any process.
func isChmpx(pid int) error {
	comm, err := regularfile.Read(fmt.Sprintf("/proc/%d/comm", pid), regularfile.Small)
	if err != nil {
		return err
	}
	if string(comm) != program+"\n" {
		return fmt.Errorf("process %d is %.16q, not chmpx", pid, comm)
	}
	return nil
}
