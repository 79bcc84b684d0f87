package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

// progressEvery is how often somebody who waits for the compiler is told how far
// it is.
const progressEvery = 5 * time.Second

// build makes the agent and the chmpx stand-in.
func (l *lab) build(ctx context.Context) error {
	started := time.Now()
	l.say("compiling the agent and the chmpx stand-in (where Go has compiled little yet, that takes a minute or two)")
	if err := l.compile(ctx); err != nil {
		return err
	}
	bin := filepath.Join(l.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	var err error
	if l.bin, err = realagent.Build(bin); err != nil {
		return err
	}
	if l.programs, err = fakechmpx.BuildStandin(bin); err != nil {
		return err
	}
	l.say("compiled in %v", time.Since(started).Round(100*time.Millisecond))
	return ctx.Err()
}

// compile compiles all packages that the programs are made of, and shows its
// progress. What it compiles the builds find in Go's cache.
func (l *lab) compile(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", realagent.Tags, "-v", "-o", os.DevNull,
		"k2hdkc-slave-agent/cmd/k2hdkc-slave-agent", "k2hdkc-slave-agent/tests/fakechmpx/standin")
	// What go build leaves behind when it is killed goes with the lab's folder.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTMPDIR="+l.dir)
	// The compilers of go build end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the go command is needed to compile the agent: %w", err)
	}
	said := l.progress(out)
	if err := cmd.Wait(); err != nil {
		if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT {
			// Ctrl-C reached it before it had a group of its own; it reaches the lab, too.
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		return errors.Join(ctx.Err(), fmt.Errorf("compile the agent and the chmpx stand-in: %w\n%s", err, said))
	}
	return nil
}

// progress reads which packages are compiled until there are no more, and returns
// what else is said.
func (l *lab) progress(out io.Reader) (said string) {
	started, next := time.Now(), time.Now().Add(progressEvery)
	packages := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if strings.ContainsAny(line, " \t") {
			said += line + "\n"
			continue
		}
		packages++
		if now := time.Now(); now.After(next) {
			l.say("  %.0f s: %d packages so far, now %s", now.Sub(started).Seconds(), packages, line)
			next = now.Add(progressEvery)
		}
	}
	return said
}
