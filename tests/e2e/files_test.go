package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/realagent"
)

// The agent writes over nothing that it reads, whatever leads from one to the other.
func TestOutputIsNoFileThatTheAgentNeeds(t *testing.T) {
	t.Parallel()
	link := func(to, name string) error { return errors.Join(os.RemoveAll(name), os.Link(to, name)) }
	symlink := func(to, name string) error { return errors.Join(os.RemoveAll(name), os.Symlink(to, name)) }
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
		"the configuration, by a hard link": {
			lead: func(h *host) error { return link(h.path("slave-agent.ini"), h.output()) },
			file: "slave-agent.ini", says: "the configuration",
		},
		"the configuration, which is a link to it": {
			lead: func(h *host) error {
				return errors.Join(os.Rename(h.path("slave-agent.ini"), h.output()), symlink(h.output(), h.path("slave-agent.ini")))
			},
			file: "slave-agent.ini", says: "the configuration",
		},
		"the configuration, by way of a linked folder": {
			lead: func(h *host) error { return symlink(h.dir, h.path("etc")) },
			args: func(h *host) []string { return []string{"--output", h.path("etc/slave-agent.ini")} },
			file: "slave-agent.ini", says: "the configuration",
		},
		"the role token": {
			args: func(h *host) []string {
				return []string{"--output", h.path("token.ini"), "--role-token-file", h.path("token.ini")}
			},
			file: "token.ini", says: "the role token",
		},
		"the role token, by a hard link": {
			lead: func(h *host) error { return link(h.path("token.ini"), h.output()) },
			args: func(h *host) []string { return []string{"--role-token-file", h.path("token.ini")} },
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
	for name, leave := range map[string]string{
		"deleted":                 `mkdir "$0" && cd "$0" && rmdir "$0"`,
		"deleted with its parent": `mkdir -p "$0/a/b" && cd "$0/a/b" && rm -r "$0"`,
		"another has its name":    `rm -rf "$0" && mkdir "$0" && cd "$0" && rmdir "$0" && mkdir "$0" && export PWD`,
		"PWD is no folder either": `mkdir "$0" && cd "$0" && rmdir "$0" && PWD=/nowhere && export PWD`,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			h := newHost(t, s)
			token := h.path("role-token")
			s.token(t, token)
			from := func(ctx context.Context, args ...string) *exec.Cmd {
				cmd := h.command(ctx, args...)
				cmd.Args = append([]string{"sh", "-c", leave + ` && exec "$@"`, h.path("gone"), cmd.Path}, args...)
				cmd.Path, cmd.Err = "/bin/sh", nil
				cmd.Env = append(cmd.Env, "PATH=/usr/bin:/bin")
				return cmd
			}
			for _, args := range [][]string{
				{"version"}, {"help"}, append([]string{"once"}, s.args()...), {"check"},
				append([]string{"register", "--role-token-file", token}, s.args()...), append([]string{"user-data", "--role-token-file", token}, s.args()...),
			} {
				cmd := from(deadline(t), args...)
				if got := finish(t, cmd, cmd.Start); got.status != 0 {
					t.Errorf("%q: %v", args, got)
				}
			}
			must(t, os.Remove(h.output()))
			run := from(t.Context(), append([]string{"run"}, s.args()...)...)
			must(t, run.Start())
			until(t, "the first file", func() bool { _, err := os.Stat(h.output()); return err == nil })
			ends(t, run, syscall.SIGTERM)
			cmd := from(deadline(t), append([]string{"unregister", "--role-token-file", token}, s.args()...)...)
			if got := finish(t, cmd, cmd.Start); got.status != 0 {
				t.Errorf("unregister: %v", got)
			}
		})
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

// On a host that has no inotify left the agent does its work all the same, and says so once.
func TestRunWithoutInotify(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"max_inotify_instances", "max_inotify_watches"} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			h := newHost(t, s)
			h.configure("[k2hr3]", "role = "+s.SlaveRole(), "interval = 1h", "api-uri = "+s.uri)
			cmd := h.command(t.Context(), "run", "--log-format", "json")
			cmd.Args = append([]string{"sh", "-c", `echo 0 >/proc/sys/user/` + limit + ` && exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
			cmd.Path, cmd.Err = "/bin/sh", nil
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  unix.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
			}
			if _, err := os.Stat("/proc/sys/user/" + limit); err != nil {
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
		})
	}
}

// Whoever deletes the lock file lets no second agent write.
func TestADeletedLockFileLetsNoSecondAgentIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t, s)
	first := h.start(s.args("--interval", "1h")...)
	first.says("slave.ini replaced", "")
	lock := h.path("out/.slave.lock")

	must(t, os.Remove(lock))
	until(t, "the lock file", func() bool { _, err := os.Stat(lock); return err == nil })
	if got := h.agent(append([]string{"once"}, s.args()...)...); got.status != 1 || !strings.Contains(got.stderr, fmt.Sprintf("process %d", first.PID())) {
		t.Errorf("a second agent: %v", got)
	}

	// A second one that comes while the first one stands still keeps the file.
	must(t, first.Signal(syscall.SIGSTOP))
	until(t, "the first one to stand still", func() bool { // each thread stops by itself
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", first.PID()))
		must(t, err)
		return !slices.ContainsFunc(threads, func(stat string) bool { return !strings.Contains(read(t, stat), ") T ") })
	})
	must(t, os.Remove(lock))
	second := h.start(s.args("--interval", "1h")...)
	until(t, "the lock of the second one", func() bool {
		holder, _ := os.ReadFile(lock)
		return string(holder) == fmt.Sprintln(second.PID())
	})
	must(t, first.Signal(syscall.SIGCONT))
	s.Join(addr(7), id("kv", 7), name("kv", 7))
	must(t, second.Signal(syscall.SIGHUP))
	second.says("slave.ini replaced", "")
	must(t, os.WriteFile(h.output(), nil, 0o644)) // both see that
	second.says("another program changed slave.ini", "")
	first.says("cannot keep slave.ini right", "another agent keeps this file")
	second.end()
	must(t, first.Signal(syscall.SIGHUP))
	first.says("slave.ini replaced", "")
	if got := h.agent(append([]string{"once"}, s.args()...)...); got.status != 1 || !strings.Contains(got.stderr, "another agent keeps this file") {
		t.Errorf("after the second agent, a third: %v", got)
	}
	first.end()
}

// What chmpx's user may read it may read after a replacement.
func TestTheACLOfTheFileIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t, s)
	write(t, h.output(), "[GLOBAL]\n")
	const attr = "system.posix_acl_access"
	// user::rw-,user:65534:r--,group::---,mask::r--,other::---
	const acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xfe\xff\x00\x00" +
		"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
	if err := unix.Setxattr(h.output(), attr, []byte(acl), 0); err != nil {
		t.Skipf("no ACLs here: %v", err)
	}
	if got := h.agent(append([]string{"once"}, s.args()...)...); got.status != 0 {
		t.Fatal(got)
	}
	b := make([]byte, 256)
	n, err := unix.Getxattr(h.output(), attr, b)
	if err != nil || string(b[:n]) != acl || !strings.Contains(read(t, h.output()), name("kv", 0)) {
		t.Errorf("the ACL is %x, want %x: %v", b[:max(n, 0)], acl, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	letIn(t, h.path("out"))
	cat := exec.Command("cat", h.output())
	cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cat.CombinedOutput(); err != nil {
		t.Errorf("the one that it names may not read it: %v\n%s", err, out)
	}
}
