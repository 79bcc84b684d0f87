package chmpx

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

// Work is counted in allocations, which do not depend on what else the machine
// does. A file of a few lines may stand for 32768 servers, which take two each;
// an expression takes 100, in the fewest bytes.
const (
	mostWork        = 200_000
	mostWorkPerByte = 10
)

// FuzzJudge: whatever a good file is turned into, judging it does not panic, its
// work is bounded, and what it says holds together.
func FuzzJudge(f *testing.F) {
	stock, err := os.ReadFile("testdata/stock.ini")
	fatal.If(f, err)
	f.Add(stock)
	f.Add([]byte(cluster))
	for _, c := range readCases(f) {
		f.Add([]byte(c.text))
	}
	before, _ := Load([]byte(cluster), shopPaths)
	host := shop()
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Report
		work := testing.AllocsPerRun(1, func() {
			r = Judge(context.Background(), b, host, &Running{Config: before, MaxChmpx: 8})
		})
		if work > mostWork+mostWorkPerByte*float64(len(b)) {
			t.Fatalf("%.0f allocations for %d bytes", work, len(b))
		}
		checkReport(t, b, r)
	})
}

func checkReport(t *testing.T, b []byte, r Report) {
	lines := strings.Count(string(b), "\n") + 1
	worst := Accept
	for _, f := range r.Findings {
		worst = max(worst, f.Verdict)
		if f.Line < 0 || f.Line > lines {
			t.Fatalf("finding in line %d of %d: %v", f.Line, lines, f)
		}
		if f.Rule == "" || f.Text == "" || strings.ContainsAny(f.Text, "\n\x00") || len(f.Text) > 1000 {
			t.Fatalf("finding without rule or fit text: %+v", f)
		}
	}
	if worst != r.Verdict {
		t.Fatalf("verdict %v, worst finding %v", r.Verdict, worst)
	}
	loaded, _ := Load(b, shopPaths)
	switch {
	case r.Config == nil && r.Verdict != Reject:
		t.Fatalf("verdict %v without a configuration", r.Verdict)
	case r.Config != nil && loaded == nil:
		t.Fatal("judged, but does not load")
	case r.Config == nil && r.Self != nil:
		t.Fatal("an own entry without a configuration")
	case r.Config == nil:
		return
	}
	if len(r.Config.Servers) == 0 || len(r.Config.Slaves) == 0 {
		t.Fatal("loaded without nodes")
	}
	loaded.Server = r.Config.Server // which takes the host to tell
	if c := Changes(r.Config, loaded); len(c) != 0 {
		t.Fatalf("the same text differs: %v", c)
	}
}

// TestLargeInputTakesLinearTime: four times the text, about four times the work.
func TestLargeInputTakesLinearTime(t *testing.T) {
	host := shop()
	host.Lookup = func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsNotFound: true} }
	for _, c := range []struct{ name, head, piece string }{
		{"nodes of one name", good, "[SVRNODE]\nNAME = a\nPORT = 1\nCTLPORT = 2\n"},
		{"patterns", good, "[SVRNODE]\nNAME = a[1-999999999]\nPORT = 1\n"},
		{"slaves by pattern", good, "[SLVNODE]\nNAME = [1-999999999]\nCTLPORT = 8031\n"},
		{"slaves by expression", strings.Replace(good, "10.20.0.31", "10.20.0.99", 1), "[SLVNODE]\nNAME = ((a{9}){9}){9}\nCTLPORT = 8031\n"},
		{"junk", good, "=\n'\n\\\n[x]\nk\n"},
		{"one long line", good, strings.Repeat("\"' \\#", 20)},
		{"sections", "", "[GLOBAL]\nGROUP = a\n[SLVNODE]\n"},
		{"a long list", strings.Replace(good, "PORT = 8020", "PORT = 8020\nENDPOINTS = a", 1)[:200], ",10.0.0.1:80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			work := func(n int) float64 {
				text := []byte(c.head + strings.Repeat(c.piece, n))
				return testing.AllocsPerRun(1, func() { Judge(context.Background(), text, host, nil) })
			}
			one, four := work(1000), work(4000)
			if four > 5*one+1000 {
				t.Errorf("%.0f allocations for 1000 pieces, %.0f for 4000", one, four)
			}
		})
	}
}

func TestFindingsAreNotRepeatedForEver(t *testing.T) {
	text := good + strings.Repeat("[SVRNODE]\nPORT = 1\n", 1000)
	r := Judge(context.Background(), []byte(text), shop(), nil)
	n := 0
	for _, f := range r.Findings {
		if f.Rule == RuleNodeNoName {
			n++
		}
	}
	if n != maxFindings || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.Text, "and 992 more") }) {
		t.Errorf("%d findings: %v", n, r.Findings)
	}
}
