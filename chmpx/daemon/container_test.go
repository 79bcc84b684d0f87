package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

// TestContainerIsRestartedByItsEnd: it ends the chmpx that was looked at, by the signal on which
// that cleans up, and no process that only has the number of one.
func TestContainerIsRestartedByItsEnd(t *testing.T) {
	l := newLookedAt(t)
	c := &Container{Prober: l.prober}
	if st, err := c.State(t.Context()); err != nil || !st.Active() || st.CanReload {
		t.Errorf("state %+v, %v", st, err)
	}
	for range 2 { // the next one is another process
		chmpx := l.start()
		if _, err := l.prober.Status(t.Context(), "orders", 8031); err != nil {
			t.Fatal(err)
		}
		fatal.If(t, c.Restart(t.Context()))
		exit, err := chmpx.Wait(t.Context())
		if err != nil || exit.Code != 0 {
			t.Errorf("chmpx ended with %+v, %v", exit, err)
		}
	}
	if err := c.Restart(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nothing runs: %v", err)
	}
}

func TestAProcessThatIsNoChmpxIsNotOpened(t *testing.T) {
	if _, err := openProcess(os.Getpid()); err == nil || !strings.Contains(err.Error(), "not chmpx") {
		t.Errorf("this test's: %v", err)
	}
	gone := exec.CommandContext(context.Background(), "true")
	fatal.If(t, gone.Run())
	if _, err := openProcess(gone.Process.Pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that has ended: %v", err)
	}
}
