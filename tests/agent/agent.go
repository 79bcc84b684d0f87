// Package agent runs the real agent, as its users do, for the lab and the
// end-to-end tests: built from this module, as a process of its own, with its
// log read as it is written.
package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// Build builds the agent into dir and returns its path.
func Build(dir string, flags ...string) (string, error) {
	bin := filepath.Join(dir, "k2hdkc-slave-agent")
	args := append([]string{"build"}, flags...)
	cmd := exec.Command("go", append(args, "-o", bin, "k2hdkc-slave-agent/cmd/k2hdkc-slave-agent")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	return bin, nil
}

// Record is one line of the agent's log.
type Record struct {
	Message string
	Level   string
	// Attrs are the other fields, as JSON has them.
	Attrs map[string]any
}

// Text returns an attribute as text; empty if the record has none.
func (r Record) Text(key string) string {
	v, ok := r.Attrs[key]
	if !ok {
		return ""
	}
	return fmt.Sprint(v)
}

func (r *Record) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&r.Attrs); err != nil {
		return err
	}
	r.Message, r.Level = r.Text("msg"), r.Text("level")
	for _, key := range []string{"msg", "level", "time"} {
		delete(r.Attrs, key)
	}
	return nil
}

// Process is a running agent.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu      sync.Mutex
	records []Record
	raw     bytes.Buffer
	changed chan struct{} // closed and replaced when records grow
	onLog   func(Record)
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
	p := &Process{cmd: cmd, done: make(chan struct{}), changed: make(chan struct{}), onLog: onLog}
	go p.read(stderr)
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	go func() {
		<-p.done
		stop()
	}()
	return p, nil
}

func (p *Process) read(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			r = Record{Message: lines.Text(), Level: "ERROR"}
		}
		p.mu.Lock()
		p.raw.Write(lines.Bytes())
		p.raw.WriteByte('\n')
		p.records = append(p.records, r)
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
		if p.onLog != nil {
			p.onLog(r)
		}
	}
	p.cmd.Wait()
	close(p.done)
}

// Await returns the first record, from the from-th on, for which ok holds, and
// the number of the one after it.
func (p *Process) Await(ctx context.Context, from int, ok func(Record) bool) (Record, int, error) {
	for {
		p.mu.Lock()
		records, changed := p.records, p.changed
		p.mu.Unlock()
		for i := from; i < len(records); i++ {
			if ok(records[i]) {
				return records[i], i + 1, nil
			}
		}
		from = len(records)
		select {
		case <-changed:
		case <-p.done:
			return Record{}, from, errors.New("the agent has ended")
		case <-ctx.Done():
			return Record{}, from, ctx.Err()
		}
	}
}

// Log returns all that the agent has written.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

// Count returns how many records there are.
func (p *Process) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.records)
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the agent has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

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
