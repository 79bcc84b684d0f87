package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	stop context.CancelFunc

	dir   string
	file  string
	state fakechmpx.StateDir

	k2hr3   *fakek2hr3.Server
	cluster *fakek2hr3.Cluster
	http    *http.Server
	url     string

	programs fakechmpx.Programs
	chmpx    *fakechmpx.Process
	agent    *realagent.Process
	members  []fakechmpx.Member
	read     int // of the agent's log
}

// newLab builds the programs and starts everything but chmpx, which has no file
// yet.
func newLab(ctx context.Context, stock bool) (_ *lab, err error) {
	ctx, stop := context.WithCancel(ctx)
	l := &lab{stop: stop}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.dir, err = os.MkdirTemp("", "k2hdkc-lab-"); err != nil {
		return nil, err
	}
	fmt.Println("building the agent and the stand-ins ...")
	bin, err := realagent.Build(l.dir)
	if err != nil {
		return nil, err
	}
	if l.programs, err = fakechmpx.BuildStandin(filepath.Join(l.dir, "bin")); err != nil {
		return nil, err
	}
	l.file = filepath.Join(l.dir, "slave.ini")
	l.state = fakechmpx.StateDir(filepath.Join(l.dir, "chmpx"))
	if err := os.MkdirAll(string(l.state), 0o755); err != nil {
		return nil, err
	}
	if err := l.programs.UseState(l.state); err != nil {
		return nil, err
	}
	l.timeline = newTimeline(os.Stdout)
	if err := l.serve(stock); err != nil {
		return nil, err
	}
	return l, l.startAgent(ctx, bin)
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
// a role and a token.
func (l *lab) startAgent(ctx context.Context, bin string) error {
	token := filepath.Join(l.dir, "role-token")
	if err := os.WriteFile(token, []byte(l.cluster.RoleToken("slave", 0)+"\n"), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(bin, "run",
		"--config", l.empty("slave-agent.ini"),
		"--api-uri", l.url, "--role", l.cluster.SlaveRole(), "--role-token-file", token,
		"--cuk", cuk, "--tag", "127.0.0.1", "--output", l.file,
		"--state-dir", filepath.Join(l.dir, "state"), "--run-dir", filepath.Join(l.dir, "run"),
		"--antpickax-dir", filepath.Join(l.dir, "antpickax"),
		"--unit", "", "--status-command", l.programs.Status, "--check-command", l.programs.Conftest,
		"--interval", "5s", "--log-format", "json")
	var err error
	l.agent, err = realagent.Start(ctx, cmd, func(r realagent.Record) { l.line("agent", "%s", words(r)) })
	return err
}

// empty makes an empty file, so that nothing of this machine is read instead.
func (l *lab) empty(name string) string {
	path := filepath.Join(l.dir, name)
	os.WriteFile(path, nil, 0o600)
	return path
}

// startChmpx starts chmpx on the file, as its unit does once the file is there.
func (l *lab) startChmpx(ctx context.Context) error {
	// Not ctx: chmpx outlives the step that starts it.
	p, err := fakechmpx.Start(context.WithoutCancel(ctx), l.programs, l.file, fakechmpx.WithState(l.state))
	if err != nil {
		return err
	}
	l.chmpx = p
	l.line("chmpx", "started on the file, pid %d", p.PID())
	return nil
}

// join lets a server node join: the ring knows it first, then K2HR3.
func (l *lab) join(n int) error {
	name, id := fmt.Sprintf("server-%d.orders.example", n), fmt.Sprintf("server-%d", n)
	l.members = append(l.members, fakechmpx.Member{Name: name, Port: fakek2hr3.ServerPort, CtlPort: fakek2hr3.ServerCtlPort, CUK: id, Seed: name})
	if err := l.state.SetRing(l.members...); err != nil {
		return err
	}
	l.line("K2HR3", "%s joins the role of the servers", name)
	l.cluster.Join(address(n), id, name)
	return nil
}

// leave takes a server node out.
func (l *lab) leave(n int) error {
	id := fmt.Sprintf("server-%d", n)
	l.members = slices.DeleteFunc(l.members, func(m fakechmpx.Member) bool { return m.CUK == id })
	if err := l.state.SetRing(l.members...); err != nil {
		return err
	}
	l.line("K2HR3", "%s leaves the role of the servers", id)
	l.cluster.Leave(address(n), id)
	return nil
}

func address(n int) string { return fmt.Sprintf("10.0.0.%d", 10+n) }

// end stops the agent and looks that chmpx lives on.
func (l *lab) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	l.head("the agent is stopped")
	status, err := l.agent.Stop(ctx)
	if err != nil || status != 0 {
		return fmt.Errorf("the agent ended with status %d: %v", status, err)
	}
	l.line("agent", "ended with status 0")
	if err := l.alive(); err != nil {
		return err
	}
	l.right("chmpx runs on, on the last good file")
	return nil
}

// alive fails if chmpx has ended.
func (l *lab) alive() error {
	select {
	case <-l.chmpx.Done():
		return fmt.Errorf("chmpx has ended: %+v\n%s", l.chmpx.Exit(), l.chmpx.Output())
	default:
		return nil
	}
}

func (l *lab) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if l.agent != nil {
		l.agent.Stop(ctx)
	}
	if l.chmpx != nil {
		l.chmpx.Stop(ctx)
	}
	l.stop()
	if l.http != nil {
		l.http.Close()
	}
	if l.dir != "" {
		os.RemoveAll(l.dir)
	}
}
