package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

// TestAChmpxThatIsNotRootsGetsNoFileThatItCannotRead has somebody take the right to read slave.ini,
// and then that to enter its folder, away from chmpx's user. It is the real chmpx where that is
// installed.
func TestAChmpxThatIsNotRootsGetsNoFileThatItCannotRead(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("takes root")
	}
	programs, real := fakechmpx.Installed()
	if !real {
		var err error
		programs, err = fakechmpx.BuildStandin(t.TempDir()) // the other tests' stay closed to everybody
		must(t, err)
		letIn(t, filepath.Dir(programs.Chmpx))
		must(t, programs.UseState("/var/lib/antpickax")) // of the VM
	}
	text := func(servers ...int) string { // with as few messages as every user may have
		return strings.Replace(realText(liveSlave, servers...), "MAXMQCLIENT = 16", "MAXMQCLIENT = 4", 1)
	}
	k := &minimalK2HR3{text: text(1)}
	r := &realRing{newSlaveVM(t, k), programs}
	letIn(t, r.disk)
	for _, name := range []string{"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"} {
		must(t, os.Chmod(r.path(name), 0o644))
	}
	r.inside(func() error {
		if err := os.Mkdir("/var/lib/antpickax", 0o755); err != nil {
			return err
		}
		return unix.Mount("tmpfs", "/var/lib/antpickax", "tmpfs", 0, "size=2g,mode=1777")
	})
	agent := r.start("--unit", "", "--interval", "1h", "--wait", "0", "--peek", "1s",
		"--status-command", programs.Status, "--check-command", programs.Conftest)
	agent.says(realagent.Replaced, "")
	var chmpx *fakechmpx.Process
	r.inside(func() (err error) {
		chmpx, err = fakechmpx.StartT(t, programs, slaveINI, func(cmd *exec.Cmd) { cmd.SysProcAttr.Credential = nobody })
		return err
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(chmpx.Output())
		}
	})
	agent.says(realagent.Confirmed, "")

	folder := filepath.Dir(r.file())
	for i, tt := range []struct {
		path        string
		barred, let os.FileMode
	}{{r.file(), 0o600, 0o644}, {folder, 0o700, 0o755}} {
		before := read(t, r.file())
		must(t, os.Chmod(tt.path, tt.barred))
		k.setText(text([]int{1, 2, 3}[:i+2]...))
		must(t, agent.Signal(syscall.SIGHUP))
		agent.says("cannot replace slave.ini", "chmpx (uid 65534")
		if read(t, r.file()) != before {
			t.Errorf("%s: slave.ini was replaced", tt.path)
		}
		must(t, os.Chmod(tt.path, tt.let))
		agent.says(realagent.Replaced, "")
		agent.says(realagent.Confirmed, "")
	}
	agent.end()
	if exit, err := chmpx.Stop(deadline(t)); err != nil || exit != (fakechmpx.Exit{}) {
		t.Errorf("chmpx ended with %+v, %v", exit, err)
	}
}

// letIn lets every user into a folder, through those that the test has made.
func letIn(t *testing.T, dir string) {
	t.Helper()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&0o001 == 0 {
			must(t, os.Chmod(dir, 0o711))
		}
	}
}
