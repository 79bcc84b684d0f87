package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestAwaitEndSeesAProcessEnd(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	fatal.If(t, err)
	fatal.If(t, cmd.Start())
	done := make(chan error, 1)
	go func() {
		done <- new(Prober).AwaitEnd(t.Context(), Status{PID: cmd.Process.Pid, Group: "no-such-group", Self: Node{CtlPort: 1}})
	}()
	select {
	case err := <-done:
		t.Fatalf("it returned while the process lives: %v", err)
	case <-time.After(2 * endPoll):
	}
	in.Close()
	fatal.If(t, cmd.Wait())
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAwaitEndSeesAnEndFromBefore(t *testing.T) {
	err := new(Prober).AwaitEnd(t.Context(), Status{PID: 1 << 22, Group: "no-such-group", Self: Node{CtlPort: 1}})
	if err != nil {
		t.Errorf("got %v", err)
	}
}

// The next chmpx may have made its memory before anybody looks.
func TestAwaitEndSeesTheMemoryGoAlsoIfItIsBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "orders-8031.chmpx")
	for _, do := range []func() error{func() error { return os.Remove(path) }, func() error { return os.Rename(path, path+".bup") }} {
		fatal.If(t, os.WriteFile(path, nil, 0o600))
		done := make(chan error, 1)
		watched := make(chan struct{})
		go func() { done <- awaitRemoval(t.Context(), path, func() { close(watched) }) }()
		<-watched
		fatal.If(t, errors.Join(os.WriteFile(path+".k2h", nil, 0o600), do(), os.WriteFile(path, nil, 0o600)))
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := awaitRemoval(t.Context(), filepath.Join(dir, "none"), func() {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of memory that is not there: %v", err)
	}
}

func TestAwaitEndEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- new(Prober).AwaitEnd(ctx, Status{PID: 1, Group: "no-such-group"}) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
