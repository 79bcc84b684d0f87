package packages

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/netns"
	"k2hdkc-slave-agent/tests/realagent"
)

// The program by its other names, on a host where the packages' links lead to it.
// What each of them does, and when, is tested where it is written, below packaging.
const (
	program   = "/usr/bin/k2hdkc-slave-agent"
	generator = "/usr/lib/systemd/system-generators/k2hdkc-slave-agent-generator"
	maintain  = "/usr/libexec/k2hdkc-slave-agent/maintain"
	await     = "/usr/libexec/k2hdkc-slave-agent/await-chmpx"
	config    = "/etc/k2hdkc/slave-agent.ini"
)

// links are those of the packages that lead to the program: what they are, and
// where they lead.
func links(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(realagent.Root(), "nfpm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`- src: (\S+)\n    dst: (\S+)\n    type: symlink\n`).FindAllStringSubmatch(string(text), -1) {
		found[m[2]] = m[1]
	}
	return found
}

// unpacked builds the program, once for all tests, and returns its path.
var unpacked = sync.OnceValues(func() (string, error) {
	dir, err := folder()
	if err != nil {
		return "", err
	}
	return realagent.Build(dir)
})

// installed is a host that has the program, its links and its units, where files
// can be laid out without touching this machine's.
type installed struct {
	*netns.Host
	tb testing.TB
}

func newInstalled(t *testing.T) installed {
	t.Helper()
	h := installed{netns.New(t, netns.Spec{Name: "app-1"}), t}
	bin, err := unpacked()
	if err != nil {
		t.Fatal(err)
	}
	layers := t.TempDir()
	err = h.Do(func() error {
		for _, dir := range []string{"etc", "usr", "var/lib"} {
			upper, work := filepath.Join(layers, dir), filepath.Join(layers, dir+".work")
			if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
				return err
			}
			if err := unix.Mount("overlay", "/"+dir, "overlay", 0, "lowerdir=/"+dir+",upperdir="+upper+",workdir="+work); err != nil {
				return &os.PathError{Op: "mount overlay", Path: "/" + dir, Err: err}
			}
		}
		return nil
	})
	if err != nil {
		need.Missing(t, fmt.Errorf("may not lay files over /etc, /usr and /var/lib here: %w", err))
	}
	err = h.Do(func() error {
		for link, to := range links(t) {
			if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(to, link)); err != nil {
				return err
			}
		}
		return errors.Join(copyFile(bin, program, 0o755),
			copyFile(filepath.Join(realagent.Root(), "packaging/k2hdkc-slave-agent.service"), "/usr/lib/systemd/system/k2hdkc-slave-agent.service", 0o644))
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// lay makes files that may be run.
func (h installed) lay(files map[string]string) {
	h.tb.Helper()
	err := h.Do(func() (err error) {
		for path, text := range files {
			err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755))
		}
		return err
	})
	if err != nil {
		h.tb.Fatal(err)
	}
}

// run runs a program to its end, in a given environment and no other.
func (h installed) run(env []string, argv ...string) (out string, err error) {
	h.tb.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err = h.Do(cmd.Run)
	return both.String(), err
}

func TestEveryLinkLeadsToWhatItIsCalled(t *testing.T) {
	h := newInstalled(t)
	all := links(t)
	for _, link := range []string{generator, maintain, await} {
		if all[link] == "" {
			t.Errorf("nfpm.yaml has no link %s", link)
		}
	}
	for link := range all {
		out, err := h.run(nil, link, "no", "program", "takes", "four") // wait-online takes none, and waits
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.HasPrefix(out, "usage: "+filepath.Base(link)) {
			t.Errorf("%s: %v\n%s", link, err, out)
		}
	}
}

// generated runs the generator, as systemd does at an early boot, and returns what it
// grants.
func (h installed) generated(argv ...string) (granted, said string) {
	h.tb.Helper()
	to := h.tb.TempDir()
	out, err := h.run(nil, append(argv, generator, to, to+".early", to+".late")...)
	if err != nil {
		h.tb.Errorf("the generator: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(to, "k2hdkc-slave-agent.service.d", "50-configuration.conf"))
	if err != nil && !os.IsNotExist(err) {
		h.tb.Fatal(err)
	}
	_, granted, _ = strings.Cut(string(text), "[Service]\n")
	return granted, out
}

func TestGenerator(t *testing.T) {
	h := newInstalled(t)
	h.lay(map[string]string{
		"/etc/group": "root:x:0:\nk2hdkc:x:990:\n", // which the packages make
		config:       "[k2hr3]\nrole-token-file = '/srv/token/t'\nforget-bootstrap-token = true\n",
		"/etc/systemd/system/k2hdkc-slave-agent.service.d/operator.conf": "[Service]\nEnvironment=\"K2HDKC_SLAVE_STATE_DIR=/srv/state\"\n",
	})
	const rights = "ReadWritePaths=-/srv/state\nReadWritePaths=-/srv/token\n"
	if granted, said := h.generated(); granted != rights || said != "" {
		t.Errorf("it has granted\n%s\nand says %q, want\n%s", granted, said, rights)
	}
	if granted, _ := h.generated("unshare", "--user", "--map-root-user", "sh", "-c", `echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"`, "sh"); granted != rights+"PrivateUsers=no\n" {
		t.Errorf("a host without namespaces of users: granted\n%s", granted)
	}

	if err := h.Do(func() error { return errors.Join(os.Remove(config), syscall.Mkfifo(config, 0o644)) }); err != nil {
		t.Fatal(err)
	}
	if granted, said := h.generated(); granted != "ReadWritePaths=-/srv/state\n" || !strings.Contains(said, "is not a regular file") {
		t.Errorf("a configuration that is a FIFO: granted\n%s\nsaid %q", granted, said)
	}
	t.Run("what it says without a standard error, as systemd runs it", func(t *testing.T) {
		kmsg := filepath.Join(t.TempDir(), "kmsg")
		write(t, kmsg, "")
		if err := h.Do(func() error { return unix.Mount(kmsg, "/dev/kmsg", "", unix.MS_BIND, "") }); err != nil {
			need.Missing(t, fmt.Errorf("may not stand in for the kernel's log here: %w", err))
		}
		h.generated("sh", "-c", `exec "$@" 2>/dev/null`, "sh")
		record, err := os.ReadFile(kmsg)
		if err != nil || !regexp.MustCompile(`^<4>k2hdkc-slave-agent\[\d+\]: generator: .*is not a regular file.*\n$`).Match(record) {
			t.Errorf("in the kernel's log: %q, %v", record, err)
		}
	})
}

// systemd ends the program of a reload job by chmpx's own KillSignal=.
func TestAWaitForChmpxThatIsEndedBySIGHUP(t *testing.T) {
	// Where SIGHUP is ignored, as under nohup, what this starts would ignore it, too.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	h := newInstalled(t)
	h.lay(map[string]string{
		"/etc/k2hdkc/slave.ini":     "[GLOBAL]\nFILEVERSION = 1\nGROUP = orders\nMODE = SLAVE\nDELIVERMODE = HASH\n[SVRNODE]\nNAME = 192.0.2.31\nPORT = 9030\nCTLPORT = 9031\n[SLVNODE]\nNAME = localhost\nCTLPORT = 9021\n",
		"/etc/programs/chmpxstatus": "#!/bin/sh\necho up >/etc/up; exec sleep 600\n",
	})
	const up = "/etc/up" // a FIFO: somebody asks chmpxstatus
	tmp := t.TempDir()
	cmd := exec.Command(await, "/etc/k2hdkc/slave.ini", "600")
	cmd.Env = []string{"PATH=/etc/programs:/bin", "TMPDIR=" + tmp}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	var asked *os.File
	err := h.Do(func() (err error) {
		if err = syscall.Mkfifo(up, 0o644); err != nil {
			return err
		}
		if asked, err = os.OpenFile(up, os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer asked.Close()
	asked.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := asked.Read(make([]byte, 3)); err != nil {
		t.Errorf("chmpxstatus is not asked: %v", err)
	}
	cmd.Process.Signal(syscall.SIGHUP)
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGHUP {
		t.Errorf("it has not ended by SIGHUP: %v\n%s", err, &said)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("it has left %v behind, %v", left, err)
	}
}
