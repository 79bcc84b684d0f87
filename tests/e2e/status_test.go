package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

// nobody is a user without any right of its own.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// openTo lets everybody reach what is in the host's folder.
func (h *host) openTo(tb testing.TB) {
	tb.Helper()
	for _, dir := range []string{programs, h.dir, filepath.Dir(h.dir)} {
		must(tb, os.Chmod(dir, 0o755))
	}
}

// object reads what --json printed: one object, and nothing else.
func object(tb testing.TB, r result) status.Document {
	tb.Helper()
	var d status.Document
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	if err := dec.Decode(&d); err != nil {
		tb.Fatalf("%v: %v", err, r)
	}
	if _, err := dec.Token(); err != io.EOF {
		tb.Errorf("more than one object: %v", r)
	}
	if d.Schema != status.Schema {
		tb.Errorf("schema %q", d.Schema)
	}
	return d
}

// TestStatusWithoutAnAgent: what there is to see is shown, and the exit status says that no agent
// runs, whatever else is wrong.
func TestStatusWithoutAnAgent(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	good := strings.ReplaceAll(s.Text(), "__SELF_INSTANCE_ID__", hostCUK)
	for _, tt := range []struct {
		name    string
		prepare func(h *host)
		args    []string
		says    string
		ready   int
		nobody  bool
	}{
		{name: "no run-dir", says: "there is no ", ready: 1, prepare: func(*host) {}},
		{name: "a run-dir that nobody has used", says: "the agent does not run", ready: 1, prepare: func(h *host) { must(t, os.Mkdir(h.path("run"), 0o755)) }},
		{name: "a good file", says: "the agent does not run", ready: 0, prepare: func(h *host) { write(t, h.output(), good) }},
		{name: "a bad file", says: "the agent does not run", ready: 1, prepare: func(h *host) { write(t, h.output(), "[GLOBAL]\n") }},
		{name: "a wrong configuration", says: "the agent does not run", ready: 0, prepare: func(h *host) {
			write(t, h.path("slave-agent.ini"), "[slave]\nouput = x\n")
			write(t, h.output(), good)
		}},
		// write makes files that their owner alone may read.
		{name: "nobody, who may not read the configuration", says: "the agent does not run", ready: 0, nobody: true, prepare: func(h *host) {
			write(t, h.output(), good)
			must(t, os.Chmod(h.output(), 0o644))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			tt.prepare(h)
			run := func(args ...string) result {
				cmd := h.command(deadline(t), append([]string{"status"}, args...)...)
				if tt.nobody {
					if os.Geteuid() != 0 {
						t.Skip("only root can become nobody")
					}
					h.openTo(t)
					cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
				}
				return finish(t, cmd, cmd.Start)
			}
			text, brief, machine := run(), run("--brief"), run("--json")
			for how, r := range map[string]result{"text": text, "brief": brief, "json": machine} {
				if r.status != 3 || r.stderr != "" || !strings.Contains(r.stdout, tt.says) {
					t.Errorf("%s: %v\nwant status 3 and %q", how, r, tt.says)
				}
			}
			if strings.Count(brief.stdout, "\n") != 1 || !strings.HasPrefix(text.stdout, "failed: ") {
				t.Errorf("%v\n%v", brief, text)
			}
			if d := object(t, machine); d.Agent.State != status.Stopped || d.Health != status.Failed {
				t.Errorf("%+v", d)
			}
			if r := run("--ready"); r.status != tt.ready || r.stdout != "" {
				t.Errorf("--ready: %v\nwant status %d, and nothing on stdout", r, tt.ready)
			}
			if strings.Contains(text.stdout, "\x1b") {
				t.Errorf("colours, and no terminal: %v", text)
			}
		})
	}
}

// TestStatusWatch: what is new is printed, and a signal ends it with status 0.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	h := newHost(t)
	cmd := h.command(t.Context(), "status", "--watch", "--json")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	dec := json.NewDecoder(out)
	next := func(want bool) {
		t.Helper()
		var d status.Document
		must(t, dec.Decode(&d))
		if d.File.Present != want {
			t.Errorf("a file: %v, want %v", d.File.Present, want)
		}
	}
	next(false)
	write(t, h.output()+".new", strings.ReplaceAll(s.Text(), "__SELF_INSTANCE_ID__", hostCUK))
	must(t, os.Rename(h.output()+".new", h.output()))
	next(true)
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(io.MultiReader(dec.Buffered(), out))
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Errorf("%q, %v; nothing else is new", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v; a signal is how it ends", err)
	}
}

// shop is a slave node where all is well: an agent that runs, K2HR3, chmpx, three servers.
type shop struct {
	*host
	site     *site
	agent    *daemon
	chmpx    *fakechmpx.Process
	programs fakechmpx.Programs
	state    fakechmpx.StateDir
}

// newShop starts one. It returns once chmpx runs the file and the agent has seen it.
func newShop(tb testing.TB) *shop {
	tb.Helper()
	s := newSite(tb, 3)
	s.server.Hold(time.Minute)
	h := newHost(tb, s)
	p := &shop{host: h, site: s, programs: fakechmpx.BuildT(tb), state: fakechmpx.StateDir(h.path("chmpx"))}
	must(tb, os.Mkdir(string(p.state), 0o755))
	var ring []fakechmpx.Member
	for i, m := range s.Servers() {
		ring = append(ring, fakechmpx.Member{Name: m.Tag, Port: 8020, CtlPort: 8021, CUK: m.CUK, Seed: name("kv", i)})
	}
	must(tb, p.state.SetRing(ring...))
	cmd := h.command(tb.Context(), append([]string{"run", "--log-format", "json"}, s.args("--peek", "1s", "--status-command", p.programs.Status)...)...)
	cmd.Env = append(cmd.Env, p.state.Env())
	p.agent = h.startCommand(cmd)
	p.agent.says(realagent.Replaced, "")
	var err error
	p.chmpx, err = fakechmpx.StartT(tb, p.programs, h.output(), fakechmpx.WithState(p.state))
	must(tb, err)
	p.agent.says(realagent.Confirmed, "")
	return p
}

// status runs the verb as a user who may only read, where the test may.
func (p *shop) status(args ...string) *exec.Cmd {
	cmd := p.command(deadline(p.tb), append([]string{"status", "--status-command", p.programs.Status}, args...)...)
	cmd.Env = append(cmd.Env, p.state.Env())
	if os.Geteuid() == 0 {
		p.openTo(p.tb)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	}
	return cmd
}

// TestStatusOfAnAgentThatRuns: healthy for everybody, until the agent hangs, and then is killed. An
// application may begin then too.
func TestStatusOfAnAgentThatRuns(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	run := func(args ...string) result {
		cmd := p.status(args...)
		return finish(t, cmd, cmd.Start)
	}
	until(t, "a healthy agent", func() bool { return run("--brief").status == 0 })
	if r := run(); !strings.HasPrefix(r.stdout, "healthy since ") || !strings.Contains(r.stdout, "3 in the file, 3 in the ring, all up") {
		t.Errorf("%v", r)
	}
	d := object(t, run("--json"))
	if d.Health != status.Healthy || !d.Chmpx.Running || d.Chmpx.Revision != d.File.Revision || d.SeenAt.IsZero() {
		t.Errorf("%+v", d)
	}
	if r := run("--ready"); r.status != 0 {
		t.Errorf("--ready: %v", r)
	}
	must(t, p.agent.Signal(syscall.SIGSTOP))
	old := time.Now().Add(-10 * time.Minute)
	must(t, os.Chtimes(p.path("run/status.lock"), old, old)) // as if it were stopped for that long
	if r := run(); r.status != 1 || !strings.HasPrefix(r.stdout, "failed: the agent runs, and its sign of life is overdue") {
		t.Errorf("hung: %v", r)
	}
	must(t, p.agent.Signal(syscall.SIGKILL))
	<-p.agent.Done()
	if r := run(); r.status != 3 || !strings.HasPrefix(r.stdout, "failed: the agent does not run") {
		t.Errorf("after SIGKILL: %v", r)
	}
	if r := run("--ready"); r.status != 0 {
		t.Errorf("--ready without an agent: %v", r)
	}
}

// A status that the agent cannot write any more is not taken for how things are.
func TestAStatusThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	run := func(verb ...string) result {
		cmd := p.command(deadline(t), append(verb, "--status-command", p.programs.Status)...)
		cmd.Env = append(cmd.Env, p.state.Env())
		return finish(t, cmd, cmd.Start)
	}
	until(t, "a healthy agent", func() bool { return run("status").status == 0 })
	must(t, os.Remove(p.path("run/status.json")))
	must(t, os.MkdirAll(p.path("run/status.json/in-the-way"), 0o755))
	must(t, p.chmpx.Signal(syscall.SIGKILL))
	until(t, "the agent to say that it cannot write", func() bool {
		r := run("status")
		if r.status != 1 {
			t.Fatalf("%v", r)
		}
		return strings.HasPrefix(r.stdout, "failed: chmpx is not running") && strings.Contains(r.stdout, "the agent runs, and cannot write its status")
	})
	if r := run(append([]string{"doctor", "--only", "agent"}, p.site.args()...)...); !strings.Contains(r.stdout, "the agent runs, and cannot write its status") {
		t.Errorf("%v", r)
	}
}
