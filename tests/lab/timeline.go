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

// say prints a line that is not of the timeline.
func (t *timeline) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// line is something that happened.
func (t *timeline) line(who, format string, args ...any) {
	t.say("%7.3f  %-6s %s", time.Since(t.start).Seconds(), who, fmt.Sprintf(format, args...))
}

// head begins a step.
func (t *timeline) head(format string, args ...any) {
	t.say("\n--- %s", fmt.Sprintf(format, args...))
}

// right is a step that came out as it should.
func (t *timeline) right(format string, args ...any) {
	t.line("  ok", format, args...)
}

// request is one request at K2HR3, as it is answered.
func (t *timeline) request(r fakek2hr3.Request) {
	held := ""
	if r.Held > 100*time.Millisecond {
		held = fmt.Sprintf(", held for %.1f s", r.Held.Seconds())
	}
	t.line("K2HR3", "%s: %s%s", asked(r), answered(r), held)
}

// asked is what the agent wants with a request.
func asked(r fakek2hr3.Request) string {
	switch r.Op {
	case fakek2hr3.OpProbe:
		return "is this host a member? (HEAD)"
	case fakek2hr3.OpRegister:
		return "register this host (PUT)"
	case fakek2hr3.OpResource:
		return "read the RESOURCE (GET)"
	case fakek2hr3.OpLeave:
		return "take this host out (DELETE)"
	}
	return r.Method + " " + r.Path
}

func answered(r fakek2hr3.Request) string {
	switch r.Status {
	case 0:
		if len(r.Fault) > 0 {
			return "no answer"
		}
		return "given up by the agent"
	case 304:
		return "304, unchanged"
	}
	return fmt.Sprint(r.Status)
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
