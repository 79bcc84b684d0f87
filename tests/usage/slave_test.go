package usage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakesystemd"
	"k2hdkc-slave-agent/tests/realagent"
)

// The files of 6-3-1, with the agent's names for them.
const (
	slaveINI   = "/etc/k2hdkc/slave.ini"
	memory     = "/var/lib/antpickax"
	agentUnit  = "k2hdkc-slave-agent.service"
	consoleLog = "/run/console"
	asked      = "/run/systemctl"
)

// slave is a slave VM with the agent, chmpx and an application.
type slave struct {
	*vm
	w       *walk
	systemd *fakesystemd.Systemd
	agent   *realagent.Process
	app     application
}

// boot makes a slave VM and runs its user data, until that has started the agent.
func (w *walk) boot(name string) *slave {
	w.Helper()
	s := w.newSlave(name)
	s.runsUserData()
	s.startsAgent()
	return s
}

// newSlave makes a slave VM on which nothing runs yet.
func (w *walk) newSlave(name string) *slave {
	w.Helper()
	w.slaves++
	s := &slave{vm: w.net.newVM(name, fmt.Sprintf("10.20.1.%d", w.slaves)), w: w}
	must(w.T, os.MkdirAll(s.path(memory), 0o755))
	must(w.T, os.MkdirAll(s.path("/run/k2hdkc-slave-agent"), 0o755))
	must(w.T, os.MkdirAll(s.path("/var/lib/k2hdkc-slave-agent"), 0o755))
	must(w.T, os.MkdirAll(s.path("/var/lib/cloud/data"), 0o755))
	must(w.T, os.WriteFile(s.path("/var/lib/cloud/data/instance-id"), []byte("3f8c1d52-77aa-4c0e-9d11-"+name+"\n"), 0o644))
	w.cluster.plug(s.vm)
	s.systemd = fakesystemd.New(w.T, "chmpx.service", &chmpxUnit{t: w.T, vm: s.vm, cluster: w.cluster})
	w.Cleanup(func() { s.systemd.Stop() })
	return s
}

// configured puts in place what user data would, without the rest of it.
func (s *slave) configured(options string, token string) {
	s.w.Helper()
	must(s.w.T, os.WriteFile(s.path("/etc/k2hdkc/slave-agent.ini"), []byte(options), 0o644))
	must(s.w.T, os.WriteFile(s.path("/etc/k2hdkc/role-token"), []byte(token+"\n"), 0o600))
}

// runsUserData prints user data for this slave, and runs it as cloud-init does: as root, on the
// VM's console. Stand-ins for systemctl, apt-get and usermod write down what they are asked for.
// The unit of the first boot runs at once.
func (s *slave) runsUserData() {
	w := s.w
	w.Helper()
	for name, text := range map[string]string{
		"systemctl": `echo "$*" >>` + asked + `
case "$*" in
*is-active*) exec chmpxstatus -conf ` + slaveINI + ` >/dev/null;;
start*first-boot*) exec sh /etc/k2hdkc/first-boot;;
esac`,
		"dpkg":    `[ "$1" != -s ]`,
		"apt-get": `echo "apt-get $*" >>` + asked,
		"usermod": `echo "usermod $*" >>` + asked,
	} {
		script(w.T, filepath.Join(programs, name), text)
	}
	args := append([]string{"user-data", "--format", "script", "--app-user", "app"}, w.cluster.options(w.TempDir())...)
	cmd := exec.Command(filepath.Join(programs, "k2hdkc-slave-agent"), args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		w.Fatalf("user-data: %v\n%s", err, complaint.String())
	}
	must(w.T, os.WriteFile(s.path("/run/user-data"), text, 0o700))

	console, err := os.Create(s.path(consoleLog))
	must(w.T, err)
	defer console.Close()
	run := s.command("sh", "/run/user-data")
	run.Stdout, run.Stderr = console, console
	must(w.T, s.host.Do(run.Start))
	ended := make(chan struct{})
	go func() {
		run.Wait()
		close(ended)
	}()
	w.Cleanup(func() {
		syscall.Kill(-run.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	until(w.T, "the user data to start the agent", func() bool {
		b, _ := os.ReadFile(s.path(asked))
		return strings.Contains(string(b), "start "+agentUnit)
	})
}

// command is one that runs on the VM.
func (s *slave) command(name string, args ...string) *exec.Cmd {
	path := name
	if own := filepath.Join(programs, name); name != "sh" {
		path = own
	}
	cmd := exec.CommandContext(s.w.Context(), path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + programs + ":/usr/sbin:/usr/bin:/sbin:/bin", s.systemd.Env()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (s *slave) startsAgent() {
	s.w.Helper()
	cmd := s.command("k2hdkc-slave-agent", "run", "--log-format", "json")
	must(s.w.T, s.host.Do(func() (err error) {
		s.agent, err = realagent.Start(s.w.Context(), cmd, nil)
		return err
	}))
	s.w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.w.Context()), limit)
		defer cancel()
		s.agent.Stop(ctx)
		if s.w.Failed() {
			s.w.Logf("the agent of %s:\n%s", s.name, s.agent)
		}
	})
}

// says runs one of the agent's verbs on the VM.
func (s *slave) says(args ...string) (string, int) {
	s.w.Helper()
	cmd := s.command("k2hdkc-slave-agent", args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := s.host.Do(cmd.Run)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || complaint.Len() != 0) {
		s.w.Fatalf("%v: %v\n%s", args, err, complaint.String())
	}
	return strings.TrimSpace(out.String()), cmd.ProcessState.ExitCode()
}

// awaitServers waits until slave.ini has these servers, by their CUKs, and chmpx runs it. Without
// any, the one in place stays.
func (s *slave) awaitServers(want []string) {
	s.w.Helper()
	if len(want) == 0 {
		return
	}
	var got []string
	until(s.w.T, fmt.Sprintf("%s to have the servers %v", s.name, want), func() bool {
		text, _ := s.says("status", "--json")
		var d status.Document
		must(s.w.T, json.Unmarshal([]byte(text), &d))
		got = nil
		for _, server := range d.Servers {
			if server.InFile {
				got = append(got, server.CUK)
			}
		}
		return slices.Equal(sorted(got), sorted(want)) && d.Chmpx.Revision == d.File.Revision
	})
}

// awaitBrief waits until status says what it should, or something else that will do.
func (s *slave) awaitBrief(want string, or ...string) {
	s.w.Helper()
	s.await(want, func() string {
		brief, _ := s.says("status", "--brief")
		if got := plain(brief); !slices.Contains(or, got) {
			return got
		}
		return want
	})
}

// await waits until a text is what it should be.
func (s *slave) await(want string, text func() string) {
	s.w.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(200 * time.Millisecond) {
		got := text()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			whole, _ := s.says("status")
			s.w.Fatalf("%s should come to\n%s\nand is\n%s\n\n%s\n\n%s", s.name, want, got, whole, s.chmpxStatus())
		}
	}
}

// chmpxStatus is what chmpxstatus shows of its chmpx.
func (s *slave) chmpxStatus() string {
	var shown bytes.Buffer
	cmd := s.command("chmpxstatus", "-conf", slaveINI)
	cmd.Stdout, cmd.Stderr = &shown, &shown
	s.host.Do(cmd.Run)
	return shown.String()
}

// awaitsOnline checks what k2hdkc-slave-online.target waits for.
func (s *slave) awaitsOnline(want string) {
	s.w.Helper()
	s.await(want, func() string {
		cmd := s.command("wait-online")
		var out bytes.Buffer
		cmd.Stderr = &out
		must(s.w.T, s.host.Do(cmd.Start))
		ended := make(chan struct{})
		go func() {
			cmd.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(time.Second):
			cmd.Process.Signal(syscall.SIGTERM)
			<-ended
		}
		line, _, _ := strings.Cut(out.String(), "\n")
		return line
	})
}

// awaitReady waits until applications can use the cluster.
func (s *slave) awaitReady() {
	s.w.Helper()
	s.await("ready", func() string {
		if _, status := s.says("status", "--ready"); status == 0 {
			return "ready"
		}
		return "not ready"
	})
}

// begins starts the application once the slave is ready for it, as k2hdkc-slave-online.target does.
func (s *slave) begins() string {
	s.w.Helper()
	s.awaitReady()
	s.app = s.w.cluster.application(s.vm)
	s.app.begin()
	return ""
}

// console waits for the end of the user data and returns what it says last.
func (s *slave) console() (last string) {
	s.w.Helper()
	until(s.w.T, "the end of the user data", func() bool {
		b, err := os.ReadFile(s.path(consoleLog))
		must(s.w.T, err)
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		last = lines[len(lines)-1]
		return strings.Contains(last, "check: ")
	})
	return last
}

// files are those of 6-3-1: what the user data has left, and what the agent has made of it.
func (s *slave) files() string {
	t := s.w.T
	t.Helper()
	var list []string
	for name, mode := range map[string]os.FileMode{
		"/etc/k2hdkc/slave-agent.ini": 0o644, "/etc/k2hdkc/role-token": 0o600, slaveINI: 0o644,
	} {
		info, err := os.Stat(s.path(name))
		must(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
		}
		list = append(list, fmt.Sprintf("%s (%04o)", name, mode))
	}
	if did, err := os.ReadFile(s.path(asked)); err != nil || !strings.Contains(string(did), "usermod -aG k2hdkc app\n") {
		t.Errorf("the application's user is no member of the group (%v):\n%s", err, did)
	}
	text, err := os.ReadFile(s.path(slaveINI))
	must(t, err)
	for _, want := range []string{"[GLOBAL]", "GROUP", clusterName, "[SVRNODE]", "orders-member-1." + domain, "[SLVNODE]", s.fqdn()} {
		if !strings.Contains(string(text), want) {
			t.Errorf("slave.ini has no %s:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "__SELF_INSTANCE_ID__") {
		t.Error("slave.ini has a placeholder")
	}
	return strings.Join(sorted(list), ", ")
}

// chmpxUnit is chmpx.service.
type chmpxUnit struct {
	t       *testing.T
	vm      *vm
	cluster cluster

	mu      sync.Mutex
	process *fakechmpx.Process
}

func (u *chmpxUnit) Start() error {
	p, err := u.cluster.chmpx(u.t.Context(), u.vm)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.process = p
	return nil
}

func (u *chmpxUnit) Stop() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.t.Context()), limit)
	defer cancel()
	u.mu.Lock()
	defer u.mu.Unlock()
	_, err := u.process.Stop(ctx)
	return err
}

func (u *chmpxUnit) Done() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process == nil {
		return nil
	}
	return u.process.Done()
}

// script writes a program. While its file is open no process is started: one would have the file
// open for a moment too, and a program that somebody writes to cannot be run.
func script(t *testing.T, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
}
