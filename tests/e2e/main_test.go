package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/agent"
)

// limit is how long anything that is waited for may take. It is met on a busy
// machine too; what is fast returns at once.
const limit = 30 * time.Second

// programs is where the binary under test is built, once for all tests.
var programs string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if programs, err = os.MkdirTemp("", "k2hdkc-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programs)
	return m.Run()
}

var build = sync.OnceValues(func() (string, error) {
	if !raceEnabled {
		return agent.Build(programs)
	}
	// The race detector needs cgo; the resolver stays Go's own all the same.
	bin := filepath.Join(programs, "k2hdkc-slave-agent")
	cmd := exec.Command("go", "build", "-race", "-tags", "netgo,osusergo", "-o", bin, "k2hdkc-slave-agent/cmd/k2hdkc-slave-agent")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	return bin, nil
})

func binary(tb testing.TB) string {
	tb.Helper()
	bin, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return bin
}

// slow says whether the long tests run at full length.
func slow() bool { return os.Getenv("K2HDKC_TEST_FULL") != "" }

func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	tb.Cleanup(cancel)
	return ctx
}

// result is what came of one run of the agent.
type result struct {
	status         int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit status %d\n--- stdout\n%s--- stderr\n%s", r.status, r.stdout, r.stderr)
}

// finish runs cmd to its end; start starts it, where that has to happen
// somewhere special.
func finish(tb testing.TB, cmd *exec.Cmd, start func() error) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if start == nil {
		start = cmd.Start
	}
	if err := start(); err != nil {
		tb.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("%v\n%s", err, stderr.String())
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// end asks a running agent to end, and fails if that is not how it ends.
func end(tb testing.TB, p *agent.Process) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if status, err := p.Stop(ctx); status != 0 || err != nil {
		tb.Errorf("ended with status %d on SIGTERM (%v), want 0\n%s", status, err, p.Log())
	}
}

// says waits for a record with this message, from the from-th on, whose error
// contains text. It returns the number of the record after it.
func says(tb testing.TB, p *agent.Process, from int, message, text string) int {
	tb.Helper()
	_, next, err := p.Await(deadline(tb), from, func(r agent.Record) bool {
		return strings.HasPrefix(r.Message, message) && strings.Contains(r.Text("error"), text)
	})
	if err != nil {
		tb.Fatalf("should have said %q %q: %v\n%s", message, text, err, p.Log())
	}
	return next
}

// until waits for something that tells of itself in no other way than by
// being there.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx := deadline(tb)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); {
		select {
		case <-ctx.Done():
			tick.Stop()
			tb.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func read(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func names(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// inode tells whether a file was replaced: it says another number then.
func inode(tb testing.TB, path string) uint64 {
	tb.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}
