package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// tool is a way to keep slave.ini right.
type tool struct {
	name  string
	rings bool // chmpx's ring tells of a change before the service is asked
	// start starts it, and returns once it is at work. confirmed has the times at which it has seen
	// that chmpx runs the newest file; nil: it does not look.
	start func(w *world) (pid int, confirmed <-chan time.Time)
	// once is one run of what is run each minute, in place of start.
	once func(w *world) *exec.Cmd
}

// allTools are all of them; agent is where the agent's program is.
func allTools(agent func() string) []tool {
	return []tool{
		{name: agentRing, rings: true, start: func(w *world) (int, <-chan time.Time) { return startAgent(w, agent()) }},
		{name: agentHeld, start: func(w *world) (int, <-chan time.Time) {
			w.server.Hold(time.Minute)
			return startAgent(w, agent())
		}},
		{name: timer, once: runTimer},
		{name: consulTemplate, start: startConsulTemplate},
		{name: confd, start: startConfd},
	}
}

// each runs a benchmark for each tool, in a world of its own.
func each(b *testing.B, measure func(b *testing.B, w *world, t tool)) {
	need.Address(b)
	agent := sync.OnceValue(func() string {
		bin, err := realagent.Build(b.TempDir(), realagent.Release()...)
		fatal.If(b, err)
		return bin
	})
	for _, t := range allTools(agent) {
		b.Run(t.name, func(b *testing.B) { measure(b, newWorld(b), t) })
	}
}

// startAgent starts the agent with its defaults. It is at work once it has seen that chmpx runs its
// file.
func startAgent(w *world, bin string) (int, <-chan time.Time) {
	cmd := exec.CommandContext(w.tb.Context(), bin, "run", "--log-format", "json",
		"--api-uri", w.api, "--role", w.cluster.SlaveRole(), "--status-command", w.programs.Status)
	cmd.Env = append(realagent.Env(w.dir), "K2HDKC_SLAVE_TAG="+hostAddr, w.state.Env())
	confirmed := make(chan time.Time, 100)
	p, err := realagent.Start(w.tb.Context(), cmd, func(r realagent.Record) {
		if r.Says(realagent.Confirmed) {
			note(confirmed)
		}
	})
	fatal.If(w.tb, err)
	w.tb.Cleanup(func() {
		p.Stop(context.WithoutCancel(w.tb.Context()))
		if w.tb.Failed() {
			w.tb.Log(p)
		}
	})
	w.startChmpx()
	select {
	case <-confirmed:
	case <-deadline(w.tb).Done():
		w.tb.Fatalf("the agent has not seen chmpx run its file:\n%s", p)
	}
	return p.PID(), confirmed
}

// runTimer makes the shell stand-in ready.
func runTimer(w *world) *exec.Cmd {
	need.Programs(w.tb, "curl", "diff")
	for name, text := range map[string]string{
		"k2hr3-role-name": w.cluster.SlaveRole(), "k2hr3-role-token": w.cluster.RoleToken("slave", 0), "k2hr3-api-uri": w.api,
		"helper.conf": "SCRIPT_PIDFILE = helper.pid\nOUTPUT_DIR = out\nOUTPUT_FILE = slave.ini\nUSE_DAEMON = false\n",
	} {
		w.write(name, text)
	}
	script, err := filepath.Abs("testdata/timer.sh")
	fatal.If(w.tb, err)
	return exec.CommandContext(w.tb.Context(), script, w.dir)
}

func startConsulTemplate(w *world) (int, <-chan time.Time) {
	w.write("slave.ctmpl", fmt.Sprintf("{{ key %q }}", consulKey))
	return startPeer(w, consulTemplate, "-consul-addr", w.kv, "-log-level", "err",
		"-template", w.path("slave.ctmpl")+":"+w.output())
}

func startConfd(w *world) (int, <-chan time.Time) {
	w.write("confd/templates/slave.tmpl", fmt.Sprintf("{{ getv %q }}", "/"+consulKey))
	w.write("confd/conf.d/slave.toml", fmt.Sprintf("[template]\nsrc = \"slave.tmpl\"\ndest = %q\nkeys = [%q]\n", w.output(), "/"+consulKey))
	return startPeer(w, confd, "-backend", "consul", "-node", w.kv, "-watch", "-log-level", "error", "-confdir", w.path("confd"))
}

func startPeer(w *world, name string, args ...string) (int, <-chan time.Time) {
	dir := os.Getenv(envPeers)
	if dir == "" {
		w.tb.Skipf("there is no %s here: go run ./tests/bench builds it, and names its folder by %s", name, envPeers)
	}
	cmd := exec.CommandContext(w.tb.Context(), peer{name: name}.path(dir), args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"HOME=" + w.dir, "PATH=/nowhere"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(w.path(name + ".log"))
	fatal.If(w.tb, err)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		w.tb.Skip(err)
	}
	w.tb.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if out, _ := os.ReadFile(log.Name()); w.tb.Failed() {
			w.tb.Logf("%s", out)
		}
	})
	w.startChmpx()
	return cmd.Process.Pid, nil
}
