package fakechmpx

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Option changes how a chmpx is started.
type Option func(*exec.Cmd)

// WithState makes it keep its state in d.
func WithState(d StateDir) Option {
	return func(c *exec.Cmd) { c.Env = append(c.Env, d.Env()) }
}

// Process is a chmpx that was started here.
type Process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it is up
	done  chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
}

// Exit is how a process ended. Signal is 0 if it was not killed by one.
type Exit struct {
	Code   int
	Signal syscall.Signal
}

// NotStartedError says that a chmpx ended before it was up.
type NotStartedError struct {
	Exit   Exit
	Output string
}

func (e *NotStartedError) Error() string {
	return fmt.Sprintf("chmpx did not start (status %d, signal %d): %s", e.Exit.Code, e.Exit.Signal, strings.TrimSpace(e.Output))
}

// Start runs chmpx on conf and returns once it is up: its state can be asked for
// and its file is watched. It is killed when ctx is done, and when this process
// ends. A chmpx that ends first gives a [NotStartedError].
func Start(ctx context.Context, p Programs, conf string, opts ...Option) (*Process, error) {
	cmd := exec.CommandContext(ctx, p.Chmpx, "-conf", conf, "-d", "msg")
	cmd.Env = os.Environ()
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, opt := range opts {
		opt(cmd)
	}
	proc := &Process{cmd: cmd, ready: make(chan struct{}), done: make(chan struct{})}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = writerFunc(proc.write)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start chmpx: %w", err)
	}
	go proc.follow(stdout)
	select {
	case <-proc.ready:
		return proc, nil
	case <-proc.done:
		return nil, &NotStartedError{proc.Exit(), proc.Output()}
	}
}

// StartT is Start for a test, whose folders are removed only when chmpx has ended.
func StartT(tb TB, p Programs, conf string, opts ...Option) (*Process, error) {
	proc, err := Start(tb.Context(), p, conf, opts...)
	if err == nil {
		tb.Cleanup(func() { <-proc.Done() })
	}
	return proc, err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (p *Process) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

// follow collects the output until the process ends. The last line chmpx prints
// when it is up is that of its status.
func (p *Process) follow(stdout io.Reader) {
	up := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		fmt.Fprintln(writerFunc(p.write), lines.Text())
		if strings.HasPrefix(lines.Text(), "STATUS ") && !up {
			up = true
			close(p.ready)
		}
	}
	p.cmd.Wait() // its error is the exit status, which Exit gives
	close(p.done)
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Output is what it has printed so far, on both streams.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// Exit says how it ended. It waits for the end.
func (p *Process) Exit() Exit {
	<-p.done
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return Exit{Code: -1, Signal: status.Signal()}
	}
	return Exit{Code: status.ExitStatus()}
}

// Wait waits for the end, but no longer than ctx lasts.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		return p.Exit(), nil
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("chmpx %d still runs: %w", p.PID(), ctx.Err())
	}
}

// Signal sends it a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Stop ends it in order, by SIGHUP, and waits. When ctx is done first it is killed.
func (p *Process) Stop(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		return p.Exit(), nil
	default:
	}
	if err := p.Signal(syscall.SIGHUP); err != nil {
		return p.Exit(), nil // it ended meanwhile
	}
	exit, err := p.Wait(ctx)
	if err != nil {
		p.cmd.Process.Kill()
		return p.Exit(), err
	}
	return exit, nil
}
