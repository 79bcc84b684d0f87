// Package vmexec runs the commands of a test on a virtual machine, where there
// is no way in through the host's kernel: the machine runs vmexecd, which serves
// one command per connection, as root.
package vmexec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"
)

// Port is where vmexecd listens, on the address that only the test's host can
// reach.
const Port = 700

// Up begins the line that vmexecd prints on the console when it listens. The id
// of the boot follows.
const Up = "vmexecd listens in boot "

// Command is what is to be run.
type Command struct {
	Argv  []string
	Env   []string
	Stdin []byte
}

// Result is how it ended.
type Result struct {
	Status         int // exit status; -1 if a signal ended it
	Stdout, Stderr []byte
	Error          string // why it could not be run; empty if it was
}

// Run has the vmexecd at addr run a command to its end. The command is killed
// when ctx is done.
func Run(ctx context.Context, addr string, c Command) (Result, error) {
	var r Result
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(c); err != nil {
		return r, err
	}
	err = json.NewDecoder(conn).Decode(&r)
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case err != nil:
		return r, fmt.Errorf("the machine went away: %w", err)
	case r.Error != "":
		return r, errors.New(r.Error)
	}
	return r, nil
}

// Serve runs the commands that come in, until none can.
func Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go serve(conn)
	}
}

// serve runs one command, and ends it with the connection.
func serve(conn net.Conn) {
	defer conn.Close()
	var c Command
	d := json.NewDecoder(conn)
	if err := d.Decode(&c); err != nil || len(c.Argv) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		var more json.RawMessage
		d.Decode(&more) //nolint:errcheck // nothing comes but the end
	}()
	json.NewEncoder(conn).Encode(run(ctx, c)) //nolint:errcheck // the caller is gone
}

func run(ctx context.Context, c Command) Result {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env, cmd.Dir = c.Env, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Stdin), &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	r := Result{Status: -1, Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if cmd.ProcessState != nil {
		r.Status = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		r.Error = err.Error()
	}
	return r
}

// BootID names the running boot of this machine.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(b)), err
}
