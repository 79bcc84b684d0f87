package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

// timeline prints who did what, and when.
type timeline struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newTimeline(out io.Writer) *timeline {
	return &timeline{out: out, start: time.Now()}
}

// line is something that happened.
func (t *timeline) line(who, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%7.3f  %-6s %s\n", time.Since(t.start).Seconds(), who, fmt.Sprintf(format, args...))
}

// request is one request at K2HR3, as it is answered.
func (t *timeline) request(r fakek2hr3.Request) {
	held := ""
	if r.Held > 100*time.Millisecond {
		held = fmt.Sprintf(", held for %.1f s", r.Held.Seconds())
	}
	what := map[fakek2hr3.Op]string{
		fakek2hr3.OpProbe: "is this host a member", fakek2hr3.OpRegister: "register this host",
		fakek2hr3.OpResource: "read the RESOURCE", fakek2hr3.OpLeave: "take this host out",
	}[r.Op]
	t.line("K2HR3", "%s (%s): %d%s", what, r.Method, r.Status, held)
}

// head begins a step.
func (t *timeline) head(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\n--- %s\n", fmt.Sprintf(format, args...))
}

// right is a step that came out as it should.
func (t *timeline) right(format string, args ...any) {
	t.line("  ok", format, args...)
}

// words is a record of the agent's log as a sentence.
func words(r realagent.Record) string {
	keys := make([]string, 0, len(r.Attrs))
	for k := range r.Attrs {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	if r.Level != "INFO" {
		b.WriteString(r.Level + " ")
	}
	b.WriteString(r.Message)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%s", k, r.Text(k))
	}
	return b.String()
}
