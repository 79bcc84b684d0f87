package metrics

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

var update = flag.Bool("update", false, "write testdata anew")

// counted are metrics with something in all of them.
func counted() *Metrics {
	m := New("1.2.3", "go1.26", func() int64 { return 4 })
	m.Asked(k2hr3.Asked{Outcome: k2hr3.OutcomeOK, Took: 40 * time.Millisecond})
	m.Asked(k2hr3.Asked{Outcome: k2hr3.OutcomeOK, Took: 14 * time.Second})
	m.Asked(k2hr3.Asked{Outcome: k2hr3.OutcomeNotModified}) // it was held
	m.Asked(k2hr3.Asked{Outcome: k2hr3.OutcomeNoAnswer})
	m.Refused("reject")
	m.Refused("what nobody knows")
	m.Replaced()
	m.Replaced()
	m.Restarted()
	m.Confirmed(1500 * time.Millisecond)
	m.Show(status.Document{
		Health: status.Degraded,
		Conditions: []status.Condition{
			{Code: "server_down", Status: status.Active},
			{Code: "ring_differs", Status: status.Pending},
			{Code: "chmpx_down", Status: status.Over},
			{Code: "chmpx_down", Status: status.Active},
		},
		Identity:   status.Identity{Role: "yrn:yahoo:::tenant:role:cluster/slave", CUK: `a"b\c`},
		Membership: status.Membership{State: "member"},
		K2HR3:      status.K2HR3{LastOK: time.UnixMilli(1_700_000_000_250)},
		File:       status.File{Present: true, Revision: 18},
		Chmpx:      status.Chmpx{Seen: true, Running: true, Revision: 17},
		Servers: []status.Server{
			{RingState: "up"}, {RingState: "up"}, {RingState: "down"}, {RingState: ""},
			{RingState: "up, joining (waits)"}, {RingState: "up, leaving"}, {RingState: "up, out of the ring"},
			{RingState: "up, no program serves"}, {RingState: "down, leaving (copies)"},
		},
	})
	return m
}

func TestText(t *testing.T) {
	const golden = "testdata/full.prom"
	got := counted().Text()
	if *update {
		fatal.If(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	fatal.If(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// An agent that has just begun knows little, and makes up nothing.
func TestTextOfTheFirstMoment(t *testing.T) {
	text := string(New("1.2.3", "go1.26", func() int64 { return 0 }).Text())
	for _, absent := range []string{"healthy", "member", "timestamp", "revision", "servers", "_info{role"} {
		if strings.Contains(text, absent) {
			t.Errorf("%s is there without a status:\n%s", absent, text)
		}
	}
	for _, zero := range []string{
		`k2hdkc_slave_k2hr3_requests_total{outcome="no_answer"} 0`, `k2hdkc_slave_refused_total{verdict="dangerous"} 0`,
		"k2hdkc_slave_replacements_total 0", "k2hdkc_slave_k2hr3_request_seconds_count 0", "k2hdkc_slave_log_dropped_total 0",
	} {
		if !strings.Contains(text, zero+"\n") {
			t.Errorf("%s is missing:\n%s", zero, text)
		}
	}

	m := counted()
	m.Show(status.Document{Health: status.Failed, Chmpx: status.Chmpx{Seen: true, Revision: 5}, Membership: status.Membership{State: "unconfirmed"}})
	text = string(m.Text())
	for _, want := range []string{"k2hdkc_slave_healthy 0\n", "k2hdkc_slave_member 0\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	for _, absent := range []string{"applied_revision", "confirmed_revision", "timestamp"} {
		if strings.Contains(text, absent) {
			t.Errorf("%s is there:\n%s", absent, text)
		}
	}
}

func TestEverySampleIsExplainedOnce(t *testing.T) {
	text := string(counted().Text())
	for _, f := range Families() {
		if n := strings.Count(text, "# TYPE "+prefix+f.Name+" "+f.Type+"\n"); n != 1 {
			t.Errorf("%s is explained %d times", f.Name, n)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, prefix) {
			t.Errorf("no metric of the agent's: %s", line)
		}
	}
}

func TestPromtoolHasNothingToSay(t *testing.T) {
	need.Programs(t, "promtool")
	for name, m := range map[string]*Metrics{"full": counted(), "new": New("1", "go", func() int64 { return 0 })} {
		cmd := exec.Command("promtool", "check", "metrics")
		cmd.Stdin = bytes.NewReader(m.Text())
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
