package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/realagent"
)

func committed(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(realagent.Root(), "tests", "BENCHMARKS.md"))
	fatal.If(t, err)
	return string(b)
}

// firstCells are those of all rows of all tables.
func firstCells(text string) (cells []string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "| "); ok {
			cell, _, _ := strings.Cut(rest, " | ")
			cells = append(cells, cell)
		}
	}
	return cells
}

// What is committed has the words and the rows that the command writes.
func TestDocumentIsOfThisCommand(t *testing.T) {
	text := committed(t)
	for _, node := range newPage().Root.Nodes {
		if words, ok := node.(*parse.TextNode); ok && !strings.Contains(text, string(words.Text)) {
			t.Errorf("tests/BENCHMARKS.md lacks these words; write it by: go run ./tests/bench -update\n%s", words)
		}
	}
	now, err := document(measured{})
	fatal.If(t, err)
	if got, want := firstCells(text), firstCells(now); !slices.Equal(got, want) {
		t.Errorf("tests/BENCHMARKS.md has other rows; write it by: go run ./tests/bench -update\n%q\nwant\n%q", got, want)
	}
}

// What is not measured is no bound kept.
func TestWhatIsNotMeasuredHoldsNoBound(t *testing.T) {
	if text := (measured{}).boundTable(); strings.Contains(text, "yes") {
		t.Errorf("nothing was measured:\n%s", text)
	}
}

// The agent asks K2HR3 at most 40 % of what the timer asks that finds a new server as soon: five
// seconds are more than the agent needs. Where all slaves of a large cluster ask, it asks less than
// that of the timer that runs each minute, too.
func TestTheAgentAsksLessThanTheTimer(t *testing.T) {
	const minutely, asFresh = 60, 3600 / 5
	for _, tt := range []struct {
		slaves int
		hold   time.Duration
		timer  float64
	}{
		{1, 0, asFresh}, {fewSlaves, 0, asFresh}, {fewSlaves, time.Minute, asFresh},
		{manySlaves, 0, minutely}, {1000, 0, minutely},
	} {
		n := anHour(tt.slaves, tt.hold)
		t.Logf("%d slaves, held for %v: %.1f an hour", tt.slaves, tt.hold, n)
		if n > .4*tt.timer {
			t.Errorf("%d slaves, held for %v: %.1f requests an hour, the timer %.0f", tt.slaves, tt.hold, n, tt.timer)
		}
	}
}

func TestParse(t *testing.T) {
	r := results{}
	r.parse("goos: linux\nBenchmarkRest/agent-held-2  \t  10\t1000295144 ns/op\t  74.32 cpu-ms/min\t 1 requests/min\nPASS\n")
	if m := (measured{results: r}); m.cpu(agentHeld) != 74.32 || known(m.cpu(confd)) {
		t.Errorf("%v", r)
	}
}
