package doctor

import (
	"fmt"
	"io"
	"strings"
)

// idColumn is as wide as the longest id.
const idColumn = 12

// Write writes a result for people: a line, and two more where something is to be done.
func (r Result) Write(w io.Writer) {
	line := func(name, text string) { fmt.Fprintf(w, "%-8s %-*s  %s\n", "", idColumn, name, printable(text)) }
	fmt.Fprintf(w, "%-8s %-*s  %s\n", r.Status, idColumn, r.ID, printable(r.Message))
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
