package tool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrNotInstalled says that there is no such program.
	ErrNotInstalled = errors.New("is not installed")
	// ErrTimeout says that a program was ended because it took too long.
	ErrTimeout = errors.New("did not finish in time")
	// ErrTooMuch says that a program was ended because it printed too much.
	ErrTooMuch = errors.New("printed more than it ever should")
	// ErrLeftOpen says that a program ended, but left something behind that
	// kept its output open, so that the output may not be whole.
	ErrLeftOpen = errors.New("ended, but something it started keeps its output open")
)

const (
	// DefaultTimeout is how long a run may take when nothing else is said.
	DefaultTimeout = 10 * time.Second
	// outputGrace is how long output may stay open once the program has ended.
	outputGrace = time.Second
)

// Call is one run of a program.
type Call struct {
	Command string // name to look up in PATH, or path; empty: not installed
	Args    []string
	Env     []string      // nil: that of [Environ]
	Timeout time.Duration // 0: DefaultTimeout
	// MaxOutput bounds what is kept of the standard output, in bytes. A
	// program that prints more is ended.
	MaxOutput int
}

// ExitError is a program that ended by itself, and not with status 0.
type ExitError struct {
	Command string
	Err     error // an *exec.ExitError
	Said    string
}

func (e *ExitError) Error() string {
	first, _, _ := strings.Cut(strings.TrimSpace(e.Said), "\n")
	return fmt.Sprintf("%s: %v: %.200q", e.Command, e.Err, first)
}

func (e *ExitError) Unwrap() error { return e.Err }

// Find reports whether the program of a call is there to be run: nil, or
// ErrNotInstalled, or what keeps it from being run.
func (c Call) Find() error {
	if c.Command == "" {
		return fmt.Errorf("no program is named, so it %w", ErrNotInstalled)
	}
	if _, err := exec.LookPath(c.Command); err != nil {
		return c.startError(err)
	}
	return nil
}

// Run runs the program to its end and fills out, whatever becomes of it: what
// it printed before it was ended is there too. The error is nil for status 0,
// an *ExitError for another one, ErrNotInstalled, ErrTimeout, ErrTooMuch,
// ErrLeftOpen, ctx's, or the system's where the program cannot be run. When
// Run returns, the program has ended, and where it had to be ended, or
// left its output open, so has the rest of its process group.
func Run(ctx context.Context, c Call, out *Output) error {
	out.reset()
	if c.Command == "" {
		return c.Find()
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, stopTimer := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer stopTimer()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	cmd := exec.CommandContext(ctx, c.Command, c.Args...)
	cmd.Env = c.Env
	if cmd.Env == nil {
		cmd.Env = Environ()
	}
	cmd.Stdout = &bounded{buf: &out.stdout, max: c.MaxOutput, over: func() { stop(ErrTooMuch) }}
	cmd.Stderr = &bounded{buf: &out.stderr, max: maxComplaint}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputGrace

	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return c.ended(context.Cause(ctx))
		}
		return c.startError(err)
	}
	err := cmd.Wait()
	if err != nil && (ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay)) {
		// What the program left behind still holds its process group, so that
		// the number cannot be another's yet.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return c.waitError(ctx, err, out)
}

func (c Call) startError(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %w", c.Command, ErrNotInstalled)
	}
	return fmt.Errorf("%s cannot be run: %w", c.Command, err)
}

func (c Call) waitError(ctx context.Context, err error, out *Output) error {
	if cause := context.Cause(ctx); cause != nil {
		return c.ended(cause)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s %w", c.Command, ErrLeftOpen)
	}
	if err != nil {
		return &ExitError{Command: c.Command, Err: err, Said: string(out.Complaint())}
	}
	return nil
}

// ended is the error of a run that was ended from here.
func (c Call) ended(cause error) error {
	switch {
	case errors.Is(cause, ErrTimeout):
		return fmt.Errorf("%s %w", c.Command, cause)
	case errors.Is(cause, ErrTooMuch):
		return fmt.Errorf("%s %w (%d bytes)", c.Command, cause, c.MaxOutput)
	}
	return cause
}
