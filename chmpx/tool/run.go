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
	// ErrCannotRun says that the program is there and nothing that can be run: it is not
	// executable, or of another architecture, or its libraries are missing.
	ErrCannotRun = errors.New("cannot be run")
	// ErrTimeout says that Run killed a program because it took too long.
	ErrTimeout = errors.New("did not finish in time")
	// ErrTooMuch says that Run killed a program because it printed too much.
	ErrTooMuch = errors.New("printed more than it ever should")
	// ErrLeftOpen says that a program ended, but something that it started kept its
	// output open, so that the output may not be complete.
	ErrLeftOpen = errors.New("ended, but something it started keeps its output open")
	// ErrStillRuns says that a program was killed in an earlier run and has not ended, so that it
	// is not started once more. The kernel keeps it: a disk or a network file system hangs.
	ErrStillRuns = errors.New("was killed and still has not ended")
)

const (
	// DefaultTimeout is how long a run may take unless the call says otherwise.
	DefaultTimeout = 10 * time.Second
	// outputGrace is how long output may stay open after the program has ended.
	outputGrace = time.Second
	// killGrace is how long Run waits for a program that it has killed, and endGrace how long if
	// the caller ends.
	killGrace = 2 * time.Second
	endGrace  = 100 * time.Millisecond
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

	// unended, nil outside of tests, returns once the kernel lets the program end.
	unended func()
}

// ExitError is a program that ended by itself with a status other than 0.
type ExitError struct {
	Command string
	Err     error // an *exec.ExitError
	Said    string
}

func (e *ExitError) Error() string {
	first, _, _ := strings.Cut(strings.TrimSpace(e.Said), "\n")
	text := fmt.Sprintf("%s: %v", e.Command, e.Err)
	if e.cannotRun() {
		text = fmt.Sprintf("%s %v: %v", e.Command, ErrCannotRun, e.Err)
	}
	if first != "" {
		text += fmt.Sprintf(": %.200q", first)
	}
	return text
}

func (e *ExitError) Unwrap() error { return e.Err }

// Is reports whether the error is ErrCannotRun: that is what the status says with which the dynamic
// linker and the shell end in place of the program.
func (e *ExitError) Is(target error) bool { return target == ErrCannotRun && e.cannotRun() }

func (e *ExitError) cannotRun() bool {
	status, ok := errors.AsType[*exec.ExitError](e.Err)
	return ok && (status.ExitCode() == 126 || status.ExitCode() == 127)
}

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
// ErrStillRuns, ctx's, or the system's, with ErrCannotRun where that lasts, if the
// program cannot run.
//
// When Run returns, the program has ended; if Run had to kill it, or it left its
// output open, the rest of its process group has ended too. Only what the kernel
// itself keeps from ending is left behind, two seconds later, and out shows nothing
// of it. Where ctx has ended, Run does not wait even that long.
func Run(ctx context.Context, c Call, out *Output) error {
	if !out.reset() {
		return fmt.Errorf("%s %w", c.Command, ErrStillRuns)
	}
	if c.Command == "" {
		return c.Find()
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	limited, stopTimer := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer stopTimer()
	limited, stop := context.WithCancelCause(limited)
	defer stop(nil)

	ended := make(chan struct{})
	s := out.streams
	var err error // once ended
	go func() {
		defer close(ended)
		err = c.run(limited, s, func() { stop(ErrTooMuch) })
	}()
	select {
	case <-ended:
		return c.explain(limited, err, out)
	case <-limited.Done():
	}
	grace := time.NewTimer(killGrace)
	defer grace.Stop()
	if ctx.Err() != nil {
		grace.Reset(endGrace)
	}
	select {
	case <-ended:
		return c.explain(limited, err, out)
	case <-grace.C:
		out.leave(ended)
		return c.ended(context.Cause(limited))
	}
}

// run runs the program until it has ended, which may take for ever.
func (c Call) run(ctx context.Context, s *streams, tooMuch func()) error {
	defer reapOrphans()
	children.RLock()
	defer children.RUnlock()
	cmd := exec.CommandContext(ctx, c.Command, c.Args...)
	cmd.Env = c.Env
	if cmd.Env == nil {
		cmd.Env = Environ()
	}
	cmd.Stdout = &bounded{buf: &s.stdout, max: c.MaxOutput, over: tooMuch}
	cmd.Stderr = &bounded{buf: &s.stderr, max: maxComplaint}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputGrace
	if err := cmd.Start(); err != nil {
		return c.startError(err)
	}
	err := cmd.Wait()
	if err != nil && (ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay)) {
		// What the program left behind still has its process group, so the number
		// cannot be another's yet.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if c.unended != nil {
		c.unended()
	}
	return err
}

// startError is why the program did not start.
func (c Call) startError(err error) error {
	missing := errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && c.isThere():
		return fmt.Errorf("%s %w: its interpreter or its dynamic linker is missing", c.Command, ErrCannotRun)
	case missing:
		return fmt.Errorf("%s %w", c.Command, ErrNotInstalled)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.ELIBBAD), errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%s %w: %w", c.Command, ErrCannotRun, err)
	}
	return fmt.Errorf("%s did not start: %w", c.Command, err)
}

func (c Call) isThere() bool {
	_, err := exec.LookPath(c.Command)
	return err == nil
}

// explain is the error of a run that is over.
func (c Call) explain(ctx context.Context, err error, out *Output) error {
	if cause := context.Cause(ctx); cause != nil {
		return c.ended(cause)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s %w", c.Command, ErrLeftOpen)
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return &ExitError{Command: c.Command, Err: err, Said: string(out.Complaint())}
	}
	return err
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
