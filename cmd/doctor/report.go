package doctor

import (
	"fmt"
	"io"
	"strings"

	"k2hdkc-slave-agent/cmd/prose"
)

// idColumn is as wide as the longest id.
const idColumn = 12

// textColumn is where the texts begin.
const textColumn = 8 + 1 + idColumn + 2

// Write writes a result for people: a line, and two more where something is to be done. They are
// broken where the terminal's width asks for it; 0: there is no terminal.
func (r Result) Write(w io.Writer, width int) {
	room := 0
	if width > 0 {
		room = max(width-textColumn, idColumn)
	}
	write := func(status Status, name, text string) {
		for _, part := range prose.Wrap(prose.Plain(text), room) {
			fmt.Fprintf(w, "%-8s %-*s  %s\n", status, idColumn, name, part)
			status, name = "", ""
		}
	}
	line := func(name, text string) { write("", name, text) }
	write(r.Status, r.ID, r.Message)
	if r.Status != Failed && r.Status != Warning {
		return
	}
	line("  looked at", r.LookedAt)
	if r.Remedy != "" {
		line("  do", r.Remedy)
	}
}

// Summary is the report in a sentence.
func (r Report) Summary() string {
	n := map[Status]int{}
	first := ""
	for _, c := range r.Checks {
		n[c.Status]++
		if c.Status == Failed && first == "" {
			first = c.ID
		}
	}
	var words []string
	for _, s := range []Status{Failed, Warning, OK, Skipped} {
		if n[s] > 0 {
			words = append(words, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	text := strings.Join(words, ", ")
	if first != "" {
		return text + "; begin with " + first
	}
	return "nothing has failed: " + text
}
