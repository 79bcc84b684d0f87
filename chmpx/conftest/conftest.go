package conftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k2hdkc-slave-agent/chmpx/tool"
)

// If there is no verdict, the error of Check wraps one of these, or whatever else
// kept the program from giving one.
var (
	ErrNotInstalled = tool.ErrNotInstalled
	// ErrTimeout most likely means a slow name service: a load waits for it.
	ErrTimeout = tool.ErrTimeout
)

// maxOutput bounds what is read of the program, in bytes. The verdict is the
// first line that it prints.
const maxOutput = 1 << 20

// errSilent says that the program ended without a verdict, and without a reason for that.
var errSilent = errors.New("said nothing about the file")

// RefusedError says that chmpx's own loader does not load a file.
type RefusedError struct {
	Program string // base name
	Said    string // its reasons on one line of printable text, a few hundred bytes at most
}

func (e *RefusedError) Error() string { return e.Program + " does not load it: " + e.Said }

// Checker asks chmpxconftest. It may be used from several goroutines.
type Checker struct {
	Command string        // name or path; empty: not installed
	Timeout time.Duration // 0: tool.DefaultTimeout, ten seconds
}

// Check lets chmpxconftest load the file at path, as this process's user. Its name
// must end in .ini, or chmpx takes it for something else.
//
// The error is nil if the file loads, and a *RefusedError if it does not, or if
// the program crashes over it and not over any file. Any other error means that
// there is no verdict: ErrNotInstalled, ErrTimeout, ctx's, or that of a program
// that cannot run, cannot read the file, or had to be killed.
func (c Checker) Check(ctx context.Context, path string) error {
	return c.check(ctx, path, new(tool.Output))
}

func (c Checker) check(ctx context.Context, path string, out *tool.Output) error {
	err := c.ask(ctx, path, out)
	exit, ok := errors.AsType[*tool.ExitError](err)
	if !ok || !crashed(exit) {
		return err
	}
	if c.loadsSample(ctx, out) {
		return &RefusedError{Program: filepath.Base(c.Command), Said: fmt.Sprintf("it crashes (%v)", exit.Err)}
	}
	return err
}

// ask runs the program once.
func (c Checker) ask(ctx context.Context, path string, out *tool.Output) error {
	// A relative path could look like an option, or like JSON.
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	err = tool.Run(ctx, tool.Call{
		Command: c.Command, Args: []string{"-conf", path, "-no_check_update", "-d", "err"},
		Timeout: c.Timeout, MaxOutput: maxOutput,
	}, out)
	switch {
	case loaded(out.Bytes()):
		return nil // whatever became of the program afterwards
	case err != nil:
		return err // a verdict comes with status 0, whatever it is
	}
	said := reasons(path, out.Complaint(), out.Bytes())
	switch {
	case said == "" && !bytes.Contains(out.Bytes(), []byte("[NOTICE]")):
		return fmt.Errorf("%s %w", c.Command, errSilent)
	case said == "":
		said = "it gives no reason"
	}
	return &RefusedError{Program: filepath.Base(c.Command), Said: said}
}

// crashed reports whether a fault of its own ended the program.
func crashed(exit *tool.ExitError) bool {
	status, ok := errors.AsType[*exec.ExitError](exit.Err)
	if !ok {
		return false
	}
	wait, ok := status.Sys().(syscall.WaitStatus)
	return ok && wait.Signaled() && slices.Contains([]syscall.Signal{
		syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGABRT, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGSYS,
	}, wait.Signal())
}

// sample is a file that loads everywhere.
const sample = `[GLOBAL]
FILEVERSION = 1
GROUP = sample
MODE = SLAVE
DELIVERMODE = HASH
SELFCTLPORT = 8031
[SVRNODE]
NAME = 192.0.2.1
PORT = 8020
CTLPORT = 8021
[SLVNODE]
NAME = localhost
CTLPORT = 8031
`

// loadsSample reports whether the program can do its work at all: if it loads the sample, and
// crashes over another file, so would chmpx.
func (c Checker) loadsSample(ctx context.Context, out *tool.Output) bool {
	f, err := os.CreateTemp("", "k2hdkc-slave-agent-*.ini")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(sample)
	if err = errors.Join(err, f.Close()); err != nil {
		return false
	}
	return c.ask(ctx, f.Name(), out) == nil
}

// loaded reports whether the output has the verdict that the file loads.
func loaded(stdout []byte) bool {
	for line := range bytes.Lines(stdout) {
		if string(bytes.TrimRight(line, " \t\r\n")) == "configuration{" {
			return true
		}
	}
	return false
}

const (
	maxReasons = 3
	maxSaid    = 300 // bytes
)

// reasons are the first error lines that the program printed; the cause comes
// before its consequences. The path of the file is shortened to its name.
func reasons(path string, texts ...[]byte) string {
	var list []string
	for _, text := range texts {
		for line := range strings.Lines(string(text)) {
			reason, ok := reasonOf(strings.TrimSpace(line))
			if ok && len(list) < maxReasons {
				list = append(list, strings.ReplaceAll(reason, path, filepath.Base(path)))
			}
		}
	}
	return shorten(printable(strings.Join(list, "; ")))
}

// reasonOf cuts the level, function and line number off an error line.
func reasonOf(line string) (string, bool) {
	rest, ours := strings.CutPrefix(line, "[CHMPX-ERR] ")
	if !ours {
		return strings.CutPrefix(line, "[ERR] ")
	}
	if _, text, ok := strings.Cut(rest, " : "); ok {
		return text, true
	}
	return rest, true
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

func shorten(s string) string {
	if len(s) <= maxSaid {
		return s
	}
	return s[:maxSaid-len("...")] + "..."
}
