package watcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/render"
)

// Refusal is the error for a text that is not put in place.
type Refusal struct {
	Report chmpx.Report
	// Reason says in a sentence what is wrong.
	Reason string
	// Parked: the text waits for chmpx to be down, and is put in place then.
	Parked bool
}

func (r *Refusal) Error() string { return r.Reason }

// explained says of a *Refusal what it means, for who started a pass by hand.
func explained(err error) error {
	if _, refused := errors.AsType[*Refusal](err); refused {
		return fmt.Errorf("RESOURCE not applied: %w", err)
	}
	return err
}

// candidate is a text on its way to the file.
type candidate struct {
	bytes   []byte
	report  chmpx.Report
	digest  string
	changes string // in words
	same    bool   // nothing chmpx compares differs from a good file in place
	again   bool   // it is the text in place, which is to be there before chmpx has loaded another
}

// candidate judges a text, as the given revision and beside the chmpx that runs,
// and compares it with the file in place. The error is a *Refusal.
func (w *Watcher) candidate(ctx context.Context, text string, now inPlace, revision int, running *chmpx.Running) (candidate, error) {
	c := candidate{bytes: render.Bytes(text, w.values(revision)), digest: sum([]byte(text))}
	c.report = w.Judge.Judge(ctx, c.bytes, running)
	if err := w.refuse(c.report); err != nil {
		return c, err
	}
	if now.config == nil {
		c.changes = "first file"
		return c, nil
	}
	compare := chmpx.Changes
	if w.Stamp {
		compare = chmpx.ChangesBesidesVersion
	}
	changes := compare(now.config, c.report.Config)
	c.same = len(changes) == 0 && now.good
	c.changes = inWords(changes)
	return c, nil
}

// values are those that a text gets as a revision.
func (w *Watcher) values(revision int) render.Values {
	v := render.Values{InstanceID: w.InstanceID}
	if w.Stamp {
		v.Revision = revision
	}
	if w.Pod {
		v.Pod = w.wall()
	}
	return v
}

// maxChanges bounds a log line; a cluster that is built anew changes in every
// node.
const maxChanges = 20

func inWords(changes []string) string {
	if len(changes) == 0 {
		return "chmpx could not use the previous slave.ini"
	}
	if more := len(changes) - maxChanges; more > 0 {
		changes = append(slices.Clone(changes[:maxChanges]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(changes, "; ")
}

// refuse returns why a judged text must not be put in place, or nil.
func (w *Watcher) refuse(r chmpx.Report) error {
	if r.Only(chmpx.RuleNoServer) { // it would do, but for a cluster that has no server yet
		return &Refusal{Report: r, Reason: "it lists no server nodes yet; waiting for the first"}
	}
	if r.Verdict != chmpx.Accept {
		return &Refusal{Report: r, Reason: r.Verdict.String() + ": " + r.Why()}
	}
	if f, ok := r.Leftover(); ok {
		return &Refusal{Report: r, Reason: f.InWords()}
	}
	if n := len(r.Config.Servers); n < w.MinServers {
		return &Refusal{Report: r, Reason: fmt.Sprintf("it lists %d server nodes, fewer than min-servers (%d)", n, w.MinServers)}
	}
	return nil
}
