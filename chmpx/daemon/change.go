package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// AwaitChange waits until chmpx may no longer be as st, the latest Status, which was Direct, and
// returns nil then: call Status to see what has changed. It reads chmpx's memory after each pause
// and never runs chmpxstatus, so chmpx does not notice it. The error is ctx's, or says why it
// cannot wait.
func (p *Prober) AwaitChange(ctx context.Context, st Status, pause time.Duration) error {
	clock, err := startPauses(pause)
	if err != nil {
		return err
	}
	defer clock.Close()
	defer context.AfterFunc(ctx, func() { clock.Close() })()
	var count [8]byte
	for {
		if _, err := clock.Read(count[:]); err != nil {
			return errors.Join(ctx.Err(), err)
		}
		if !p.unchanged(st) {
			return nil
		}
	}
}

// unchanged tells whether chmpx's memory is known to show what it showed when it was st.
func (p *Prober) unchanged(st Status) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.memory.unchanged(st)
}

// startPauses returns a file that can be read after each pause. A timer of Go's would wake three
// threads each time, which is most of what an agent at rest needs (BenchmarkRest in tests/bench).
func startPauses(pause time.Duration) (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot create the timer for looks at chmpx: %w", err)
	}
	clock := os.NewFile(uintptr(fd), "timerfd")
	every := unix.NsecToTimespec(pause.Nanoseconds())
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		clock.Close()
		return nil, fmt.Errorf("cannot start the timer for looks at chmpx: %w", err)
	}
	return clock, nil
}
