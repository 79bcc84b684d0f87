package watcher

import (
	"strings"
	"time"
)

const (
	// maxHistory is how many replacements of the file are remembered, and maxWords bounds what is
	// said of each, in bytes.
	maxHistory = 10
	maxWords   = 1000
)

// Change is one replacement of the file.
type Change struct {
	At       time.Time `json:"at"`
	Revision int       `json:"revision"`
	Words    string    `json:"words"` // what has changed, or why the same text was put in place
}

// history is what was done to the file lately, the latest first. It outlives the agent in
// state.json.
type history struct{ changes List[Change] }

// recall sets what was saved before the agent was started.
func (h *history) recall(changes []Change) {
	h.changes = ListOf(changes[:min(len(changes), maxHistory)]...)
}

// add takes note of a replacement.
func (h *history) add(now time.Time, revision int, words string) {
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + " …"
	}
	next := append([]Change{{now.Round(0), revision, words}}, h.changes.Items()...)
	h.recall(next)
}

// replacedAt is when the file got its revision; zero if that is not known.
func (h *history) replacedAt(revision int) time.Time {
	if changes := h.changes.Items(); len(changes) > 0 && changes[0].Revision == revision {
		return changes[0].At
	}
	return time.Time{}
}
