// Package realagent runs the real agent, as its users do, for the lab and the
// end-to-end tests: built from this module, as a process of its own, with its
// log read as it is written.
package realagent

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
)

// Tags are those that packaging/compile builds the agent with.
const Tags = "nethttpomithttp2"

// Release are the flags of packaging/compile besides, but for those that name the version.
func Release() []string {
	align := "4"
	if runtime.GOARCH == "amd64" {
		align = "1"
	}
	return []string{
		"-gcflags=all=-l", "-gcflags=runtime=",
		"-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -funcalign=" + align,
	}
}

// Env has an agent keep to a folder with all that it reads and writes on a host: its configuration,
// state, instance id, and slave.ini in out. It knows no unit, and finds no program by itself.
func Env(dir string) []string {
	return []string{
		"PATH=/nowhere",
		"K2HDKC_SLAVE_CONFIG=" + filepath.Join(dir, "slave-agent.ini"),
		"K2HDKC_SLAVE_ANTPICKAX_DIR=" + filepath.Join(dir, "antpickax"),
		"K2HDKC_SLAVE_INSTANCE_ID_FILE=" + filepath.Join(dir, "instance-id"),
		"K2HDKC_SLAVE_STATE_DIR=" + filepath.Join(dir, "state"),
		"K2HDKC_SLAVE_RUN_DIR=" + filepath.Join(dir, "run"),
		"K2HDKC_SLAVE_OUTPUT=" + filepath.Join(dir, "out", "slave.ini"),
		"K2HDKC_SLAVE_UNIT=",
	}
}

// Build builds the agent into dir and returns its path. flags are more of go
// build's.
func Build(dir string, flags ...string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "k2hdkc-slave-agent")
	cgo, tags := "0", Tags
	if slices.Contains(flags, "-race") { // needs cgo; the resolver stays Go's own all the same
		cgo, tags = "1", tags+",netgo,osusergo"
	}
	args := slices.Concat([]string{"build", "-tags", tags}, flags, []string{"-o", bin, "k2hdkc-slave-agent/cmd/k2hdkc-slave-agent"})
	cmd := exec.Command("go", args...)
	cmd.Dir = Root() // whosever test it is
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	return bin, nil
}

// Root is the module's folder, which this was compiled from; empty where a program was built
// without paths, or its source is gone.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Process is a running agent.
type Process struct {
	Log
	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs the agent. onLog, which may be nil, is called for each record, one
// at a time.
func Start(ctx context.Context, cmd *exec.Cmd, onLog func(Record)) (*Process, error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go p.read(stderr, onLog)
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	go func() {
		<-p.done
		stop()
	}()
	return p, nil
}

func (p *Process) read(stderr io.Reader, onLog func(Record)) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r := p.Add(lines.Bytes())
		if onLog != nil {
			onLog(r)
		}
	}
	p.cmd.Wait()
	close(p.done)
	p.End()
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the agent has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// State is how it ended; nil while it runs.
func (p *Process) State() *os.ProcessState { return p.cmd.ProcessState }

// Signal sends the agent a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the agent to end and returns its exit status; it is killed when
// ctx is done first.
func (p *Process) Stop(ctx context.Context) (int, error) {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.cmd.Process.Kill()
		<-p.done
		return -1, ctx.Err()
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// Usage returns what the ended agent and its children used.
func (p *Process) Usage() *syscall.Rusage {
	u, _ := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return u
}
