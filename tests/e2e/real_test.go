package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

// realText is the configuration of a node of a cluster with these servers, all
// of them on the same machine and so each with ports of its own.
func realText(global string, servers ...int) string {
	var b strings.Builder
	b.WriteString("[GLOBAL]\nFILEVERSION = 1\nGROUP = orders\nDELIVERMODE = hash\nCHMPXIDTYPE = CUSTOM\nMAXCHMPX = 8\n" +
		"REPLICA = 0\nMAXMQCLIENT = 16\nK2HMASKBIT = 4\n" + global)
	for _, n := range servers {
		fmt.Fprintf(&b, "[SVRNODE]\nNAME = %s\nPORT = %d\nCTLPORT = %d\nCUK = %s\nCUSTOM_ID_SEED = kv-%d\n",
			vmAddr, 8000+100*n, realCtlPort(n), id("kv", n), n)
	}
	fmt.Fprintf(&b, "[SLVNODE]\nNAME = %s\nCTLPORT = 8031\nCUK = %s\nCUSTOM_ID_SEED = app-1\n", vmFQDN, vmCUK)
	return b.String()
}

func realCtlPort(n int) int { return 8001 + 100*n }

// realRing is a machine with the real chmpx on it, as a slave and as servers.
type realRing struct {
	*slaveVM
	programs fakechmpx.Programs
}

func newRealRing(t *testing.T, k *minimalK2HR3, programs fakechmpx.Programs) *realRing {
	t.Helper()
	r := &realRing{newSlaveVM(t, k), programs}
	r.inside(func() error {
		// Where chmpx keeps its state, which goes with the machine.
		if err := os.Mkdir("/var/lib/antpickax", 0o755); err != nil {
			return err
		}
		return unix.Mount("tmpfs", "/var/lib/antpickax", "tmpfs", 0, "size=2g")
	})
	return r
}

// follows starts an agent that asks K2HR3 only when the ring or a signal tells it to.
func (r *realRing) follows() *daemon {
	r.tb.Helper()
	return r.start("--unit", "", "--interval", "1h", "--wait", "0",
		"--status-command", r.programs.Status, "--check-command", r.programs.Conftest)
}

// server starts server n, or has it reload its file, with these servers in it.
func (r *realRing) server(t *testing.T, n int, servers ...int) {
	t.Helper()
	path := r.path(fmt.Sprintf("/etc/k2hdkc/server-%d.ini", n))
	_, err := os.Stat(path)
	text := realText(fmt.Sprintf("MODE = SERVER\nSELFCTLPORT = %d\nSELFCUK = %s\n", realCtlPort(n), id("kv", n)), servers...)
	write(t, path+".next", text)
	must(t, os.Rename(path+".next", path))
	if err != nil {
		r.chmpx(t, filepath.Base(path))
	}
}

// chmpx starts one on a file of /etc/k2hdkc. It ends with the test.
func (r *realRing) chmpx(t *testing.T, file string) (p *fakechmpx.Process) {
	t.Helper()
	r.inside(func() (err error) {
		p, err = fakechmpx.StartT(t, r.programs, "/etc/k2hdkc/"+file)
		return err
	})
	return p
}

// TestRealChmpxFollows has the agent keep the file of a real chmpx: from no file
// to a ring of two servers, of which the second one is first seen in the ring, a
// text that would end chmpx, and the agent's own end.
func TestRealChmpxFollows(t *testing.T) {
	t.Parallel()
	programs, ok := fakechmpx.Installed()
	if !ok {
		t.Skip("chmpx, chmpxstatus and chmpxconftest are not installed")
	}
	k := &minimalK2HR3{text: realText(liveSlave, 1)}
	r := newRealRing(t, k, programs)
	p := r.follows()
	p.says(realagent.Replaced, "")
	r.server(t, 1, 1)
	c := r.chmpx(t, "slave.ini")
	p.says(realagent.Confirmed, "")

	begin := time.Now()
	k.setText(realText(liveSlave, 1, 2))
	r.server(t, 1, 1, 2)
	r.server(t, 2, 1, 2)
	p.says(realagent.Replaced, "")
	p.says(realagent.Confirmed, "")
	t.Logf("followed the ring in %v", time.Since(begin).Round(time.Millisecond))

	before := read(t, r.file())
	k.setText(strings.Replace(realText(liveSlave, 1, 2), "DELIVERMODE = hash\n", "", 1))
	p.Signal(syscall.SIGHUP)
	p.says("", "DELIVERMODE")
	k.setText(realText(liveSlave, 2))
	p.Signal(syscall.SIGHUP)
	p.says(realagent.Replaced, "")
	p.says(realagent.Confirmed, "")
	if read(t, r.file()) == before {
		t.Error("the server that left is still in the file")
	}

	p.end()
	select {
	case <-c.Done():
		t.Fatalf("chmpx has ended: %+v\n%s", c.Exit(), c.Output())
	default:
	}
	if exit, err := c.Stop(deadline(t)); err != nil || exit != (fakechmpx.Exit{}) {
		t.Errorf("chmpx ended with %+v, %v", exit, err)
	}
}
