package watcher

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/watcher/schedule"
)

// conditions are the conditions of a status in one line, those that do not count yet in brackets.
func (s Status) conditions() string {
	var words []string
	for _, c := range s.Health.Conditions.Items() {
		word := string(c.Code)
		if !c.Active {
			word = "(" + word + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestWhenAConditionCounts(t *testing.T) {
	var h health
	start := time.Date(2031, 5, 6, 14, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	down := []sign{{code: ChmpxNotRunning, message: "down"}}
	ring := append([]sign{{code: RingDiffers, message: "a"}}, down...)
	for _, step := range []struct {
		at      int
		signs   []sign
		want    string
		verdict Verdict
		since   int
		next    int // when it looks again by itself; 0: it does not
	}{
		{0, nil, "", Healthy, 0, 0},
		{10, down, "(chmpx_down)", Healthy, 0, 13},
		{12, nil, "", Healthy, 0, 0}, // it did not last
		{20, down, "(chmpx_down)", Healthy, 0, 23},
		{23, down, "chmpx_down", Failed, 20, 0},
		{30, ring, "chmpx_down (ring_differs)", Failed, 20, 90},
		{90, ring, "chmpx_down ring_differs", Failed, 20, 0},
		{100, ring[:1], "ring_differs", Degraded, 100, 0},
		{110, nil, "", Healthy, 110, 0},
		{111, ring[:1], "(ring_differs)", Healthy, 110, 171},
	} {
		h.see(at(step.at), step.signs, true)
		s := Status{Health: h.Health}
		next := 0
		if !h.next.at.IsZero() {
			next = int(h.next.at.Sub(start) / time.Second)
		}
		if s.conditions() != step.want || h.Verdict != step.verdict || !h.Since.Equal(at(step.since)) || next != step.next {
			t.Errorf("at %d: %s: %s since %v, next %d; want %+v", step.at, s.conditions(), h.Verdict, h.Since.Sub(start), next, step)
		}
	}
	if p := h.Previous; p == nil || p.Code != RingDiffers || !p.Since.Equal(at(30)) || !p.Until.Equal(at(110)) {
		t.Errorf("the previous condition: %+v", p)
	}
}

func TestWhatDoesNotChangeIsTheSameList(t *testing.T) {
	var h health
	now := time.Now()
	signs := []sign{{code: ServerDown, message: "server-1 is down"}}
	h.see(now, signs, true)
	before := h.Health
	h.see(now.Add(time.Second), slices.Clone(signs), true)
	if h.Health != before {
		t.Error("it changed")
	}
	h.see(now.Add(2*time.Second), []sign{{code: ServerDown, message: "all 2 servers are down", severity: Error}}, true)
	if h.Health == before {
		t.Error("another message is no change")
	}
	if c := h.Conditions.Items()[0]; c.Severity != Error || !c.Since.Equal(now) {
		t.Errorf("%+v", c)
	}
}

func TestConditionsSayWhatTheyComeFrom(t *testing.T) {
	var h health
	h.see(time.Now(), []sign{{code: NoFile}, {code: K2HR3Unreachable}}, false)
	c := find(h.Conditions.Items(), NoFile)
	if c == nil || !slices.Equal(c.DependsOn, []Code{K2HR3Unreachable}) {
		t.Errorf("%+v", c)
	}
}

// latest is the status that the watcher showed last.
func (h *host) latest() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// wants fails the test unless these are the conditions.
func (h *host) wants(verdict Verdict, conditions string) {
	h.t.Helper()
	if s := h.latest(); s.conditions() != conditions || s.Health.Verdict != verdict {
		h.t.Errorf("it is %s: %s; want %s: %s", s.Health.Verdict, s.conditions(), verdict, conditions)
	}
}

func TestStatusSaysWhatIsSeenOfChmpxAndK2HR3(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		s := h.latest()
		if p := s.Process; !p.Seen || !p.Running || p.PID != 1 || p.Revision != 1 || p.ConfirmedAt.IsZero() || p.StartedAt.IsZero() {
			t.Errorf("chmpx: %+v", p)
		}
		if k := s.Talk; k.HeardAt.IsZero() || k.Failure != "" || k.NextWhy != string(schedule.WhyInterval) || !k.NextAt.After(time.Now()) || !k.AskingSince.IsZero() {
			t.Errorf("K2HR3: %+v", k)
		}
		if f := s.File; f.SHA256 != sum([]byte(h.file())) || f.Slaves != 1 || f.ReplacedAt.IsZero() {
			t.Errorf("the file: %+v", f)
		}
		if s.Known.Tag != ownAddr || s.CheckedAt.IsZero() {
			t.Errorf("the membership: %+v, %v", s.Known, s.CheckedAt)
		}
		if got := fmt.Sprint(s.Nodes.Items()); got != fmt.Sprintf("[{%s 8021 %s up 1 true true}]", serverName(1), serverCUK(1)) {
			t.Errorf("the servers: %s", got)
		}

		h.chmpx.setRing(1, 2)
		h.pass(3 * time.Second)
		s = h.latest()
		if nodes := s.Nodes.Items(); len(nodes) != 2 || nodes[1].Name != serverName(2) || nodes[1].InFile || !nodes[1].InRing {
			t.Errorf("the servers: %+v", nodes)
		}
		if s.Talk.NextWhy != string(schedule.WhyRing) {
			t.Errorf("it asks because of: %s", s.Talk.NextWhy)
		}
		every(refused(syscall.ECONNREFUSED))(h)
		h.askNow()
		if k := h.latest().Talk; k.Failure != "connection refused" || k.FailedAt.IsZero() || k.NextWhy != string(schedule.WhyFailure) {
			t.Errorf("K2HR3 while it is down: %+v", k)
		}
	})
}

// The history tells the operator what was done to the file, also by an agent before this one.
func TestHistoryOutlivesTheAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.join(2)
		h.askNow()
		h.pass(2 * time.Second)
		h.edit(os.Remove)
		h.pass(2 * time.Second)
		words := func() (all []string) {
			for _, c := range h.latest().Changes.Items() {
				all = append(all, fmt.Sprint(c.Revision, " ", c.Words))
			}
			return all
		}
		want := []string{
			"3 restored: another program changed or removed it",
			"2 server joined " + serverName(2), "1 first file",
		}
		got := words()
		if len(got) != 3 || got[0] != want[0] || !strings.HasPrefix(got[1], want[1]) || got[2] != want[2] {
			t.Errorf("%q, want %q", got, want)
		}
		replaced := h.latest().File.ReplacedAt
		h.stop()
		h.pass(time.Hour)
		h.start()
		if again := words(); !slices.Equal(again, got) || !h.latest().File.ReplacedAt.Equal(replaced) {
			t.Errorf("after a restart: %q, %v", again, h.latest().File.ReplacedAt)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	now := time.Now()
	for i := range 30 {
		h.add(now, i, strings.Repeat("ü", 5000))
	}
	changes := h.changes.Items()
	if len(changes) != maxHistory || changes[0].Revision != 29 || changes[9].Revision != 20 || len(changes[0].Words) > maxWords+10 {
		t.Errorf("%d changes, the first %d with %d bytes", len(changes), changes[0].Revision, len(changes[0].Words))
	}
}

// A watcher that has nothing to do shows nothing, however often it looks at chmpx.
func TestAQuietWatcherShowsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Interval = time.Hour
		h.applied()
		for range 10 { // a request or a check of the membership may fall into any one minute
			h.pass(time.Minute)
			before, looks := h.shows.Load(), len(h.chmpx.lookedAt())
			h.pass(30 * time.Second)
			if h.shows.Load() == before && len(h.chmpx.lookedAt()) >= looks+14 {
				return
			}
		}
		t.Error("it shows something all the time")
	})
}

func TestServersThatAreDown(t *testing.T) {
	for _, c := range []struct {
		down, all int
		want      string
	}{
		{1, 3, "s0 is down"}, {2, 3, "s0, s1 are down"}, {5, 9, "s0, s1, s2 and 2 more servers are down"}, {3, 3, "all 3 servers are down"}, {1, 1, "s0 is down"},
	} {
		var st daemon.Status
		for i := range c.all {
			state := "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"
			if i < c.down {
				state = "[SERVICE IN][DOWN][n/a][Nothing][NoSuspend]"
			}
			st.Servers = append(st.Servers, daemon.Node{Name: fmt.Sprint("s", i), CtlPort: 1 + i, State: state})
		}
		var n nodes
		n.see(nil, &st, new(healing))
		if got := n.downInWords(); got != c.want {
			t.Errorf("%d of %d: %s", c.down, c.all, got)
		}
	}
}

// docs/status.md has each condition with what the code makes of it, and a heading that alerts lead
// to.
func TestConditionsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	seconds := func(d time.Duration) string { return fmt.Sprint(int(d.Seconds()), " s") }
	for _, r := range rules {
		row := fmt.Sprintf("\n| [`%[1]s`](#%[1]s) | %s | %s | %s | %s |\n", r.code, r.severity, seconds(r.lasts), r.severityWithoutFile, seconds(r.lastsWithoutFile))
		if !strings.Contains(doc, row) {
			t.Errorf("docs/status.md lacks the row %s", row)
		}
	}
	for _, line := range strings.Split(doc, "\n") {
		code, ok := strings.CutPrefix(line, "| [`")
		if !ok {
			continue
		}
		code, _, _ = strings.Cut(code, "`")
		_, about, ok := strings.Cut(doc, "\n### "+code+"\n")
		about, _, _ = strings.Cut(about, "\n### ")
		if !ok || !strings.Contains(about, "**Cause.**") || !strings.Contains(about, "**Remedy.**") {
			t.Errorf("docs/status.md has no heading %s with cause and remedy", code)
		}
	}
}

// BenchmarkShow is what each turn of the loop costs while nothing changes but the look at chmpx.
func BenchmarkShow(b *testing.B) {
	for _, servers := range []int{3, 1000} {
		b.Run(fmt.Sprint(servers, " servers"), func(b *testing.B) {
			w := &Watcher{Config: Config{Confirm: 30 * time.Second}, Chmpx: &fakeChmpx{}, Changed: func(Status) {}, Log: slog.New(slog.DiscardHandler)}
			l := w.newLoop(b.Context(), false)
			config := &chmpx.Config{FileVersion: 1}
			var st daemon.Status
			for i := range servers {
				config.Servers = append(config.Servers, chmpx.Node{Name: serverName(i), CUK: serverCUK(i), CtlPort: 8021})
				st.Servers = append(st.Servers, daemon.Node{Name: serverName(i), CUK: serverCUK(i), CtlPort: 8021, State: "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"})
			}
			st.Revision = 1
			l.output.file = inPlace{config: config, good: true, sum: "x"}
			b.ReportAllocs()
			for b.Loop() {
				next := st
				l.probe.result(probed{status: next}, false)
				l.confirmation.confirmed(time.Time{})
				l.show()
			}
			if s := l.shown; s.conditions() != "" || len(s.Nodes.Items()) != servers {
				b.Errorf("%s: %d servers", s.conditions(), len(s.Nodes.Items()))
			}
		})
	}
}

// follow starts the next watcher, as a change of the configuration does.
func (h *host) follow() {
	h.stop()
	before := h.latest().Health
	h.before = &before
	h.start()
}

// What is wrong is so since it began, whether the configuration has changed meanwhile or not; what
// is well again after that is seen as soon as it is looked at.
func TestConditionsOutliveAChangeOfTheConfiguration(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.pass(5 * time.Second)
		healthy := h.latest().Health.Since
		h.pass(time.Minute)
		h.follow()
		h.wants(Healthy, "")
		if since := h.latest().Health.Since; !since.Equal(healthy) {
			t.Errorf("healthy since %v, want %v", since, healthy)
		}

		every(refused(syscall.ECONNREFUSED))(h)
		h.askNow()
		h.chmpx.setRing(1, 2)
		h.pass(40 * time.Second)
		h.wants(Healthy, "(k2hr3_unreachable) (ring_differs)")
		h.follow() // pending ones go on
		h.wants(Healthy, "(k2hr3_unreachable) (ring_differs)")
		h.pass(30 * time.Second)
		h.wants(Degraded, "k2hr3_unreachable ring_differs")
		bad := h.latest().Health
		h.follow()
		h.wants(Degraded, "k2hr3_unreachable ring_differs")
		h.pass(time.Minute)
		if now := h.latest().Health; !now.Since.Equal(bad.Since) {
			t.Errorf("degraded since %v, want %v", now.Since, bad.Since)
		}

		h.stop()
		unmeddled(h)
		h.chmpx.setRing(1)
		h.follow()
		h.pass(settles + 2*time.Second)
		h.wants(Healthy, "")
	})
}
