package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// Signs are those of a chmpx that chmpxstatus does not show: its process, where that is in this
// one's PID namespace, and its control port, where that is in this one's network namespace, as
// those of a pod's containers are. Neither tells which revision it runs.
type Signs struct {
	File string // path of the slave.ini that it runs on
	Proc string // where the kernel shows its processes; empty: /proc
}

// Sighting is what is to be seen of chmpx at one moment.
type Sighting struct {
	Process bool // a process runs chmpx on the file
	Listens bool // somebody listens on its control port

	// processes are those that may run on the file. One that was started without its path is among
	// them, and nobody knows whether it does.
	processes []int
	blind     bool // not everything could be looked at
}

// Any tells whether there is a sign of chmpx, so that its end shows, too.
func (s Sighting) Any() bool { return s.Process || s.Listens }

// MayRun tells whether a chmpx may run on the file, as far as that shows. If none may, one that
// nobody has ever seen may all the same.
func (s Sighting) MayRun() bool { return s.blind || s.Any() || len(s.processes) > 0 }

func (s Signs) proc() string {
	if s.Proc == "" {
		return "/proc"
	}
	return s.Proc
}

// Look looks for a chmpx that has this control port (0: it has none that is known).
func (s Signs) Look(ctlPort int) Sighting {
	listens, errPort := Listens(s.proc(), ctlPort)
	names, errNames := s.names()
	now := Sighting{Listens: listens, blind: errPort != nil || errNames != nil}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p := processOf(s.proc(), pid); p.name != program || p.state == 'Z' || p.state == 'X' {
			continue
		}
		conf := s.conf(pid)
		if filepath.IsAbs(conf) && filepath.Clean(conf) != filepath.Clean(s.File) {
			continue
		}
		now.Process = now.Process || filepath.IsAbs(conf)
		now.processes = append(now.processes, pid)
	}
	return now
}

func (s Signs) names() ([]string, error) {
	d, err := regularfile.OpenFolder(s.proc())
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// conf returns which file a process of chmpx's was told to run on; empty: none, or that cannot be
// seen.
func (s Signs) conf(pid int) string {
	b, _ := regularfile.Read(filepath.Join(s.proc(), strconv.Itoa(pid), "cmdline"), regularfile.Small)
	args := bytes.Split(b, []byte{0})
	for i, arg := range args[:len(args)-1] {
		if string(arg) == "-conf" || string(arg) == "-f" {
			return string(args[i+1])
		}
	}
	return ""
}

// portPoll is how often a port is looked at that shows the end of chmpx. chmpx takes 50 ms to
// listen again, and whatever starts it again some more.
const portPoll = 20 * time.Millisecond

// AwaitEnd returns nil as soon as a chmpx that was seen is not to be seen any more, and no other
// one is that may run on the file. sure says that its process was seen, so that the next one will
// be, too. Of a chmpx of which there is no sign, it waits for one. The error is ctx's.
func (s Signs) AwaitEnd(ctx context.Context, ctlPort int) (sure bool, err error) {
	listened := false
	for {
		now := s.Look(ctlPort)
		if !now.MayRun() && (sure || listened) {
			return sure, nil
		}
		sure, listened = sure || now.Process, listened || now.Listens
		switch {
		case len(now.processes) > 0:
			awaitAny(ctx, now.processes)
		case now.Listens:
			for was := true; was && pause(ctx, portPoll); {
				was, err = Listens(s.proc(), ctlPort)
				was = was || err != nil
			}
		default:
			pause(ctx, endPoll)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
}

// awaitAny waits until one of some processes has ended, for endPoll at most.
func awaitAny(ctx context.Context, pids []int) {
	var fds []unix.PollFd
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
		if errors.Is(err, unix.ESRCH) {
			return
		}
		if err != nil { // this kernel has none
			pause(ctx, portPoll)
			return
		}
		defer unix.Close(fd)
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	_, _ = unix.Poll(fds, int(endPoll/time.Millisecond)) // whatever it says, the next look decides
}

// pause reports whether ctx has let it pass.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Listens tells whether anybody listens on a port of TCP (proc_net(5)), in the network namespace of
// this process.
func Listens(proc string, port int) (bool, error) {
	found, err := listens(filepath.Join(proc, "net/tcp"), port)
	found6, err6 := listens(filepath.Join(proc, "net/tcp6"), port)
	if errors.Is(err6, fs.ErrNotExist) { // a kernel without IPv6
		err6 = nil
	}
	if found || found6 {
		return true, nil
	}
	return false, errors.Join(err, err6)
}

func listens(path string, port int) (bool, error) {
	const header, listen = "local_address", "0A"
	f, err := regularfile.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.Fields(lines.Text())
		switch {
		case len(line) < 4, slices.Contains(line, header):
			continue
		case line[3] != listen: // those that listen come first, and the others may be a million
			return false, nil
		}
		_, at, _ := strings.Cut(line[1], ":")
		if n, err := strconv.ParseUint(at, 16, 16); err == nil && int(n) == port {
			return true, nil
		}
	}
	return false, lines.Err()
}
