package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/cmd/doctor"
	"k2hdkc-slave-agent/tests/netns"
)

// doctorLimit is how long doctor may take here. The promise is ten seconds; the rest is for a busy
// machine. What it waited for lasted minutes, or for ever.
const doctorLimit = 40 * time.Second

// examined runs doctor and reads what it found. The last line of the text has to say the same.
func examined(t *testing.T, cmd *exec.Cmd, start func() error) doctor.Report {
	t.Helper()
	began := time.Now()
	got := finish(t, cmd, start)
	if took := time.Since(began); took > doctorLimit {
		t.Errorf("took %v", took)
	}
	var r doctor.Report
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
		t.Fatalf("%v: %v", err, got)
	}
	if (got.status == 0) != r.OK || got.status > 1 || got.stderr != "" {
		t.Errorf("%v", got)
	}
	return r
}

// found fails unless what failed, in order, is this.
func found(t *testing.T, r doctor.Report, failed ...string) {
	t.Helper()
	var got []string
	for _, c := range r.Checks {
		if c.Status == doctor.Failed {
			got = append(got, c.ID)
		}
	}
	if strings.Join(got, " ") != strings.Join(failed, " ") {
		b, _ := json.MarshalIndent(r, "", " ")
		t.Errorf("failed: %q, want %q\n%s", got, failed, b)
	}
}

func check(t *testing.T, r doctor.Report, id string) doctor.Result {
	t.Helper()
	for _, c := range r.Checks {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("no check %s", id)
	return doctor.Result{}
}

// A shop where all is well, and then one trouble after the other.
func TestDoctor(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	command := func(more ...string) *exec.Cmd {
		t.Helper()
		cmd := p.command(deadline(t), slices.Concat([]string{"doctor", "--status-command", p.programs.Status}, p.site.args(), more)...)
		cmd.Env = append(cmd.Env, p.state.Env())
		return cmd
	}
	look := func(more ...string) doctor.Report {
		t.Helper()
		cmd := command(append(more, "--json")...)
		return examined(t, cmd, cmd.Start)
	}
	r := look()
	found(t, r)
	for _, id := range []string{"config", "tcp", "membership", "resource", "text", "agent", "folder", "file", "chmpx", "revision", "control-port", "servers"} {
		if c := check(t, r, id); c.Status != doctor.OK {
			t.Errorf("%+v", c)
		}
	}
	if r := look("--only", "tcp"); len(r.Checks) != 3 {
		t.Errorf("%+v", r)
	}
	must(t, os.Link(p.output(), p.path("out/backup.ini")))
	found(t, look(), "links")
	must(t, os.Remove(p.path("out/backup.ini")))
	p.agent.end()
	r = look()
	found(t, r, "agent")
	p.site.DropSlave(hostAddr, hostCUK)
	found(t, look(), "membership", "agent")

	cmd := command()
	text := finish(t, cmd, cmd.Start)
	if text.status != 1 || !strings.Contains(text.stdout, "begin with membership\n") || !strings.Contains(text.stdout, "put a role token into /etc/k2hdkc/role-token") {
		t.Errorf("%v", text)
	}
}

func TestDoctorAsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become nobody")
	}
	t.Parallel()
	p := newShop(t)
	p.openTo(t)
	p.site.token(t, p.path("role-token"))
	must(t, os.Chmod(p.path("slave-agent.ini"), 0o644))
	must(t, os.Chmod(p.path("instance-id"), 0o644))
	cmd := p.command(deadline(t), append([]string{"doctor", "--json", "--role-token-file", p.path("role-token")}, p.site.args()...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	cmd.Env = append(cmd.Env, "TMPDIR=/tmp")
	r := examined(t, cmd, cmd.Start)
	found(t, r)
	for _, id := range []string{"token", "folder"} {
		if c := check(t, r, id); c.Status != doctor.Skipped || !strings.HasPrefix(c.Message, "run as root to see ") {
			t.Errorf("%+v", c)
		}
	}

	must(t, os.Chmod(p.path("slave-agent.ini"), 0o600))
	cmd = p.command(deadline(t), "doctor", "--json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	r = examined(t, cmd, cmd.Start)
	found(t, r)
	if c := check(t, r, "tcp"); c.Status != doctor.Skipped || c.Message != "needs config" {
		t.Errorf("%+v", c)
	}
}

func TestDoctorWithAWrongCommandLineOrConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	refused(t, "doctor", h.agent("doctor", "--only", "tpc"), 2, "there is no check", "config, token, clock", "doctor --help")
	refused(t, "doctor", h.agent("doctor", "tcp"), 2, "takes none")
	write(t, h.path("slave-agent.ini"), "[slave]\nouput = /x.ini\n")
	cmd := h.command(deadline(t), "doctor", "--json")
	r := examined(t, cmd, cmd.Start)
	found(t, r, "config")
	if c := check(t, r, "config"); !strings.Contains(c.Message, "slave-agent.ini:2:") {
		t.Errorf("%+v", c)
	}
}

// On a host of its own: a name service that never answers, a proxy that is dead, servers that are
// black holes.
func TestDoctorInTheDark(t *testing.T) {
	t.Parallel()
	const addr = "10.254.7.1"
	etc := t.TempDir()
	write(t, filepath.Join(etc, "resolv.conf"), "nameserver 127.0.0.1\n")
	write(t, filepath.Join(etc, "hosts"), "127.0.0.1 localhost\n"+addr+" k2hr3.example\n")
	dark := netns.New(t, netns.Spec{Name: "vm-9", Addrs: []string{addr}, Folders: map[string]string{"/etc": etc}})
	s := newSite(t, 2)
	h := newHost(t)
	s.AddSlave(addr, hostCUK, addr)
	good := strings.ReplaceAll(s.Text(), "__SELF_INSTANCE_ID__", hostCUK)
	write(t, h.output(), good)
	var uri string
	must(t, dark.Do(func() error {
		silent, err := net.ListenPacket("udp4", "127.0.0.1:53")
		if err != nil {
			return err
		}
		t.Cleanup(func() { silent.Close() })
		l, err := net.Listen("tcp4", addr+":0")
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: s.server}
		t.Cleanup(func() { srv.Close() })
		go srv.Serve(l)
		uri = fmt.Sprintf(":%d", l.Addr().(*net.TCPAddr).Port)
		return nil
	}))
	look := func(env string, args ...string) doctor.Report {
		t.Helper()
		cmd := h.command(deadline(t), append([]string{"doctor", "--json", "--role", s.SlaveRole(), "--tag", addr}, args...)...)
		cmd.Env = append(cmd.Env, env)
		return examined(t, cmd, func() error { return dark.Do(cmd.Start) })
	}
	found(t, look("", "--api-uri", "http://k2hr3.example"+uri), "agent")
	found(t, look("", "--api-uri", "http://elsewhere.example"+uri), "name", "agent")
	r := look("HTTP_PROXY=http://"+addr+":9", "--api-uri", "http://k2hr3.example"+uri)
	found(t, r, "tcp", "agent")
	if c := check(t, r, "tcp"); !strings.Contains(c.LookedAt, "HTTP_PROXY") || !strings.Contains(c.Remedy, "NO_PROXY") {
		t.Errorf("%+v", c)
	}
	r = look("HTTP_PROXY=http://user:"+secret+"@nowhere.example:9", "--api-uri", "http://k2hr3.example"+uri)
	found(t, r, "name", "agent")
	b, err := json.Marshal(r)
	must(t, err)
	silent(t, string(b), secret)
}
