package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Result is how a command on a machine ended.
type Result struct {
	Status         int // exit status; -1 if a signal ended it
	Stdout, Stderr string
}

func (r Result) String() string {
	return fmt.Sprintf("exit status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
}

// environment is that of a command on a machine.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", "DEBIAN_FRONTEND=noninteractive",
}

// Command returns a command to run as root on the machine. It is killed when
// ctx is done.
func (m *Machine) Command(ctx context.Context, argv ...string) *exec.Cmd {
	m.mu.Lock()
	leader := m.leader
	m.mu.Unlock()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--all", "--target", strconv.Itoa(leader), "--"}, argv...)...)
	cmd.Env = environment
	// What nsenter starts on the machine does not end with nsenter.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// Exec runs a command on the machine to its end. That it fails is in the
// result; an error means that there is none.
func (m *Machine) Exec(ctx context.Context, argv ...string) (Result, error) {
	return finish(m.Command(ctx, argv...))
}

func finish(cmd *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := Result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return r, err
}

// CopyIn puts a file on the machine's disk, by a rename.
func (m *Machine) CopyIn(ctx context.Context, path string, mode fs.FileMode, from io.Reader) error {
	cmd := m.Command(ctx, "sh", "-c", copyScript, "sh", path, fmt.Sprintf("%o", mode.Perm()))
	cmd.Stdin = from
	r, err := finish(cmd)
	return copied(path, r, err)
}

// copyScript copies its input to the path $1, with mode $2.
const copyScript = `set -eu; mkdir -p "$(dirname "$1")"; cat >"$1.part"; chmod "$2" "$1.part"; mv "$1.part" "$1"`

func copied(path string, r Result, err error) error {
	if err == nil && r.Status != 0 {
		err = errors.New(r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("copy to %s: %w", path, err)
	}
	return nil
}

// Journal returns the messages of a unit since the last boot, one a line, all
// units' if it is empty.
func (m *Machine) Journal(ctx context.Context, unit string) (string, error) {
	return journal(ctx, m, unit)
}

func journal(ctx context.Context, m runner, unit string) (string, error) {
	args := []string{"journalctl", "--boot", "--no-pager", "--quiet", "--output=short-precise"}
	if unit != "" {
		args = append(args, "--unit="+unit)
	}
	r, err := m.Exec(ctx, args...)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("journalctl: %s", r.Stderr)
	}
	return r.Stdout, err
}

// runner is a machine of whatever kind.
type runner interface {
	Exec(ctx context.Context, argv ...string) (Result, error)
}

// whole waits until systemd has started all it wanted to, and nothing of that
// has failed.
func whole(ctx context.Context, m runner) error {
	r, err := m.Exec(ctx, "systemctl", "is-system-running", "--wait")
	if err != nil {
		return err
	}
	if state := strings.TrimSpace(r.Stdout); state != "running" {
		r, err := m.Exec(ctx, "systemctl", "--failed", "--no-legend", "--plain")
		return errors.Join(fmt.Errorf("it is %s: %s%s", state, r.Stdout, r.Stderr), err)
	}
	return nil
}

// halt asks for the end of the machine, which may cut off the answer.
func halt(ctx context.Context, m runner, verb string) error {
	r, err := m.Exec(ctx, "systemctl", "--no-block", verb)
	if err == nil && r.Status > 0 && r.Stderr != "" {
		return fmt.Errorf("systemctl %s: %s", verb, r.Stderr)
	}
	return err
}

// output collects what a process prints.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed at the next change; nil: nobody waits
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until text has been printed. It gives up when done is closed.
func (o *output) await(ctx context.Context, done <-chan struct{}, text string) error {
	return o.awaitFunc(ctx, done, func(all string) bool { return strings.Contains(all, text) })
}

// awaitFunc waits until ok says that what has been printed is enough.
func (o *output) awaitFunc(ctx context.Context, done <-chan struct{}, ok func(all string) bool) error {
	for {
		o.mu.Lock()
		if ok(o.text.String()) {
			o.mu.Unlock()
			return nil
		}
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-done:
			return errors.New("it has ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
