package watcher

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// fault is one thing that goes wrong, what the agent is to do about it, and how
// that is proven. The host has its file and a chmpx that runs it when the fault
// strikes. At the same moment server node 2 joins, so that there is something to
// miss: the ring knows it at once, and the file is to list it as soon as that is
// possible.
type fault struct {
	name  string
	wrong string // what goes wrong, in a sentence
	does  string // what the agent does

	before func(h *host) // the host is started
	strike func(h *host)
	heal   func(h *host)           // nil: K2HR3's faults are over
	also   func(h *host)           // looks, at the end, for what the columns do not say
	run    func(*testing.T, fault) // in place of all this: a test of its own

	lasts  time.Duration // 0: half an hour
	late   bool          // server 2 joins when the fault is over
	sees   time.Duration // the file is right so soon although the fault lasts; 0: it stays as it is
	within time.Duration // the file is right so soon after the fault; 0: afterFault
	writes int           // replacements while the fault lasts; 0: one if the file is right, else none; -1: any
	tries  bool          // new files are staged, and not put in place

	asks int  // requests while the fault lasts, at most
	puts int  // registrations that K2HR3 took, from the beginning of the fault to the end; -1: any
	down bool // chmpx is not running at the end
	edit bool // somebody else writes the file

	says []string // words of the one log line that tells
	once bool     // it is said once only, not at growing intervals
	each int      // it is said with each one of so many troubles at most
	hush bool     // there is nothing to say
}

// silent begins what the log says of K2HR3, and keeps what the agent does, in many rows.
const (
	silent = "cannot read the RESOURCE from K2HR3; slave.ini unchanged"
	keeps  = "keeps the file; asks again with pauses that grow up to the interval"
)

const (
	faultLasts = 30 * time.Minute
	// afterFault is the longest pause, an interval and a tenth, and what the
	// confirmation of a replacement may take.
	afterFault = 71 * time.Second
)

// faults are all rows, in the order of the table.
func faults() []faultGroup {
	return []faultGroup{
		{"server", "K2HR3, or what answers in its place", append(serverFaults(), wrongAnswerFaults()...)},
		{"holding", "Held requests", holdFaults()},
		{"network", "The network", networkFaults()},
		{"wire", "The network in real time", wireFaults()},
		{"token", "The role token", tokenFaults()},
		{"identity", "Membership and identity", identityFaults()},
		{"time", "Time", timeFaults()},
		{"disk", "The disk and the file", append(diskFaults(), fileFaults()...)},
		{"state", "The agent's own state", stateFaults()},
		{"chmpx", "chmpx and its unit", chmpxFaults()},
	}
}

type faultGroup struct {
	name, title string
	rows        []fault
}

func TestFaults(t *testing.T) {
	for _, g := range faults() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range g.rows {
				t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
					t.Parallel()
					if f.run != nil {
						f.run(t, f)
						return
					}
					inBubble(t, func(t *testing.T, h *host) { h.suffer(f) })
				})
			}
		})
	}
}

// suffer holds the agent to a row.
func (h *host) suffer(f fault) {
	if f.before != nil {
		f.before(h)
	}
	dog := h.watched()
	h.applied()
	lasts := cmp.Or(f.lasts, faultLasts)
	defer h.guard(f, max(500*time.Millisecond, lasts/20_000))()
	before := len(h.texts())
	unchanged := h.keptAs(f)
	f.strike(h)
	if f.edit {
		unchanged = h.keptAs(f) // but for what was done to it just now
	}
	if !f.late {
		h.another()
	}
	h.pass(f.sees)
	if f.sees != 0 && !f.late {
		h.right("while the fault lasts")
	}
	h.pass(lasts - f.sees)
	unchanged()
	h.told(f, lasts)
	if writes := len(h.texts()) - before; f.sees != 0 && f.writes >= 0 && writes != cmp.Or(f.writes, 1) {
		h.t.Errorf("%d replacements, want %d", writes, cmp.Or(f.writes, 1))
	}
	h.bounded(f, lasts)

	if f.heal == nil {
		h.api.ClearFaults()
	} else {
		f.heal(h)
	}
	if f.late {
		h.another()
	}
	h.pass(cmp.Or(f.within, afterFault))
	h.right("after the fault")
	h.wellAgain(f)
	dog.quiet(h.t)
	if line := h.line(); !strings.Contains(line, fmt.Sprintf("revision %d", h.revision())) {
		h.t.Errorf("at the end it says of itself: %s", line)
	}
}

// keptAs returns what looks whether the file was left alone, where it is to be.
func (h *host) keptAs(f fault) (unchanged func()) {
	switch {
	case f.tries:
		file := identify(h.t, h.config.File.Path)
		return func() {
			if identify(h.t, h.config.File.Path) != file {
				h.t.Error("slave.ini was touched")
			}
		}
	case f.sees == 0:
		return h.untouched()
	}
	return func() {}
}

// another server joins the cluster, and its ring.
func (h *host) another() {
	h.join(2)
	h.chmpx.setRing(1, 2)
}

// right looks whether the file is what K2HR3 has, with this host's values in it.
func (h *host) right(when string) {
	h.t.Helper()
	if !h.upToDate() {
		h.t.Errorf("%s the file is\n%s\nK2HR3 has\n%s", when, h.file(), h.cluster.Text())
	}
	if !h.lists(2) {
		h.t.Errorf("%s the file does not list the new server", when)
	}
}

// upToDate: the file is what K2HR3 has, with this host's values in it.
func (h *host) upToDate() bool {
	text := strings.ReplaceAll(h.cluster.Text(), "__SELF_INSTANCE_ID__", h.config.InstanceID)
	got := h.file()
	return got == replaceStamp(text, revisionOf(got)) || sameToChmpx(got, text)
}

// sameToChmpx: a text that differs in nothing that chmpx compares is no reason to
// replace the file.
func sameToChmpx(a, b string) bool {
	x, _ := chmpx.Load([]byte(a), nil)
	y, _ := chmpx.Load([]byte(b), nil)
	return x != nil && y != nil && x.SelfCUK == y.SelfCUK && len(chmpx.ChangesBesidesVersion(x, y)) == 0
}

func replaceStamp(text string, n int) string {
	return strings.Replace(text, "FILEVERSION         = 1\n", fmt.Sprintf("FILEVERSION         = %d\n", n), 1)
}

// wellAgain looks at the rest of the promises once the fault is over.
func (h *host) wellAgain(f fault) {
	h.t.Helper()
	alive := h.chmpx.loadedFile()
	switch {
	case f.down && alive != nil:
		h.t.Error("chmpx runs")
	case !f.down && !bytes.Equal(alive, []byte(h.file())):
		h.t.Errorf("chmpx is not running the file in place, but\n%s", alive)
	}
	own := 0
	for _, s := range h.cluster.Slaves() {
		if s.CUK == h.config.InstanceID && s.Addr == h.place() {
			own++
		}
	}
	if own != 1 {
		h.t.Errorf("members: %+v, want this host among them", h.cluster.Slaves())
	}
	puts := 0
	for _, r := range h.requests(fakek2hr3.OpRegister) {
		if r.Status == 201 {
			puts++
		}
	}
	if f.puts >= 0 && puts != f.puts {
		h.t.Errorf("%d registrations, want %d", puts, f.puts)
	}
	if f.also != nil {
		f.also(h)
	}
}

// loadedFile is the file that a running chmpx has read last.
func (c *fakeChmpx) loadedFile() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slave == nil {
		return nil
	}
	return slices.Clone(c.loaded)
}

// bounded looks whether K2HR3 was asked no more than the row allows, and was not
// hammered.
func (h *host) bounded(f fault, lasts time.Duration) {
	h.t.Helper()
	all := h.api.Requests()
	h.t.Logf("%d requests in %v, %d allowed", len(all), lasts, f.asks)
	if len(all) > f.asks {
		h.t.Errorf("%d requests in %v, want %d at most", len(all), lasts, f.asks)
	}
	h.checkArrivals()
}

// told looks whether the log tells of the fault, and does not go on about it.
func (h *host) told(f fault, lasts time.Duration) {
	h.t.Helper()
	if f.hush {
		for _, level := range []string{"WARN", "ERROR"} {
			h.log.want(h.t, 0, level)
		}
		return
	}
	if f.once {
		h.log.want(h.t, 1, f.says...)
		return
	}
	most := 1
	for at, gap := time.Duration(0), firstRepeat; at+gap <= lasts; gap = min(2*gap, maxRepeat) {
		at += gap
		most++
	}
	most = cmp.Or(f.each, most)
	if n := h.log.count(f.says...); n < 1 || n > most {
		h.t.Errorf("%q was logged %d times in %v, want 1 to %d", f.says, n, lasts, most)
	}
	// Whatever else is said of it grows rarer too.
	if n := h.log.count("WARN") + h.log.count("ERROR"); n > 4*most {
		h.t.Errorf("%d warnings and errors in %v", n, lasts)
	}
}

// texts are those that were put in place, or nearly.
func (h *host) texts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.staged)
}

// guard looks at the file time and again: it is always there, and always one of
// those that a loader of chmpx's files has passed.
func (h *host) guard(f fault, every time.Duration) (stop func()) {
	if f.edit {
		return func() {}
	}
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(every)
		defer tick.Stop()
		seen := ""
		for {
			b, err := os.ReadFile(h.config.File.Path)
			if err != nil {
				h.t.Errorf("a reader finds: %v", err)
				return
			}
			if text := string(b); text != seen && !slices.Contains(h.texts(), text) {
				h.t.Errorf("a reader finds what nobody has put in place:\n%s", b)
				return
			} else {
				seen = text
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(done)
		<-over
		synctest.Wait()
	}
}

// on strikes with a fault of the stand-in.
func on(f fakek2hr3.Fault, ops ...fakek2hr3.Op) func(h *host) {
	f.On = ops
	return func(h *host) { h.api.Fault(f) }
}

var updateDoc = flag.Bool("update", false, "write tests/FAULTS.md")

// TestFaultsDoc keeps tests/FAULTS.md what the table says.
func TestFaultsDoc(t *testing.T) {
	const file = "../tests/FAULTS.md"
	want := faultsDoc()
	if *updateDoc {
		noError(t, os.WriteFile(file, want, 0o644))
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("tests/FAULTS.md is not what the table says; go test ./watcher -run TestFaultsDoc -update writes it (%v)", err)
	}
}

func faultsDoc() []byte {
	var b bytes.Buffer
	n := 0
	for _, g := range faults() {
		n += len(g.rows)
	}
	fmt.Fprintf(&b, `# Faults

What can go wrong, and what the agent does about it: %d faults. Each row is a test
(TestFaults in watcher), and this file is written from the table of those tests by
`+"`go test ./watcher -run TestFaultsDoc -update`"+`.

Each test begins with a host whose slave.ini is right and whose chmpx runs it. The
fault strikes, and a server node joins the cluster. Besides what the row says, each
test holds the agent to the promises: slave.ini is there at every moment, whole, and
one that a second loader of chmpx's files passes; chmpx, which dies of what kills the
real one, lives; K2HR3 is never asked more than 36 times in 10 s; no role token is in
a log, an error or a file besides its own. After the fault the file is right, chmpx
runs it, and the host is a member once, without anybody's help.

"Requests" is how many K2HR3 gets at most while the fault lasts, for every purpose
together. "Right after": the longest time from the end of the fault to the right file;
"at once" means that the fault does not keep the file from being right. What the log
says comes when the trouble is new and then at growing intervals, a minute to an hour
apart; marked ¹: once. The rows of the network in real time last seconds, with an
interval of 0.3 s, on a machine that has nothing else to do.
`, n)
	for _, g := range faults() {
		fmt.Fprintf(&b, "\n## %s\n\n| fault | what goes wrong | what the agent does | requests | right after | log |\n|---|---|---|---|---|---|\n", g.title)
		for _, f := range g.rows {
			after := span(cmp.Or(f.within, afterFault))
			if f.sees != 0 && !f.late {
				after = "at once"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %d in %s | %s | %s |\n", f.name, f.wrong, f.does, f.asks, span(cmp.Or(f.lasts, faultLasts)), after, f.logged())
		}
	}
	writeElsewhere(&b)
	return b.Bytes()
}

// span writes a duration with blanks, and without zeros.
func span(d time.Duration) string {
	var words []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.size; n != 0 {
			words = append(words, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.size
		}
	}
	return strings.Join(words, " ")
}

func (f fault) logged() string {
	if f.hush {
		return "nothing"
	}
	text := "`" + strings.ReplaceAll(strings.Join(f.says, "` … `"), "|", "\\|") + "`"
	if f.once {
		text += " ¹"
	}
	return text
}

func TestFaultsAreNamedAndToldOf(t *testing.T) {
	names := map[string]bool{}
	for _, g := range faults() {
		for _, f := range g.rows {
			if names[f.name] || f.name == "" || f.wrong == "" || f.does == "" || f.asks == 0 || f.hush == (len(f.says) != 0) {
				t.Errorf("%s: two of that name, or something is missing", f.name)
			}
			names[f.name] = true
		}
	}
	if len(names) < 60 {
		t.Errorf("%d faults", len(names))
	}
}
