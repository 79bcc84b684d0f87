package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/chmpx/tool"
	"k2hdkc-slave-agent/cmd/options"
)

func TestAProgramThatHangsIsEndedWithinASecond(t *testing.T) {
	for name, want := range map[string]int{"run": 0, "once": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				p := &program{stderr: &log}
				p.out.log.Store(slog.New(slog.NewTextHandler(&log, nil)))
				p.daemon.Store(name == "run")
				release := make(chan struct{})
				defer close(release)
				go hang(release)
				start, status := time.Now(), -1
				p.insist(func(n int) { status = n })
				if took := time.Since(start); took >= time.Second || status != want {
					t.Errorf("exit status %d after %v, want %d within a second", status, took, want)
				}
				if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "cmd/k2hdkc-slave-agent.hang") {
					t.Errorf("said %s", got)
				}
			})
		})
	}
}

// What the program hangs on may be what the last words need, too.
func TestAProgramThatCannotSayWhyIsEndedWithinASecond(t *testing.T) {
	for _, name := range []string{"log", "note"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				p := &program{stderr: stuck(release)}
				if name == "log" {
					p.out.log.Store(slog.New(slog.NewTextHandler(p.stderr, nil)))
				}
				p.daemon.Store(true)
				start, status := time.Now(), -1
				p.insist(func(n int) { status = n })
				if took := time.Since(start); took >= time.Second || status != 0 {
					t.Errorf("exit status %d after %v, want 0 within a second", status, took)
				}
			})
		})
	}
}

// stuck is a writer that waits until it is released.
type stuck chan struct{}

func (s stuck) Write(b []byte) (int, error) { <-s; return len(b), nil }

func TestAVerbThatIsOverItsLimitSaysWhatItIsBusyWith(t *testing.T) {
	var said bytes.Buffer
	status := -1
	p := &program{stderr: &said, exit: func(n int) { status = n }}
	release := make(chan struct{})
	defer close(release)
	go hang(release)
	for status == -1 || !strings.Contains(said.String(), ".hang") { // which may not have begun yet
		if t.Context().Err() != nil {
			break
		}
		said.Reset()
		p.giveUp("status")
	}
	if got := said.String(); status != 1 || !strings.HasPrefix(got, options.Program+": status gives up after 9.5s") {
		t.Errorf("exit status %d, said %s", status, got)
	}
}

func hang(release chan struct{}) { <-release }

func TestWhatTheProgramIsBusyWith(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tool.Run(ctx, tool.Call{Command: "sleep", Args: []string{"1h"}, Timeout: time.Hour}, new(tool.Output))
	}()
	defer func() { cancel(); <-done }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		at := strings.Join(busy(), "; ")
		if strings.Contains(at, "chmpx/tool.") && strings.Contains(at, "os/exec.(*Cmd)") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("busy with %s", at)
		}
	}
}

func TestEachLineOfAnErrorNamesTheProgram(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		config string
		lines  int
	}{
		"two options":           {[]string{"once"}, "", 2},
		"two lines of the file": {[]string{"run"}, "[k2hr3]\nintervall = 5s\nrool = x\n", 2},
		"a usage error":         {[]string{"once", "--interval=x", "--timeout=y"}, "", 3},
		"an unknown verb":       {[]string{"runn"}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			status, said := onDisk(t.Context(), c.config, c.args...)
			lines := strings.Split(strings.TrimSpace(said), "\n")
			if status == 0 || len(lines) < c.lines {
				t.Errorf("status %d, said\n%s", status, said)
			}
			for _, line := range lines {
				if !strings.HasPrefix(line, options.Program) {
					t.Errorf("said\n%s", said)
				}
			}
		})
	}
}

// onDisk runs a command line where there is nothing but a configuration file.
func onDisk(ctx context.Context, config string, args ...string) (status int, said string) {
	var stderr bytes.Buffer
	p := program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr, system: options.System{
		Dir: "/", Files: fstest.MapFS{"etc/k2hdkc/slave-agent.ini": &fstest.MapFile{Data: []byte(config)}},
	}}
	return p.main(ctx, args), stderr.String()
}

func TestAVerbThatASignalInterruptsSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("terminated signal received: %w", context.Canceled))
	status, said := onDisk(ctx, "", "register", "--api-uri=http://127.0.0.1:1", "--role=yrn:yahoo:::shop:role:orders/slave",
		"--cuk=vm-1", "--state-dir="+t.TempDir())
	if status != 1 || said != options.Program+": interrupted: terminated signal received: context canceled\n" {
		t.Errorf("status %d, said %s", status, said)
	}
}
