package usage

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

// limit is how long what a step waits for may take on a busy machine.
const limit = 2 * time.Minute

// The cluster. A server node runs in a container with the network and the name of its VM, so it
// registers under the name of the instance. Trove calls those of a cluster <cluster>-member-<n>.
const (
	clusterName = "orders"
	domain      = "shop.example"
)

var update = flag.Bool("update", false, "write docs/usage.md")

// programs is the folder with the agent, chmpx and what stands in for the system's own programs.
var programs string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	var err error
	if programs, err = os.MkdirTemp("", "k2hdkc-usage-"); err == nil {
		var agent string
		if agent, err = realagent.Build(programs); err == nil {
			err = os.Symlink(agent, filepath.Join(programs, "wait-online"))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programs)
	return m.Run()
}

// cluster is K2HR3 and the server nodes, as whoever uses the service's dashboard changes them.
type cluster interface {
	// group makes of the configuration group what the service makes of it at K2HR3.
	group()
	// launch makes server nodes by name: they register, and join the ring.
	launch(names ...string)
	// destroy takes server nodes out, and ends them.
	destroy(names ...string)
	// detach takes one out of the group and lets it run; attach undoes that.
	detach(name string)
	attach(name string)
	// restore replaces one by another of the same name, with another CUK.
	restore(name string)

	// listed are the CUKs of the server nodes that K2HR3 lists.
	listed() []string

	// options are those of a slave's user data, its token in a file of the folder.
	options(dir string) []string
	// plug brings a slave's VM into the network, where nothing gets through between it and the
	// servers until it is admitted.
	plug(v *vm)
	admit(v *vm)
	// chmpx starts chmpx on a slave's VM.
	chmpx(ctx context.Context, v *vm) (*fakechmpx.Process, error)
	// application is one that reads and writes keys of its own on a slave's VM, again and again,
	// as a user who is a member of chmpx's group.
	application(v *vm) application
	// check has the nodes tell how they see each other (6-3-2), on a slave's VM.
	check(v *vm) string
	// keys sets a key, prints and deletes it (6-3-3), by root and by a member of chmpx's group.
	keys(v *vm) string
}

// application works until its VM ends.
type application interface {
	begin()
	// done is how many operations have come to an end, and how many of them failed.
	done() (all, failed int)
}

// walk is the way through the guide.
type walk struct {
	*testing.T
	out     io.Writer
	net     *network
	cluster cluster

	slaves     int
	app1, app2 *slave
	shown      strings.Builder // what docs/usage.md shows
}

func newWalk(t *testing.T) *walk {
	w := &walk{T: t, out: t.Output(), net: newNetwork(t)}
	if w.cluster = newReal(w); w.cluster == nil {
		w.cluster = newStandins(w)
	}
	return w
}

// sight is what is to be seen of a slave: its status in one line, without what differs from walk to
// walk, or what k2hdkc-slave-online.target waits for.
type sight struct {
	slave **slave
	waits bool
	want  string
	or    []string // which will do as well: who looks in the midst of the step sees another end of it
}

func (w *walk) app1sees(want string, or ...string) sight {
	return sight{slave: &w.app1, want: want, or: or}
}
func (w *walk) app2sees(want string) sight  { return sight{slave: &w.app2, want: want} }
func (w *walk) app2waits(want string) sight { return sight{slave: &w.app2, waits: true, want: want} }

func (s sight) String() string {
	if s.waits {
		return "applications are " + s.want
	}
	return "`" + s.want + "`"
}

// fate is what becomes of the operations of the application on app-1 during a step.
type fate string

const (
	none     fate = "there is no application yet"
	keeps    fate = "its operations go on"
	loses    fate = "its operations fail from here on"
	recovers fate = "its operations go on again"
)

// step does something and waits until the slave has the servers that K2HR3 lists, until what is to
// be seen of it is what it should be, and until the application fares as it should. A healthy slave
// has to be ready for applications besides. What do returns is shown, too.
func (w *walk) step(section, what string, do func() string, see sight, want fate) {
	w.Helper()
	begin := time.Now()
	all, failed := w.operations()
	shown := do()
	s := *see.slave
	s.awaitServers(w.cluster.listed())
	if see.waits {
		s.awaitsOnline(see.want)
	} else {
		s.awaitBrief(see.want, see.or...)
	}
	if strings.HasPrefix(see.want, "healthy") {
		s.awaitReady()
	}
	took := time.Since(begin)
	brief, _ := s.says("status", "--brief")
	w.fares(want)
	allNow, failedNow := w.operations()
	fmt.Fprintf(w.out, "%-6s %s\n", section, what)
	if shown != "" {
		fmt.Fprintf(w.out, "       %s\n", shown)
	}
	fmt.Fprintf(w.out, "       after %4.1f s %s: %s\n       %d operations of the application, %d failed\n",
		took.Seconds(), s.name, brief, allNow-all, failedNow-failed)
	if want == keeps && failedNow != failed && w.standins() {
		w.Errorf("%d operations of the application have failed", failedNow-failed)
	}
	fmt.Fprintf(&w.shown, "| %s | %s | %s: %s | %s |\n", section, what, s.name, see, want)
}

func (w *walk) standins() bool {
	_, ok := w.cluster.(*standins)
	return ok
}

func (w *walk) operations() (all, failed int) {
	if w.app1 == nil || w.app1.app == nil {
		return 0, 0
	}
	return w.app1.app.done()
}

// fares waits until an operation of the application has come to the end that it should.
func (w *walk) fares(want fate) {
	w.Helper()
	if want == none {
		return
	}
	all, failed := w.operations()
	patience := limit
	if !w.standins() {
		patience = 3 * limit // each key of a server that has gone costs 9 s (docs/chmpx.md J.4)
	}
	defer func() {
		if w.Failed() {
			w.Logf("its chmpx:\n%s", w.app1.chmpxStatus())
		}
	}()
	untilWithin(w.T, patience, "the application: "+string(want), func() bool {
		allNow, failedNow := w.operations()
		if want == loses {
			return failedNow > failed
		}
		return allNow-failedNow > all-failed
	})
}

// Parts of a status line that differ from walk to walk.
var (
	since    = regexp.MustCompile(` \(?since [^;)]*\)?`)
	revision = regexp.MustCompile(`revision \d+ with`)
)

// plain is a status line without those.
func plain(brief string) string {
	return revision.ReplaceAllString(since.ReplaceAllString(strings.TrimSpace(brief), ""), "with")
}

// until polls until ok. It is for what sends no event when it happens.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	untilWithin(t, limit, what, ok)
}

func untilWithin(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if t.Context().Err() != nil || time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The walk as the documents show it.
const (
	doc      = "../../docs/usage.md"
	docBegin = "<!-- walk -->\n"
	docEnd   = "<!-- end -->"
)

// ends compares the walk with the one of docs/usage.md. With -update it writes that.
func (w *walk) ends() {
	w.Helper()
	if w.Failed() {
		return
	}
	b, err := os.ReadFile(doc)
	must(w.T, err)
	head, rest, found := strings.Cut(string(b), docBegin)
	_, tail, ended := strings.Cut(rest, docEnd)
	if !found || !ended {
		w.Fatalf("%s has no place for the walk", doc)
	}
	now := head + docBegin + "\n| section | what is done | what `status --brief` comes to | the application on app-1 |\n|---|---|---|---|\n" +
		w.shown.String() + "\n" + docEnd + tail
	switch {
	case now == string(b):
	case *update:
		must(w.T, os.WriteFile(doc, []byte(now), 0o644))
	default:
		w.Errorf("%s shows another walk; write it with -update if it is meant:\n%s", doc, w.shown.String())
	}
}
