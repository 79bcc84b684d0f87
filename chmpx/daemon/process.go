package daemon

import (
	"bytes"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// program is the name of chmpx's processes.
const program = "chmpx"

// process is what the kernel shows of one (proc_pid_stat(5)); the zero value: there is none, or it
// is not shown.
type process struct {
	name  string
	state byte
	age   time.Duration // of the host when it began, rounded down to tick; 0: not shown
}

// tick is the unit of what the kernel shows to programs as clock ticks.
const tick = 10 * time.Millisecond

func processOf(proc string, pid int) process {
	b, err := regularfile.Read(filepath.Join(proc, strconv.Itoa(pid), "stat"), regularfile.Small)
	begin, end := bytes.IndexByte(b, '('), bytes.LastIndex(b, []byte(") "))
	if err != nil || begin < 0 || end < begin || end+2 >= len(b) {
		return process{}
	}
	p := process{name: string(b[begin+1 : end]), state: b[end+2]}
	const state, startTime = 3, 22 // their places, counted from 1
	if rest := bytes.Fields(b[end+2:]); len(rest) > startTime-state {
		ticks, _ := strconv.ParseInt(string(rest[startTime-state]), 10, 64)
		p.age = time.Duration(ticks) * tick
	}
	return p
}

// began returns when the process of a chmpx began that says it started in this second: a tick early
// at most, and not before that second. It is the zero time where the process is not seen, or where
// the clock was set since.
func began(proc string, pid int, second time.Time) time.Time {
	p := processOf(proc, pid)
	var up unix.Timespec
	if p.name != program || p.age == 0 || unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return time.Time{}
	}
	at := time.Now().Round(0).Add(p.age - time.Duration(up.Nano()))
	// A process that waited for its file as a shell, and then became chmpx, is older than chmpx.
	if at.Before(second.Add(-time.Second)) || at.After(second.Add(time.Second)) {
		return time.Time{}
	}
	if at.Before(second) {
		return second
	}
	return at
}
