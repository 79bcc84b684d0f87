package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

// spent is what a process has used so far.
type spent struct {
	cpu   time.Duration // children included
	waits int64         // how often its threads have waited for something, and so were woken
}

// spentBy reads what a process and its ended children have used so far: its own to the nanosecond,
// as ten milliseconds, the step of the children's, are most of what it needs in a minute.
func spentBy(tb testing.TB, pid int) (s spent) {
	tb.Helper()
	stat := read(tb, fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	var ticks [2]int64 // cutime, cstime
	for i := range ticks {
		fmt.Sscan(fields[13+i], &ticks[i])
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every platform
	s.cpu = time.Duration(ticks[0]+ticks[1]) * tick
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	fatal.If(tb, err)
	for _, thread := range threads {
		var ran int64
		fmt.Sscan(read(tb, thread+"/schedstat"), &ran)
		s.cpu += time.Duration(ran)
		s.waits += field(read(tb, thread+"/status"), "voluntary_ctxt_switches")
	}
	return s
}

// memory is one line, in KiB, of what /proc says of a process.
func memory(tb testing.TB, pid int, file, key string) float64 {
	tb.Helper()
	return float64(field(read(tb, fmt.Sprintf("/proc/%d/%s", pid, file)), key))
}

// field is the number after a key.
func field(text, key string) (n int64) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			fmt.Sscan(value, &n)
			return n
		}
	}
	return 0
}

// run runs a command to its end and returns what it and all its children used.
func run(tb testing.TB, cmd *exec.Cmd) *syscall.Rusage {
	tb.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

func read(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	fatal.If(tb, err)
	return string(b)
}
