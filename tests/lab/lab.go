package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

const (
	tenant  = "shop"
	cluster = "orders"
	cuk     = "7c0ffee0-1ab5-4e11-9d00-51a5e0000001"
)

// lab is a cluster on one machine.
type lab struct {
	*timeline

	dir      string // all that is written is below it
	bin      string // the agent
	programs fakechmpx.Programs

	k2hr3   *fakek2hr3.Server
	cluster *fakek2hr3.Cluster
	http    *http.Server
	url     string
	changed time.Time // when K2HR3 had the latest change
	broken  bool      // the RESOURCE is
	refused string    // why the agent refuses it, as far as it has said
	down    func()    // ends that K2HR3 does not answer; nil: it does

	file    string
	state   fakechmpx.StateDir
	chmpx   *fakechmpx.Process
	members []fakechmpx.Member // the server nodes

	agent     *realagent.Process
	read      int // of the agent's log
	confirmed int // the revision that the agent has seen chmpx run

	agentEnded *realagent.Process // of which was said that it has ended
	chmpxEnded *fakechmpx.Process
}

func newLab(out io.Writer) (*lab, error) {
	dir, err := os.MkdirTemp("", "k2hdkc-lab-")
	if err != nil {
		return nil, err
	}
	l := &lab{timeline: newTimeline(out), dir: dir}
	l.file = filepath.Join(dir, "slave.ini")
	l.state = fakechmpx.StateDir(filepath.Join(dir, "chmpx"))
	l.say(`The K2HDKC slave agent at work, on this machine alone: a stand-in for K2HR3, a stand-in for chmpx, and
the real agent between them. What they write is below %s, and gone at the end.
`, dir)
	return l, nil
}

// start starts everything but chmpx, which has no file yet.
func (l *lab) start(stock bool) error {
	if err := os.Mkdir(string(l.state), 0o755); err != nil {
		return err
	}
	if err := l.programs.UseState(l.state); err != nil {
		return err
	}
	if err := l.serve(stock); err != nil {
		return err
	}
	holds := "holds a request until the RESOURCE changes"
	if stock {
		holds = "answers each request at once, as K2HR3 does today"
	}
	l.say("K2HR3 is at %s and %s.\n\nseconds  who    what", l.url, holds)
	l.timeline.start = time.Now()
	return l.startAgent()
}

// serve starts the K2HR3 stand-in.
func (l *lab) serve(stock bool) error {
	l.k2hr3 = fakek2hr3.New()
	if !stock {
		l.k2hr3.Hold(time.Minute)
	}
	l.k2hr3.OnRequest(l.request)
	l.cluster = l.k2hr3.AddCluster(tenant, cluster)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l.http = fakek2hr3.NewHTTPServer(l.k2hr3)
	l.url = "http://" + listener.Addr().String()
	go l.http.Serve(listener)
	return nil
}

// startAgent starts the agent with what an operator gives it: where K2HR3 is,
// a role and a token. Of this machine it reads nothing.
func (l *lab) startAgent() error {
	if err := errors.Join(
		os.WriteFile(l.token(), []byte(l.cluster.RoleToken("slave", 0)+"\n"), 0o600),
		os.WriteFile(l.config(), []byte(l.options()), 0o600),
	); err != nil {
		return err
	}
	return l.runAgent()
}

// runAgent starts the agent with the files that are there.
func (l *lab) runAgent() error {
	cmd := exec.Command(l.bin, "run", "--log-format", "json", "--config", l.config())
	cmd.SysProcAttr = apart()
	p, err := realagent.Start(context.Background(), cmd, func(r realagent.Record) { l.line("agent", "%s", words(r)) })
	if err != nil {
		return err
	}
	l.agent, l.read, l.confirmed, l.refused = p, 0, 0, ""
	// What is typed next comes after its first words.
	ctx, cancel := context.WithTimeout(context.Background(), firstWords)
	defer cancel()
	_, _, _ = p.Await(ctx, 0, func(realagent.Record) bool { return true })
	return nil
}

// firstWords is how long an agent that was started may take to say something.
const firstWords = 10 * time.Second

// options are the agent's, for all its verbs. They are in its file, so that whoever plays with the
// lab changes them as an operator does, and needs no more than --config.
func (l *lab) options() string {
	in := func(name string) string { return filepath.Join(l.dir, name) }
	return fmt.Sprintf(`[k2hr3]
api-uri = %s
role = %s
role-token-file = %s
interval = 5s

[slave]
output = %s
cuk = %s
tag = 127.0.0.1

[chmpx]
unit =
status-command = %s
check-command = %s

[agent]
state-dir = %s
run-dir = %s
antpickax-dir = %s
`, l.url, l.cluster.SlaveRole(), l.token(), l.file, cuk, l.programs.Status, l.programs.Conftest,
		in("state"), in("run"), in("antpickax"))
}

func (l *lab) config() string { return filepath.Join(l.dir, "slave-agent.ini") }
func (l *lab) token() string  { return filepath.Join(l.dir, "role-token") }

// screen shows what one of the agent's verbs says, and returns its exit status.
func (l *lab) screen(ctx context.Context, verb string, flags ...string) (int, error) {
	said, status, err := l.look(ctx, verb, flags...)
	if err == nil {
		l.say("")
		for line := range strings.Lines(said) {
			l.say("%s", strings.TrimRight("    "+line, " \n"))
		}
	}
	return status, err
}

// healthy waits until the agent's verb status says so, which it does as soon as the agent has
// written it.
func (l *lab) healthy(ctx context.Context) error {
	for {
		said, status, err := l.look(ctx, "status")
		if err != nil || status == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the agent should be healthy: %w\n%s", context.Cause(ctx), said)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// look returns what one of the agent's verbs says, and its exit status.
func (l *lab) look(ctx context.Context, verb string, flags ...string) (string, int, error) {
	var said, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, l.bin, append([]string{verb, "--config", l.config()}, flags...)...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &said, &complaint, apart()
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && complaint.Len() == 0 {
		err = nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("the agent's verb %s: %w\n%s", verb, err, complaint.String())
	}
	return said.String(), cmd.ProcessState.ExitCode(), nil
}

// apart keeps the terminal's signals from a process: the lab ends what it has
// started itself, one after the other.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startChmpx starts chmpx on the file, as its unit does once the file is there.
func (l *lab) startChmpx() error {
	p, err := fakechmpx.Start(context.Background(), l.programs, l.file, fakechmpx.WithState(l.state),
		func(cmd *exec.Cmd) { cmd.SysProcAttr = apart() })
	if err != nil {
		return err
	}
	l.chmpx = p
	l.line("chmpx", "started on the file, pid %d", p.PID())
	return nil
}

// stopChmpx ends chmpx in order.
func (l *lab) stopChmpx() error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	if _, err := l.chmpx.Stop(ctx); err != nil {
		return err
	}
	l.line("chmpx", "has ended")
	return nil
}

// change changes something at K2HR3.
func (l *lab) change(do func(), format string, args ...any) {
	l.line("K2HR3", format, args...)
	l.changed = time.Now()
	do()
}

// join lets a server node join: the ring knows it first, then K2HR3.
func (l *lab) join(n int) error {
	m := member(n)
	l.members = append(l.members, m)
	if err := l.state.SetRing(l.members...); err != nil {
		return err
	}
	l.change(func() { l.cluster.Join(serverAddress(n), m.CUK, m.Name) }, "%s joins the role of the servers", m.Name)
	return nil
}

// leave takes a server node out.
func (l *lab) leave(n int) error {
	m := member(n)
	l.members = slices.DeleteFunc(l.members, func(other fakechmpx.Member) bool { return other.CUK == m.CUK })
	if err := l.state.SetRing(l.members...); err != nil {
		return err
	}
	l.change(func() { l.cluster.Leave(serverAddress(n), m.CUK) }, "%s leaves the role of the servers", m.Name)
	return nil
}

// member is server node n.
func member(n int) fakechmpx.Member {
	name := fmt.Sprintf("server-%d.orders.example", n)
	return fakechmpx.Member{Name: name, Port: fakek2hr3.ServerPort, CtlPort: fakek2hr3.ServerCtlPort, CUK: fmt.Sprintf("server-%d", n), Seed: name}
}

func serverAddress(n int) string { return fmt.Sprintf("10.0.0.%d", 10+n) }

// end stops the agent and looks that chmpx lives on, if both still run.
func (l *lab) end() error {
	if ended(l.agent.Done()) || ended(l.chmpx.Done()) {
		return nil // by the commands of whoever plays with the lab
	}
	l.head("the agent is stopped")
	if err := l.stopAgent(); err != nil {
		return err
	}
	if err := l.alive(); err != nil {
		return err
	}
	l.right("chmpx runs on, on the last good file")
	return nil
}

// stopAgent ends the agent in order.
func (l *lab) stopAgent() error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	status, err := l.agent.Stop(ctx)
	if err != nil || status != 0 {
		return fmt.Errorf("the agent ended with status %d: %v", status, err)
	}
	l.line("agent", "ended with status 0")
	return nil
}

// endWithin is how long a program of the lab may take to end before it is killed.
const endWithin = 30 * time.Second

// alive fails if chmpx has ended.
func (l *lab) alive() error {
	if ended(l.chmpx.Done()) {
		return fmt.Errorf("chmpx has ended: %+v\n%s", l.chmpx.Exit(), l.chmpx.Output())
	}
	return nil
}

func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// close ends all that was started and deletes all that was written.
func (l *lab) close() {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	if l.agent != nil {
		l.agent.Stop(ctx)
	}
	if l.chmpx != nil {
		l.chmpx.Stop(ctx)
	}
	if l.http != nil {
		l.http.Close()
	}
	os.RemoveAll(l.dir)
}
