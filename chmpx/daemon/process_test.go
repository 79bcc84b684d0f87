package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestWhenAChmpxBegan(t *testing.T) {
	second := time.Now().Truncate(time.Second).Add(-time.Hour)
	var up unix.Timespec
	fatal.If(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &up))
	bootedAt := time.Now().Add(-time.Duration(up.Nano())) // so a process that began an hour ago may be older than the host
	for _, tt := range []struct {
		name, stat string
		offset     time.Duration // of what the kernel shows from the second that chmpx says
		want       time.Duration // what comes of it; -1: nobody knows
	}{
		{name: "within that second", stat: "12 (chmpx) S", offset: 600 * time.Millisecond, want: 600 * time.Millisecond},
		{name: "right before it", stat: "12 (chmpx) S", offset: -30 * time.Millisecond},
		{name: "long before it, as a shell", stat: "12 (chmpx) S", offset: -time.Minute, want: -1},
		{name: "after it: the clock was set", stat: "12 (chmpx) S", offset: time.Minute, want: -1},
		{name: "another program's process", stat: "12 (cat) S", offset: 600 * time.Millisecond, want: -1},
		{name: "with a name of many words", stat: "12 (chmpx) S 1 (x) S", want: -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proc := t.TempDir()
			fatal.If(t, os.Mkdir(filepath.Join(proc, "12"), 0o755))
			ticks := second.Add(tt.offset).Sub(bootedAt) / tick
			stat := fmt.Sprintf("%s 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 %d 1000 1 2 3\n", tt.stat, ticks)
			fatal.If(t, os.WriteFile(filepath.Join(proc, "12", "stat"), []byte(stat), 0o644))
			got := began(proc, 12, second)
			if tt.want < 0 {
				if !got.IsZero() {
					t.Errorf("began at %v, where nothing shows that", got)
				}
			} else if off := got.Sub(second.Add(tt.want)); off.Abs() > 2*tick {
				t.Errorf("began %v from when it did", off)
			}
		})
	}
	if got := began(t.TempDir(), 12, second); !got.IsZero() {
		t.Errorf("a process that is not there began at %v", got)
	}
}

// TestAProbeTellsWhenChmpxBegan: to the hundredth of a second, and each probe of a run the same.
func TestAProbeTellsWhenChmpxBegan(t *testing.T) {
	l := newLookedAt(t)
	before := time.Now()
	l.start()
	after := time.Now()
	first := l.look(false)
	if first.Began.Before(before.Add(-2*tick)) || first.Began.After(after) || first.StartedBy() != first.Began {
		t.Errorf("it began at %v, which is not between %v and %v", first.Began, before, after)
	}
	if again := l.direct(); !again.Began.Equal(first.Began) {
		t.Errorf("the next probe says %v, after %v", again.Began, first.Began)
	}
}
