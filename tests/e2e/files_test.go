package e2e

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/realagent"
)

// The agent writes over nothing that it reads. By which links one path leads to the other is tested
// in render/regularfile.
func TestOutputIsNoFileThatTheAgentNeeds(t *testing.T) {
	t.Parallel()
	link := func(to, name string) error { return errors.Join(os.RemoveAll(name), os.Link(to, name)) }
	for name, c := range map[string]struct {
		lead func(h *host) error
		args func(h *host) []string
		file string // what must stay as it is
		says string
	}{
		"the configuration": {
			args: func(h *host) []string { return []string{"--output", h.path("slave-agent.ini")} },
			file: "slave-agent.ini", says: "the configuration",
		},
		"the role token": {
			args: func(h *host) []string {
				return []string{"--output", h.path("token.ini"), "--role-token-file", h.path("token.ini")}
			},
			file: "token.ini", says: "the role token",
		},
		"the instance id": {
			lead: func(h *host) error { return link(h.path("instance-id"), h.output()) },
			file: "instance-id", says: "the instance id",
		},
		"the file for chmpxstatus": {
			lead: func(h *host) error {
				return errors.Join(os.Mkdir(h.path("run"), 0o755), os.WriteFile(h.path("run/probe.ini"), []byte("x"), 0o600))
			},
			args: func(h *host) []string { return []string{"--output", h.path("run/probe.ini")} },
			file: "run/probe.ini", says: "the file for chmpxstatus",
		},
		"a file that comes and goes beside it": {
			lead: func(h *host) error { return os.WriteFile(h.path("out/.slave.next.ini"), []byte("ca"), 0o600) },
			args: func(h *host) []string { return []string{"--ca-file", h.path("out/.slave.next.ini")} },
			file: "out/.slave.next.ini", says: "ca-file",
		},
		"the state is the instance id": {
			lead: func(h *host) error {
				return errors.Join(os.Mkdir(h.path("state"), 0o755), link(h.path("instance-id"), h.path("state/state.json")))
			},
			file: "instance-id", says: "state-dir",
		},
		"the record of the instance is the role token": {
			args: func(h *host) []string { return []string{"--role-token-file", h.path("state/identity.json")} },
			lead: func(h *host) error {
				return errors.Join(os.Mkdir(h.path("state"), 0o755), os.WriteFile(h.path("state/identity.json"), []byte("x"), 0o600))
			},
			file: "state/identity.json", says: "state-dir",
		},
	} {
		verbs := []string{"once", "run"}
		if c.says == "state-dir" {
			verbs = append(verbs, "register", "unregister")
		}
		for _, verb := range verbs {
			t.Run(name+"/"+verb, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, 1)
				h := newHost(t, s)
				write(t, h.path("token.ini"), s.RoleToken("slave", 0)+"\n")
				if c.lead != nil {
					must(t, c.lead(h))
				}
				before := read(t, h.path(c.file))
				args := s.args()
				if c.args != nil {
					args = append(args, c.args(h)...)
				}
				got := h.agent(append([]string{verb}, args...)...)
				if got.status != 1 || !strings.Contains(got.stderr, c.says) {
					t.Errorf("want status 1 and %q: %v", c.says, got)
				}
				if after := read(t, h.path(c.file)); after != before {
					t.Errorf("%s is now\n%s", c.file, after)
				}
			})
		}
	}
}

// Whoever stands in a folder that is deleted can use every verb.
func TestVerbsWithoutAWorkingDirectory(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t, s)
	token := h.path("role-token")
	s.token(t, token)
	for _, args := range [][]string{
		{"version"}, {"help"}, append([]string{"once"}, s.args()...), {"check"},
		append([]string{"register", "--role-token-file", token}, s.args()...), append([]string{"unregister", "--role-token-file", token}, s.args()...),
		append([]string{"user-data", "--role-token-file", token}, s.args()...),
	} {
		cmd := h.command(deadline(t), args...)
		script := `mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"`
		cmd.Args = append([]string{"sh", "-c", script, h.path("gone"), cmd.Path}, args...)
		cmd.Path, cmd.Err = "/bin/sh", nil
		cmd.Env = append(cmd.Env, "PATH=/usr/bin:/bin")
		if got := finish(t, cmd, cmd.Start); got.status != 0 {
			t.Errorf("%q: %v", args, got)
		}
	}
}

// In a pod beside a service called k2hdkc-slave the agent finds variables that look like its own.
func TestVariablesOfAKubernetesService(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t, s)
	cmd := h.command(deadline(t), append([]string{"once"}, s.args()...)...)
	for _, entry := range []string{
		"SERVICE_HOST=10.0.0.7", "SERVICE_PORT=80", "SERVICE_PORT_HTTP=80", "PORT=tcp://10.0.0.7:80", "PORT_80_TCP=tcp://10.0.0.7:80",
		"PORT_80_TCP_PROTO=tcp", "PORT_80_TCP_PORT=80", "PORT_80_TCP_ADDR=10.0.0.7",
	} {
		cmd.Env = append(cmd.Env, "K2HDKC_SLAVE_"+entry)
	}
	if got := finish(t, cmd, cmd.Start); got.status != 0 {
		t.Error(got)
	}
}

// On a host that has no watch of inotify's left the agent does its work all the same, and says so
// once. Where there is no inotify at all: TestFiles… in watcher.
func TestRunWithoutInotify(t *testing.T) {
	t.Parallel()
	const limit = "/proc/sys/user/max_inotify_watches"
	s := newSite(t, 1)
	h := newHost(t, s)
	h.configure("[k2hr3]", "role = "+s.SlaveRole(), "interval = 1h", "api-uri = "+s.uri)
	cmd := h.command(t.Context(), "run", "--log-format", "json")
	cmd.Args = append([]string{"sh", "-c", `echo 0 >` + limit + ` && exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.Err = "/bin/sh", nil
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if _, err := os.Stat(limit); err != nil {
		t.Skip(err)
	}
	p, err := realagent.Start(t.Context(), cmd, nil)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENOSPC) {
		t.Skip("no namespaces of users here:", err)
	}
	must(t, err)
	t.Cleanup(func() { p.Signal(syscall.SIGKILL) })
	d := &daemon{Process: p, tb: t}
	d.says("the kernel does not notify the agent of changed files", "")
	d.says("slave.ini replaced", "")
	// It looks at what it has written, and at what it reads.
	must(t, os.WriteFile(h.output(), nil, 0o644))
	d.says("another program changed slave.ini", "")
	second := newSite(t, 2)
	second.AddSlave(hostAddr, hostCUK, hostAddr)
	h.configure("[k2hr3]", "role = "+second.SlaveRole(), "interval = 1h", "api-uri = "+second.uri)
	d.says("the configuration has changed", "")
	d.says("slave.ini replaced", "")
	d.end()
	if n := strings.Count(d.String(), "does not notify the agent"); n != 1 {
		t.Errorf("it says %d times that it looks at its files\n%s", n, d)
	}
}
