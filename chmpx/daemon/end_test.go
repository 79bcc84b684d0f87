package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"testing"
	"time"
)

func TestAwaitEndSeesAProcessEnd(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
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
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAwaitEndSaysThatItCannot(t *testing.T) {
	err := new(Prober).AwaitEnd(t.Context(), Status{PID: 1 << 22, Group: "no-such-group", Self: Node{CtlPort: 1}})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
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
