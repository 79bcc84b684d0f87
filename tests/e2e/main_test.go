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

	"k2hdkc-slave-agent/tests/parallel"
	"k2hdkc-slave-agent/tests/realagent"
)

// limit is how long anything that is waited for may take. It is met on a busy
// machine too; what is fast returns at once.
const limit = 2 * time.Minute

// programs is where the binary under test is built, once for all tests.
var programs string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	parallel.Waiting()
	var err error
	if programs, err = os.MkdirTemp("", "k2hdkc-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programs)
	return m.Run()
}

var build = sync.OnceValues(func() (string, error) {
	if raceEnabled {
		return realagent.Build(programs, "-race")
	}
	return realagent.Build(programs)
})

func binary(tb testing.TB) string {
	tb.Helper()
	bin, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return bin
}

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

// finish runs cmd to its end; start starts it.
func finish(tb testing.TB, cmd *exec.Cmd, start func() error) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
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

// daemon is a running agent, and how far a test has read its log.
type daemon struct {
	*realagent.Process
	tb   testing.TB
	next int
}

// says waits for a record with this message whose error contains text. It does
// not look at what an earlier call has seen.
func (d *daemon) says(message, text string) {
	d.tb.Helper()
	_, next, err := d.Await(deadline(d.tb), d.next, func(r realagent.Record) bool {
		return strings.HasPrefix(r.Message, message) && strings.Contains(r.Text("error"), text)
	})
	if err != nil {
		d.tb.Fatalf("should have said %q %q: %v (%v)\n%s", message, text, err, d.State(), d)
	}
	d.next = next
}

// end asks the agent to end, and fails if that is not how it ends.
func (d *daemon) end() {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if status, err := d.Stop(ctx); status != 0 || err != nil {
		d.tb.Errorf("ended with status %d on SIGTERM (%v), want 0\n%s", status, err, d)
	}
}

// until polls until ok. It is for what sends no event when it happens.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx := deadline(tb)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	must(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	must(tb, os.WriteFile(path, []byte(text), 0o600))
}

// script writes a program. While its file is open no process is started: one would have the file
// open for a moment too, and a program that somebody writes to cannot be run.
func script(tb testing.TB, path, text string) {
	tb.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	write(tb, path, "#!/bin/sh\n"+text+"\n")
	must(tb, os.Chmod(path, 0o755))
}

func read(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	must(tb, err)
	return string(b)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
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

// inode is another number once a file has been replaced.
func inode(tb testing.TB, path string) uint64 {
	tb.Helper()
	fi, err := os.Stat(path)
	must(tb, err)
	return fi.Sys().(*syscall.Stat_t).Ino
}
