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
	// ErrTimeout says that Run killed a program because it took too long.
	ErrTimeout = errors.New("did not finish in time")
	// ErrTooMuch says that Run killed a program because it printed too much.
	ErrTooMuch = errors.New("printed more than it ever should")
	// ErrLeftOpen says that a program ended, but something that it started kept its
	// output open, so that the output may not be complete.
	ErrLeftOpen = errors.New("ended, but something it started keeps its output open")
)

const (
	// DefaultTimeout is how long a run may take unless the call says otherwise.
	DefaultTimeout = 10 * time.Second
	// outputGrace is how long output may stay open after the program has ended.
	outputGrace = time.Second
)

// Call is one run of a program.
type Call struct {
	Command string // name to look up in PATH, or path; empty: not installed
	Args    []string
	Env     []string      // nil: that of [Environ]
	Timeout time.Duration // 0: DefaultTimeout
	// MaxOutput bounds what is kept of the standard output, in bytes. Run kills a
	// program that prints more.
	MaxOutput int
}

// ExitError is a program that ended by itself with a status other than 0.
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

// Find looks for the program of a call: nil, or ErrNotInstalled, or why it cannot
// run.
func (c Call) Find() error {
	if c.Command == "" {
		return fmt.Errorf("no program is configured, so it %w", ErrNotInstalled)
	}
	if _, err := exec.LookPath(c.Command); err != nil {
		return c.startError(err)
	}
	return nil
}

// Run runs the program to its end and fills out in any case: what a program
// printed before Run killed it is there too. The error is nil for status 0, an
// *ExitError for another one, ErrNotInstalled, ErrTimeout, ErrTooMuch, ErrLeftOpen,
// ctx's, or the system's if the program cannot run. When Run returns, the program
// has ended; if Run had to kill it, or it left its output open, the rest of its
// process group has ended too.
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
		// What the program left behind still has its process group, so the number
		// cannot be another's yet.
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

// ended is the error of a run that Run ended.
func (c Call) ended(cause error) error {
	switch {
	case errors.Is(cause, ErrTimeout):
		return fmt.Errorf("%s %w", c.Command, cause)
	case errors.Is(cause, ErrTooMuch):
		return fmt.Errorf("%s %w (%d bytes)", c.Command, cause, c.MaxOutput)
	}
	return cause
}
