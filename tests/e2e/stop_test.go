package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// endLimit is how long the end on a signal may take here. The promise is one second; the rest is
// for a busy machine. What hung before lasted ten seconds or for ever.
const endLimit = 5 * time.Second

// ends sends the agent a signal, and fails if it does not end with status 0 in time.
func ends(t *testing.T, cmd *exec.Cmd, s os.Signal) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	start := time.Now()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Logf("it ended after %v", time.Since(start).Round(time.Millisecond))
		if err != nil {
			t.Errorf("it ended with %v on %v, want status 0", err, s)
		}
	case <-time.After(endLimit):
		threads := waits(cmd.Process.Pid)
		cmd.Process.Kill()
		<-done
		t.Errorf("it did not end on %v; its threads wait in %s", s, threads)
	}
}

// fullPipe is a pipe that is full, and the end to read it from.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := w.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for block := bytes.Repeat([]byte("x"), 4095); err == nil; {
		_, err = w.Write(append(block, '\n'))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return r, w
}

// fullSocket is a socket of systemd's that nobody reads any more.
func fullSocket(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	addr := &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	other, err := net.DialUnix("unixgram", nil, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for err == nil {
		other.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, err = other.Write([]byte("PRIORITY=6\nMESSAGE=of another service\n"))
	}
	return conn
}

// A log that nobody reads, and a systemd that hangs, keep the agent neither from its work nor from
// its end.
func TestNobodyListensToTheAgent(t *testing.T) {
	t.Parallel()
	for kind, listen := range map[string]func(t *testing.T, h *host, cmd *exec.Cmd){
		"a pipe that nobody reads": func(t *testing.T, h *host, cmd *exec.Cmd) {
			_, cmd.Stderr = fullPipe(t)
		},
		"the same as JSON, for debugging": func(t *testing.T, h *host, cmd *exec.Cmd) {
			_, cmd.Stderr = fullPipe(t)
			cmd.Args = append(cmd.Args, "--log-format=json", "--log-level=debug")
		},
		"a pipe whose reader is gone": func(t *testing.T, h *host, cmd *exec.Cmd) {
			r, w := fullPipe(t)
			r.Close()
			cmd.Stderr = w
		},
		"a systemd that hangs": func(t *testing.T, h *host, cmd *exec.Cmd) {
			path := h.path("notify")
			fullSocket(t, path)
			cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=300000")
		},
	} {
		t.Run(strings.ReplaceAll(kind, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			h := newHost(t, s)
			cmd := h.command(t.Context(), append([]string{"run", "--interval=1h"}, s.args()...)...)
			listen(t, h, cmd)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			until(t, "the first file", func() bool { _, err := os.Stat(h.output()); return err == nil })
			s.joinServers(2)
			until(t, "a reload", func() bool {
				cmd.Process.Signal(syscall.SIGHUP)
				b, _ := os.ReadFile(h.output())
				return strings.Contains(string(b), name("kv", 1))
			})
			ends(t, cmd, syscall.SIGTERM)
		})
	}
}

// The journal tells what it missed as soon as journald goes on.
func TestAJournaldThatHangs(t *testing.T) {
	t.Parallel()
	v := newSlaveVM(t, &minimalK2HR3{text: resourceText})
	journal := fullSocket(t, v.path("/run/systemd/journal/socket"))
	_, w := fullPipe(t)
	info, err := w.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stream := info.Sys().(*syscall.Stat_t)
	cmd := v.command(t.Context(), "run", "--interval=1h", "--unit=")
	cmd.Env = append(cmd.Env, fmt.Sprintf("JOURNAL_STREAM=%d:%d", stream.Dev, stream.Ino))
	cmd.Stderr = w
	v.inside(cmd.Start)
	until(t, "the first file", func() bool { _, err := os.Stat(v.file()); return err == nil })
	var log strings.Builder
	journal.SetReadDeadline(time.Now().Add(limit))
	for b := make([]byte, 64<<10); !strings.Contains(log.String(), "slave.ini replaced"); {
		n, err := journal.Read(b)
		if err != nil {
			t.Fatalf("%v; the journal has\n%s", err, log.String())
		}
		log.Write(b[:n])
	}
	if !strings.Contains(log.String(), "K2HDKC_ROLE="+roleYRN) {
		t.Errorf("the journal has\n%s", log.String())
	}
	ends(t, cmd, syscall.SIGTERM)
}

// Whatever becomes of a file that cannot be read, it keeps nobody from ending the agent.
func TestFilesThatAreNoFilesDoNotKeepTheAgentFromEnding(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"role-token-file", "ca-file", "instance-id-file", "config"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			h := newHost(t)
			fifo := h.path("fifo")
			if err := unix.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			// A flag beats what the environment says.
			cmd := h.command(t.Context(), "run", "--api-uri", s.uri, "--role", s.SlaveRole(), "--"+option+"="+fifo)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if !hangs(t, cmd.Process.Pid) {
				if err := cmd.Wait(); err == nil {
					t.Error("it ended with status 0 by itself")
				}
				return
			}
			ends(t, cmd, syscall.SIGTERM)
		})
	}
}

// Go's resolver opens its files by itself, and waits for whoever keeps it from that. A lease does
// that to a regular file, which no look at it beforehand shows.
func TestALookUpThatHangsDoesNotKeepTheAgentFromEnding(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hosts", "resolv.conf", "nsswitch.conf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newSlaveVM(t, &minimalK2HR3{text: resourceText})
			leased, err := os.OpenFile(v.path("/etc/"+name), os.O_RDWR, 0)
			must(t, err)
			defer leased.Close()
			if _, err := unix.FcntlInt(leased.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
				t.Skipf("no leases here: %v", err)
			}
			cmd := v.command(t.Context(), "run", "--unit=")
			v.inside(cmd.Start)
			until(t, "the resolver", func() bool {
				kind, err := unix.FcntlInt(leased.Fd(), unix.F_GETLEASE, 0)
				return err == nil && kind != unix.F_WRLCK // it is to be given up
			})
			ends(t, cmd, syscall.SIGTERM)
		})
	}
}

// Go opens the file of the time zone by itself when it first writes a local time, in the log for
// one, and waits for it for ever.
func TestATimeZoneThatCannotBeReadKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	const zone = "/etc/localtime"
	fifo := func(t *testing.T, v *slaveVM) { must(t, unix.Mkfifo(v.path(zone), 0o600)) }
	deaf := func(t *testing.T, v *slaveVM) { write(t, v.path(zone), ""); deafen(t, v.host, zone) }
	for name, c := range map[string]struct {
		put  func(t *testing.T, v *slaveVM)
		env  string
		says string
	}{
		"a FIFO":                   {fifo, "", zone + ": it is not a regular file but a FIFO"},
		"a FIFO that TZ names":     {fifo, "TZ=:" + zone, zone + ": it is not a regular file but a FIFO"},
		"a file system that hangs": {deaf, "", "does not answer within 2s"},
		"no file":                  {func(*testing.T, *slaveVM) {}, "", ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			v := newSlaveVM(t, &minimalK2HR3{text: resourceText})
			c.put(t, v)
			agent := func(verb string, args ...string) *exec.Cmd {
				cmd := v.command(deadline(t), append([]string{verb}, args...)...)
				if c.env != "" {
					cmd.Env = append(cmd.Env, c.env)
				}
				return cmd
			}
			told := func(log string) {
				t.Helper()
				if warns := strings.Contains(log, "cannot read the time zone; all times are in UTC"); warns != (c.says != "") || !strings.Contains(log, c.says) {
					t.Errorf("it says\n%s\nwant %q", log, c.says)
				}
			}
			once := agent("once", "--unit=", "--confirm=0")
			r := finish(t, once, func() error { return v.host.Do(once.Start) })
			told(r.stderr)
			if _, err := os.Stat(v.file()); r.status != 0 || err != nil {
				t.Errorf("once: %v, %v", r, err)
			}
			for _, format := range []string{"text", "json"} {
				must(t, os.Remove(v.file()))
				run := agent("run", "--unit=", "--log-format="+format)
				log, err := os.Create(v.path("/log"))
				must(t, err)
				defer log.Close()
				run.Stderr = log
				v.inside(run.Start)
				until(t, "the first file", func() bool { _, err := os.Stat(v.file()); return err == nil })
				status := agent("status", "--unit=")
				r := finish(t, status, func() error { return v.host.Do(status.Start) })
				told(r.stderr)
				if !strings.Contains(r.stdout, " UTC\n") {
					t.Errorf("status: %v", r)
				}
				ends(t, run, syscall.SIGTERM)
				told(read(t, log.Name()))
			}
			if name != "a file system that hangs" {
				return
			}
			for range 4 { // a signal ends the waiting, on whatever thread that is
				run := agent("run", "--unit=")
				v.inside(run.Start)
				hangs(t, run.Process.Pid)
				ends(t, run, syscall.SIGTERM)
			}
		})
	}
}

// hangs waits until a process waits for somebody at the other end of a FIFO or for a file system,
// or has ended; it returns false then, and true too if neither is so for a while.
func hangs(t *testing.T, pid int) bool {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
		for _, file := range threads {
			if b, _ := os.ReadFile(file); strings.Contains(string(b), "wait_for_partner") || strings.Contains(string(b), "fuse") {
				return true
			}
		}
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); bytes.Contains(b, []byte(") Z ")) {
			return false
		}
	}
	return true
}

// A program of chmpx's that does not end does not keep the agent from ending either.
func TestAProgramThatDoesNotEndDoesNotKeepTheAgentFromEnding(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"ignores-signals":   "trap '' TERM INT HUP QUIT\nwhile :; do sleep 1; done",
		"leaves-a-child":    "sleep 1000 &\nwait",
		"leaves-a-session":  "setsid sh -c 'echo $$ >>$PIDS; exec sleep 1000' &\nwait",
		"stops-itself":      "kill -STOP $$",
		"floods-its-output": "exec yes",
	} {
		for _, option := range []string{"status-command", "check-command"} {
			t.Run(name+"/"+option, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, 1)
				h := newHost(t, s)
				program := h.path("program")
				script(t, program, "export PIDS="+h.path("pids")+"\necho $$ >>$PIDS\n"+text)
				cmd := h.command(t.Context(), "run", "--api-uri", s.uri, "--role", s.SlaveRole(), "--"+option, program)
				cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { endGroups(h.path("pids")) })
				until(t, "the program", func() bool { b, _ := os.ReadFile(h.path("pids")); return len(b) > 0 })
				ends(t, cmd, syscall.SIGTERM)
			})
		}
	}
}

// endGroups ends what is left of the process groups in a list.
func endGroups(file string) {
	b, _ := os.ReadFile(file)
	for _, word := range strings.Fields(string(b)) {
		var pid int
		if _, err := fmt.Sscan(word, &pid); err == nil && pid > 1 {
			syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// The log says which signal ends the agent, and that it has; SIGQUIT, which a person types with
// ^\, shows nothing of the memory.
func TestTheLogTellsOfTheEnd(t *testing.T) {
	t.Parallel()
	for s, word := range map[syscall.Signal]string{syscall.SIGTERM: "terminated", syscall.SIGINT: "interrupt", syscall.SIGQUIT: "quit"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, 1)
			h := newHost(t, site)
			p := h.start(site.args()...)
			p.says("slave.ini replaced", "")
			must(t, p.Signal(s))
			select {
			case <-p.Done():
			case <-deadline(t).Done():
				t.Fatal("it did not end")
			}
			p.says("stopping", "")
			p.says("stopped", "")
			if log := p.String(); !strings.Contains(log, word+" signal received") || strings.Contains(log, "goroutine ") {
				t.Errorf("the log says\n%s", log)
			}
			p.end()
		})
	}
}

// SIGQUIT shows nothing of the agent's memory, whatever the agent is at.
func TestSIGQUITPrintsNoStacks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args   []string
		says   string // before the signal is sent
		status int
	}{
		"before the first file":    {[]string{"run", "--min-servers=9"}, "min-servers", 0},
		"K2HR3 out of reach":       {[]string{"run", "--api-uri=http://127.0.0.1:1"}, "connection refused", 0},
		"once waits for its chmpx": {[]string{"once", "--confirm=1h"}, "chmpx to run the current slave.ini", 1},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			h := newHost(t, s)
			status := h.path("chmpxstatus")
			script(t, status, "echo '[ERR] Could not initialize(attach) chmpx shared memory.' >&2\nexit 1")
			args := append([]string{c.args[0], "--status-command", status}, append(s.args(), c.args[1:]...)...)
			cmd := h.command(t.Context(), args...)
			log, err := os.Create(h.path("log"))
			must(t, err)
			defer log.Close()
			cmd.Stdout, cmd.Stderr = log, log
			must(t, cmd.Start())
			until(t, "it to say "+c.says, func() bool { return strings.Contains(read(t, h.path("log")), c.says) })
			must(t, cmd.Process.Signal(syscall.SIGQUIT))
			cmd.Wait()
			said := read(t, h.path("log"))
			if cmd.ProcessState.ExitCode() != c.status || strings.Contains(said, "goroutine ") || !strings.Contains(said, "quit signal received") {
				t.Errorf("status %d, said\n%s", cmd.ProcessState.ExitCode(), said)
			}
		})
	}
}

// SIGHUP that comes while the agent still reads its configuration wants no more than what the start
// does anyway.
func TestSIGHUPDuringTheStartDoesNotEndTheAgent(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	for range 4 { // as the agent may have read it before the signal is there
		h := newHost(t, s)
		write(t, h.path("slave-agent.ini"), strings.Repeat("# "+strings.Repeat("=", 1000)+"\n", 500))
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		must(t, err)
		opened := os.NewFile(uintptr(fd), "inotify")
		must(t, opened.SetReadDeadline(time.Now().Add(limit)))
		_, err = unix.InotifyAddWatch(fd, h.path("slave-agent.ini"), unix.IN_OPEN)
		must(t, err)
		cmd := h.command(t.Context(), append([]string{"run", "--interval=1h"}, s.args()...)...)
		must(t, cmd.Start())
		_, err = opened.Read(make([]byte, 4096))
		must(t, err)
		must(t, cmd.Process.Signal(syscall.SIGHUP))
		must(t, opened.Close())
		until(t, "the first file", func() bool { _, err := os.Stat(h.output()); return err == nil })
		ends(t, cmd, syscall.SIGTERM)
	}
}
