package tool

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
)

// TestTheFirstProcessReapsOrphans runs itself as the first process of a PID namespace.
func TestTheFirstProcessReapsOrphans(t *testing.T) {
	if os.Getpid() != 1 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("may not make a PID namespace")
		}
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	// A process that has ended is there until it is reaped, and afterwards no child any more.
	fifo := filepath.Join(t.TempDir(), "until")
	fatal.If(t, syscall.Mkfifo(fifo, 0o600))
	var out Output
	fatal.If(t, Run(t.Context(), Call{Command: "sh", Args: []string{"-c", "cat " + fifo + " >/dev/null 2>&1 & echo $!"}, MaxOutput: 100}, &out))
	orphan, err := strconv.Atoi(strings.TrimSpace(string(out.Bytes())))
	fatal.If(t, err)
	end, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	fatal.If(t, err)
	end.Close()
	if err := unix.Waitid(unix.P_PID, orphan, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatalf("it is not this process's: %v", err)
	}
	// Whoever waits for a program learns how that ended, whatever is reaped meanwhile.
	var runs sync.WaitGroup
	for range 8 {
		runs.Go(func() {
			for range 25 {
				err := Run(t.Context(), Call{Command: "sh", Args: []string{"-c", "sleep 0.05 >/dev/null 2>&1 & exit 3"}}, new(Output))
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 3 {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	runs.Wait()
	if err := unix.Waitid(unix.P_PID, orphan, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("it is still there (%v)", err)
	}
}
