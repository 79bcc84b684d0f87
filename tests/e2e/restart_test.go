package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

const liveSlave = "MODE = SLAVE\nSELFCTLPORT = 8031\nSELFCUK = __SELF_INSTANCE_ID__\n"

// serverCert has a server's certificate and key: it has to be there, and no slave reads it.
const serverCert = "/etc/k2hdkc/server.pem"

// liveDangers are texts that the chmpx of realText(liveSlave, 1) does not survive, or
// does not apply, while it runs, and that a fresh one takes.
func liveDangers() map[string]string {
	replaced := func(old, next string) string {
		return strings.ReplaceAll(realText(liveSlave, 1), old, next)
	}
	var many []int
	for n := range 30 {
		many = append(many, n+1)
	}
	return map[string]string{
		"GROUP":       replaced("GROUP = orders", "GROUP = invoices"),
		"CHMPXIDTYPE": replaced("CHMPXIDTYPE = CUSTOM", "CHMPXIDTYPE = NAME"),
		"DELIVERMODE": replaced("DELIVERMODE = hash", "DELIVERMODE = random"),
		"MAXMQCLIENT": replaced("MAXMQCLIENT = 16", "MAXMQCLIENT = 64"),
		"SSL":         replaced("\nCTLPORT = 8101\n", "\nCTLPORT = 8101\nSSL = on\nSERVER_CERT = "+serverCert+"\nSERVER_PRIKEY = "+serverCert+"\n"),
		"SELFCTLPORT": replaced("CTLPORT = 8031", "CTLPORT = 8099"),
		"MAXCHMPX":    strings.Replace(realText(liveSlave, many...), "MAXCHMPX = 8", "MAXCHMPX = 64", 1),
	}
}

// restarting is a slave VM whose chmpx an operator restarts.
type restarting struct {
	*realRing
	agent *daemon
	chmpx *fakechmpx.Process
}

// newRestarting makes one whose chmpx runs the agent's first file: the real chmpx where
// that is installed.
func newRestarting(t *testing.T, k *minimalK2HR3) (r *restarting, real bool) {
	t.Helper()
	programs, real := fakechmpx.Installed()
	if !real {
		programs = fakechmpx.BuildT(t)
	}
	r = &restarting{realRing: &realRing{newSlaveVM(t, k), programs}}
	write(t, r.path(serverCert), "")
	r.inside(func() error {
		if err := os.Mkdir("/var/lib/antpickax", 0o755); err != nil {
			return err
		}
		return unix.Mount("tmpfs", "/var/lib/antpickax", "tmpfs", 0, "size=2g")
	})
	r.agent = r.start("--unit", "", "--interval", "1h", "--wait", "0",
		"--status-command", programs.Status, "--check-command", programs.Conftest)
	r.agent.says(realagent.Replaced, "")
	r.chmpx = r.realRing.chmpx(t, "slave.ini")
	r.agent.says(realagent.Confirmed, "")
	return r, real
}

// end ends the agent, and chmpx, which lives.
func (r *restarting) end(t *testing.T) {
	t.Helper()
	r.agent.end()
	if exit, err := r.chmpx.Stop(deadline(t)); err != nil || exit != (fakechmpx.Exit{}) {
		t.Errorf("chmpx ended with %+v, %v", exit, err)
	}
}

var full = os.Getenv("K2HDKC_TEST_FULL") != ""

// TestADangerComesWithTheNextStart has K2HR3 change, again and again, what the running
// chmpx must not load. The operator restarts chmpx as the agent says, with a gap of up to
// three seconds. Each time the new file is there for the next chmpx, and none ends.
func TestADangerComesWithTheNextStart(t *testing.T) {
	t.Parallel()
	rounds, gaps := 1, []time.Duration{20 * time.Millisecond}
	if full {
		rounds, gaps = 50, []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, time.Second, 3 * time.Second}
	}
	k := &minimalK2HR3{text: realText(liveSlave, 1)}
	r, real := newRestarting(t, k)
	for name, text := range liveDangers() {
		if !full && !real && name != "GROUP" {
			continue // each takes seconds
		}
		for range rounds {
			for _, next := range []string{text, realText(liveSlave, 1)} {
				k.setText(next)
				r.takesAtTheNextStart(t, name, next, rand.N(gaps[rand.N(len(gaps))]))
			}
		}
	}
	r.end(t)
}

// TestChangesAndRestartsAtRandom has servers come and go, dangers come up, and an operator
// restart chmpx whenever he likes, all at once.
func TestChangesAndRestartsAtRandom(t *testing.T) {
	if !full {
		t.Skip("takes an hour for its thousand changes; K2HDKC_TEST_FULL=1 runs it")
	}
	const changes = 1000
	k := &minimalK2HR3{text: realText(liveSlave, 1)}
	r, _ := newRestarting(t, k)
	dangers := slices.Sorted(maps.Values(liveDangers()))
	last := k.text
	for n := range changes {
		servers := rand.Perm(6)[:1+rand.N(6)]
		slices.Sort(servers) // the same servers in another order are no change
		text := realText(liveSlave, servers...)
		if rand.N(3) == 0 {
			text = dangers[rand.N(len(dangers))]
		}
		if text == last {
			continue
		}
		last = text
		if rand.N(2) == 0 {
			// It ends before the change comes: a chmpx that ends just after it, with no
			// systemd to ask, may have ended because of it.
			r.stop(t)
			changed := make(chan struct{})
			time.AfterFunc(rand.N(500*time.Millisecond), func() {
				defer close(changed)
				k.setText(text)
				r.agent.Signal(syscall.SIGHUP)
			})
			time.Sleep(rand.N(time.Second))
			r.chmpx = r.realRing.chmpx(t, "slave.ini")
			<-changed
		}
		k.setText(text)
		r.takesAtTheNextStart(t, fmt.Sprintf("change %d", n), text, rand.N(time.Second))
	}
	r.end(t)
}

// takesAtTheNextStart is one change, with the restarts that the agent asks for. One is
// enough, unless a chmpx has started at the very moment of the replacement.
func (r *restarting) takesAtTheNextStart(t *testing.T, name, text string, gap time.Duration) {
	t.Helper()
	r.agent.Signal(syscall.SIGHUP)
	for restarts := 0; ; restarts++ {
		if r.waits() {
			if restarts == 3 {
				t.Fatalf("%s: restarted three times with a gap of %v, and it still waits\n%s", name, gap, r.agent)
			}
			if restarts > 0 {
				t.Logf("%s: a chmpx has started at the very moment of the replacement (gap %v)", name, gap)
			}
			r.restart(t, gap)
			continue
		}
		replaced := r.agent.next
		r.agent.says(realagent.Confirmed, "")
		if revisionless(read(t, r.file())) != revisionless(text) {
			r.agent.next = replaced // it was taken back, which may have been said before
			continue
		}
		select {
		case <-r.chmpx.Done():
			t.Fatalf("%s: with a gap of %v chmpx has ended: %+v\n%s", name, gap, r.chmpx.Exit(), r.chmpx.Output())
		default:
		}
		return
	}
}

// waits reports whether the agent says that the RESOURCE waits for a restart, rather
// than that it has replaced the file for good.
func (r *restarting) waits() bool {
	r.agent.tb.Helper()
	said, next, err := r.agent.Await(deadline(r.agent.tb), r.agent.next, func(rec realagent.Record) bool {
		return rec.Message == realagent.Replaced || strings.HasPrefix(rec.Message, realagent.Waits)
	})
	if err != nil {
		r.agent.tb.Fatalf("nothing is said of the change: %v\n%s", err, r.agent)
	}
	r.agent.next = next
	return said.Message != realagent.Replaced
}

// restart ends chmpx as its unit does, and starts it again after a while.
func (r *restarting) restart(t *testing.T, gap time.Duration) {
	t.Helper()
	r.stop(t)
	time.Sleep(gap)
	r.chmpx = r.realRing.chmpx(t, "slave.ini")
}

// stop ends chmpx as its unit does.
func (r *restarting) stop(t *testing.T) {
	t.Helper()
	// The real chmpx may crash on its way out, just after somebody has left its memory
	// (docs/chmpx.md J.3). The operator has ended it then, not the agent.
	exit, err := r.chmpx.Stop(deadline(t))
	switch {
	case err != nil:
		t.Fatal(err)
	case exit != (fakechmpx.Exit{}):
		t.Logf("chmpx ended with %+v when it was stopped", exit)
	}
}

var revisionLine = regexp.MustCompile(`(?m)^FILEVERSION = \d+$`)

// revisionless is a text without what the agent replaces.
func revisionless(text string) string {
	return revisionLine.ReplaceAllString(strings.ReplaceAll(text, "__SELF_INSTANCE_ID__", vmCUK), "")
}
