package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

// TestIdle measures what the agent, built as it is released, needs while
// nothing happens: three servers, a K2HR3 that holds requests or does not, and
// a chmpx that is looked at every two seconds. It prints figures, and asserts
// nothing about them. K2HDKC_TEST_IDLE says for how long, such as 1m.
func TestIdle(t *testing.T) {
	idle, err := time.ParseDuration(os.Getenv("K2HDKC_TEST_IDLE"))
	if err != nil {
		t.Skip("a measurement: set K2HDKC_TEST_IDLE=1m")
	}
	bin, err := realagent.Build(t.TempDir(), realagent.Release()...)
	must(t, err)
	fi, err := os.Stat(bin)
	must(t, err)
	t.Logf("binary, stripped: %.1f MiB", float64(fi.Size())/(1<<20))
	for _, hold := range []time.Duration{time.Minute, 0} {
		t.Run(map[bool]string{true: "held", false: "not held"}[hold > 0], func(t *testing.T) { measureIdle(t, bin, hold, idle) })
	}
}

func measureIdle(t *testing.T, bin string, hold, idle time.Duration) {
	s := newSite(t, 3)
	s.server.Hold(hold)
	h := newHost(t, s)
	state := fakechmpx.StateDir(h.path("chmpx"))
	must(t, os.Mkdir(string(state), 0o755))
	programs := fakechmpx.BuildT(t)
	var ring []fakechmpx.Member
	for i, m := range s.Servers() {
		ring = append(ring, fakechmpx.Member{Name: m.Tag, Port: 8020, CtlPort: 8021, CUK: m.CUK, Seed: name("kv", i)})
	}
	must(t, state.SetRing(ring...))

	cmd := h.command(t.Context())
	cmd.Path, cmd.Args = bin, append([]string{bin, "run", "--log-format", "json"}, s.args("--peek", "2s", "--status-command", programs.Status)...)
	cmd.Env = append(cmd.Env, state.Env())
	p := h.startCommand(cmd)
	p.says(realagent.Replaced, "")
	running, err := fakechmpx.Start(t.Context(), programs, h.output(), fakechmpx.WithState(state))
	must(t, err)
	p.says(realagent.Confirmed, "")

	asked, before := len(s.server.Requests()), spent(t, p.PID())
	select {
	case <-p.Done():
		t.Fatalf("the agent has ended:\n%s", p)
	case <-time.After(idle):
	}
	now := spent(t, p.PID())
	own, children := now.own-before.own, now.children-before.children
	per := func(d time.Duration) string {
		return fmt.Sprintf("%.1f ms (%.2f %% of a core)", float64(d)/1e6, 100*float64(d)/float64(idle))
	}
	t.Logf("%v at rest, %d requests to K2HR3, %d lines of log", idle, len(s.server.Requests())-asked, p.Count()-p.next)
	t.Logf("agent: resident %s, at most %s, anonymous %s; CPU %s", memory(t, p.PID(), "VmRSS"), memory(t, p.PID(), "VmHWM"),
		memory(t, p.PID(), "RssAnon"), per(own))
	t.Logf("its children: CPU %s; chmpxstatus alone resident at most %s", per(children), childMemory(t, programs, state, h))
	p.end()
	if u := p.Usage(); u != nil {
		t.Logf("from start to end, children included: user %v, system %v, resident at most %d KiB", span(u.Utime), span(u.Stime), u.Maxrss)
	}
	if _, err := running.Stop(deadline(t)); err != nil {
		t.Error(err)
	}
}

func span(v syscall.Timeval) time.Duration { return time.Duration(v.Nano()) }

type cpu struct{ own, children time.Duration }

// spent reads what a process and its ended children have used so far: its own to the nanosecond, as
// ten milliseconds, the step of the other figures, are most of what it needs in a minute.
func spent(t *testing.T, pid int) cpu {
	t.Helper()
	stat := read(t, fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	var ticks [2]int64 // cutime, cstime
	for i := range ticks {
		fmt.Sscan(fields[13+i], &ticks[i])
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every platform
	own := time.Duration(0)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	must(t, err)
	for _, path := range threads {
		var ran int64
		fmt.Sscan(read(t, path), &ran)
		own += time.Duration(ran)
	}
	return cpu{own, time.Duration(ticks[0]+ticks[1]) * tick}
}

// memory reads one line of what /proc says of a process.
func memory(t *testing.T, pid int, key string) string {
	t.Helper()
	for line := range strings.Lines(read(t, fmt.Sprintf("/proc/%d/status", pid))) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// childMemory runs chmpxstatus once more, as the agent does.
func childMemory(t *testing.T, programs fakechmpx.Programs, state fakechmpx.StateDir, h *host) string {
	t.Helper()
	cmd := exec.Command(programs.Status, "-conf", h.path("run/probe.ini"))
	cmd.Env = []string{state.Env()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return fmt.Sprintf("%d KiB", cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
}
