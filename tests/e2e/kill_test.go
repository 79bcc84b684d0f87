package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// TestKill kills the agent with SIGKILL, over and over, while the RESOURCE
// never stays the same, at random moments after one of the steps of its work.
// Whatever it was doing: slave.ini is one whole version and never an older one
// than before, nothing piles up beside it, chmpx lives, and the next agent goes
// on without help.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 40
	if need.Full() {
		rounds = 1_000
	}
	k := newKilling(t)
	seen := map[string]int{}
	// A host without a file yet, again and again.
	for range rounds / 5 {
		seen["first file "+k.round(t)]++
		k.forget(t)
	}
	k.settle(t) // chmpx needs a file to start on
	p, err := fakechmpx.StartT(t, k.programs, k.host.output(), fakechmpx.WithState(k.state))
	if err != nil {
		t.Fatal(err)
	}
	for range rounds {
		seen[k.round(t)]++
		select {
		case <-p.Done():
			t.Fatalf("chmpx has ended: %+v\n%s", p.Exit(), p.Output())
		default:
		}
	}
	t.Logf("%d rounds, %d texts, %d kills amid a replacement; the file after a kill was: %v", rounds, k.served.Load(), k.halfway, seen)
	if seen["replaced"] < rounds/10 {
		t.Errorf("only %d kills came after a replacement: this proves little", seen["replaced"])
	}

	revision := k.settle(t)
	if _, err := k.state.Await(deadline(t), "orders", fakek2hr3.SlaveCtlPort, func(s fakechmpx.Snapshot) bool { return s.FileVersion == revision }); err != nil {
		t.Errorf("chmpx does not run revision %d, which is in place: %v", revision, err)
	}
	if exit, err := p.Stop(deadline(t)); exit.Code != 0 || err != nil {
		t.Errorf("chmpx ended with %+v, %v", exit, err)
	}
}

// killing is an agent to be killed, and what it is between.
type killing struct {
	host     *host
	site     *site
	programs fakechmpx.Programs
	state    fakechmpx.StateDir
	versions versions
	served   atomic.Int64 // the newest version that K2HR3 has
	change   chan bool    // whether it goes on changing

	rounds            int
	version, revision int // of the file, last seen
	halfway           int // kills that left the temporary file behind
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	k := &killing{host: newHost(t), site: newSite(t, 0), change: make(chan bool)}
	k.site.token(t, k.host.path("role-token"))
	k.versions = versions{clusterText(5, 5, hostAddr, hostCUK)}
	k.programs = fakechmpx.BuildT(t)
	k.state = fakechmpx.StateDir(k.host.path("chmpx"))
	must(t, os.Mkdir(string(k.state), 0o755))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.changing(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return k
}

// changing gives K2HR3 another text every few milliseconds, while it should.
func (k *killing) changing(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for on := true; ; {
		if on {
			// Counted before it can be served, so that no file is ahead of it.
			k.site.SetText(k.versions.text(int(k.served.Add(1))))
		}
		select {
		case <-ctx.Done():
			return
		case on = <-k.change:
		case <-tick.C:
		}
	}
}

func (k *killing) command(t *testing.T) *exec.Cmd {
	cmd := k.host.command(t.Context(), append([]string{"run", "--log-format", "json"}, k.site.args(
		"--role-token-file", "role-token", "--interval", "1s", "--peek", "100ms",
		"--status-command", k.programs.Status, "--check-command", k.programs.Conftest)...)...)
	cmd.Env = append(cmd.Env, k.state.Env())
	return cmd
}

// heldKinds of the 20 kinds of rounds are with a K2HR3 that holds requests. They
// take a second, since the agent waits for a burst of changes to end. Those below
// replacedKinds come after a replacement however busy the host is.
const (
	heldKinds     = 2
	replacedKinds = 4
)

// round starts an agent, kills it, looks at what it left, and says in a word
// what became of the file.
func (k *killing) round(t *testing.T) string {
	t.Helper()
	kind := k.rounds % 20
	k.rounds++
	k.site.server.Hold(0)
	if kind < heldKinds {
		k.site.server.Hold(time.Minute)
	}
	for len(k.site.asked) > 0 {
		<-k.site.asked
	}
	replaced := make(chan struct{}, 100)
	p, err := realagent.Start(t.Context(), k.command(t), func(r realagent.Record) {
		if r.Message == realagent.Replaced {
			select {
			case replaced <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	step := func(c <-chan struct{}) {
		select {
		case <-c:
		case <-p.Done():
			t.Fatalf("the agent has ended by itself:\n%s", &p.Log)
		case <-deadline(t).Done():
			t.Fatalf("nothing happens:\n%s", &p.Log)
		}
	}
	most := 60 * time.Millisecond
	switch {
	case kind == 0: // around the second replacement
		step(replaced)
		most = 400 * time.Millisecond
	case kind < replacedKinds: // after the first
		step(replaced)
	case kind < 6: // somewhere in its beginnings
	default: // when it has the answer in its hands
		k.site.next(t)
		most = 25 * time.Millisecond
	}
	time.Sleep(rand.N(most))
	p.Signal(syscall.SIGKILL)
	<-p.Done()
	return k.look(t, p)
}

// look holds what is on the disk against what was served.
func (k *killing) look(t *testing.T, p *realagent.Process) string {
	t.Helper()
	k.onlyItsOwn(t, p)
	b, err := os.ReadFile(k.host.output())
	if os.IsNotExist(err) && k.version == 0 {
		return "absent"
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &p.Log)
	}
	version, revision, err := k.versions.of(string(b), hostCUK)
	switch {
	case err != nil:
		t.Fatalf("%v\n%s\n%s", err, b, &p.Log)
	case version > int(k.served.Load()):
		t.Fatalf("version %d was never served", version)
	case version < k.version:
		t.Fatalf("version %d came back after version %d\n%s", version, k.version, &p.Log)
	case version == k.version && revision == k.revision:
		return "untouched"
	case revision <= k.revision:
		t.Fatalf("version %d has revision %d, but version %d had %d: chmpx would not notice\n%s", version, revision, k.version, k.revision, &p.Log)
	}
	k.version, k.revision = version, revision
	return "replaced"
}

// temporary is the name of a file that is removed by the writing of the next one, once it is a
// minute old.
var temporary = regexp.MustCompile(`^\.(state\.json|status\.json|probe\.ini)\.[A-Z0-9]+\.next$`)

// onlyItsOwn fails if there is anything but the one temporary file that the
// next replacement overwrites, and what is always there.
func (k *killing) onlyItsOwn(t *testing.T, p *realagent.Process) {
	t.Helper()
	allowed := map[string][]string{
		"out":   {"slave.ini", ".slave.lock", ".slave.next.ini"},
		"state": {"state.json", "replaced"},
		"run":   {"probe.ini", "status.json", "status.lock"},
	}
	if slices.Contains(names(t, k.host.path("out")), ".slave.next.ini") {
		k.halfway++
	}
	if kept := names(t, k.host.path("state/replaced")); len(kept) > 20 { // six, and what the next one removes
		t.Fatalf("state/replaced has %q\n%s", kept, &p.Log)
	}
	for dir, known := range allowed {
		var odd []string
		for _, name := range names(t, k.host.path(dir)) {
			if !slices.Contains(known, name) && !temporary.MatchString(name) {
				odd = append(odd, name)
			}
		}
		if odd != nil {
			t.Fatalf("%s has %q\n%s", filepath.Join(dir), odd, &p.Log)
		}
	}
}

// settle lets the RESOURCE rest, starts an agent, and waits until the file is
// what K2HR3 has. It returns the file's revision.
func (k *killing) settle(t *testing.T) int {
	t.Helper()
	k.change <- false
	d := k.host.startCommand(k.command(t))
	until(t, "the file to be what K2HR3 has", func() bool {
		b, _ := os.ReadFile(k.host.output())
		version, _, err := k.versions.of(string(b), hostCUK)
		return err == nil && version == int(k.served.Load())
	})
	d.end()
	if got, want := names(t, k.host.path("out")), []string{".slave.lock", "slave.ini"}; !slices.Equal(got, want) {
		t.Errorf("in the end there are %q, want %q", got, want)
	}
	k.look(t, d.Process)
	k.change <- true
	return k.revision
}

// forget makes the host one that never had a file.
func (k *killing) forget(t *testing.T) {
	t.Helper()
	for _, name := range []string{"out/slave.ini", "state/state.json"} {
		if err := os.Remove(k.host.path(name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	k.version, k.revision = 0, 0
}
