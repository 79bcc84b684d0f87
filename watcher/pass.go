package watcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// current is the file that is in place.
type current struct {
	bytes []byte
	sum   string
	// config is nil while there is no file that chmpx could load.
	config *chmpx.Config
	// good: the file was accepted, and is worth being put back.
	good bool
	// origin tells the texts of K2HR3 apart, whatever revision they got.
	origin string
}

// Refusal is the error for a text that is not put in place.
type Refusal struct {
	Report chmpx.Report
	// Reason says in a sentence what is wrong.
	Reason string
}

func (r *Refusal) Error() string {
	return "the RESOURCE is not put in place: " + r.Reason
}

// recover finds out what is in place, and what is remembered of it.
func (w *Watcher) recover(ctx context.Context) {
	s, err := loadState(w.StateFile)
	if err != nil {
		w.Log.Warn("what was remembered cannot be used; K2HR3 is asked for the whole text", "error", err)
	}
	w.revision = s.Revision
	w.standing.known = s.Known
	w.telling.unstarted = s.Unstarted
	w.etag = ""
	if err := w.adopt(ctx); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.Log.Warn("the file in place cannot be read", "error", err)
		}
		return
	}
	if w.current.good && s.Sum == w.current.sum && s.Origin == w.Origin {
		w.etag = s.ETag
	}
}

// adopt takes the file in place for the current one.
func (w *Watcher) adopt(ctx context.Context) error {
	w.current = current{}
	b, err := w.File.Read()
	if err != nil {
		return err
	}
	report := w.Judge(ctx, b, nil)
	w.current = current{bytes: b, sum: sum(b), config: report.Config, good: report.Verdict == chmpx.Accept}
	if report.Config != nil {
		w.revision = later(w.revision, report.Config.FileVersion)
	}
	return nil
}

// apply leads one answer of K2HR3 to the file, and reports whether the file
// was replaced. Whatever goes wrong, the file in place stays as it is.
func (w *Watcher) apply(ctx context.Context, a k2hr3.Answer) (replaced bool, err error) {
	c, err := w.candidate(ctx, a.Text)
	if err != nil {
		return false, err
	}
	if c.origin == w.looking.fatal {
		return false, &Refusal{c.report, "chmpx ended when it got it; the file before it is in place until K2HR3 has another text (a reload of the agent tries this one again)"}
	}
	if c.same {
		if w.etag != a.ETag {
			w.etag = a.ETag
			w.remember()
		}
		return false, nil
	}
	if err := w.replace(ctx, c); err != nil {
		return false, err
	}
	w.looking.tries = 0
	w.etag = a.ETag
	w.remember()
	w.Log.Info("slave.ini replaced", "file", w.File.Path, "revision", w.current.config.FileVersion,
		"servers", len(c.report.Config.Servers), "slaves", len(c.report.Config.Slaves), "changes", c.changes)
	return true, nil
}

// candidate is a text on its way to the file.
type candidate struct {
	bytes   []byte
	report  chmpx.Report
	origin  string
	changes string // in words
	same    bool   // nothing chmpx compares differs from a good file in place
}

// candidate judges a text and compares it with the file in place.
func (w *Watcher) candidate(ctx context.Context, text string) (candidate, error) {
	v := render.Values{InstanceID: w.InstanceID}
	if w.Stamp {
		v.Revision = w.nextRevision()
	}
	c := candidate{bytes: render.Bytes(text, v), origin: sum([]byte(text))}
	c.report = w.Judge(ctx, c.bytes, w.looking.running(w.current.config))
	if err := w.refuse(c.report); err != nil {
		return c, err
	}
	if w.current.config == nil {
		c.changes = "first file"
		return c, nil
	}
	compare := chmpx.Changes
	if w.Stamp {
		compare = chmpx.ChangesBesidesVersion
	}
	changes := compare(w.current.config, c.report.Config)
	c.same = len(changes) == 0 && w.current.good
	c.changes = inWords(changes)
	return c, nil
}

// maxChanges bounds a log line; a cluster that is built anew changes in every
// node.
const maxChanges = 20

func inWords(changes []chmpx.Change) string {
	if len(changes) == 0 {
		return "the file in place was not fit for chmpx"
	}
	var words []string
	for i, c := range changes {
		if i == maxChanges {
			words = append(words, fmt.Sprintf("and %d more", len(changes)-i))
			break
		}
		words = append(words, c.String())
	}
	return strings.Join(words, "; ")
}

// refuse returns why a judged text must not be put in place, or nil.
func (w *Watcher) refuse(r chmpx.Report) error {
	if onlyNoServer(r) {
		return &Refusal{r, "it lists no server node yet; waiting for the first one"}
	}
	if r.Verdict != chmpx.Accept {
		return &Refusal{r, r.Verdict.String() + ": " + worst(r)}
	}
	if n := len(r.Config.Servers); n < w.MinServers {
		return &Refusal{r, fmt.Sprintf("it lists %d server nodes, fewer than min-servers (%d)", n, w.MinServers)}
	}
	return nil
}

// onlyNoServer: the text would do, but for a cluster that has no server yet.
func onlyNoServer(r chmpx.Report) bool {
	return r.Has(chmpx.RuleNoServer) && !slices.ContainsFunc(r.Findings, func(f chmpx.Finding) bool {
		return f.Verdict != chmpx.Accept && f.Rule != chmpx.RuleNoServer
	})
}

// worst returns the findings that made the verdict, the first few of them.
func worst(r chmpx.Report) string {
	const most = 3
	var texts []string
	for _, f := range r.Findings {
		if f.Verdict != r.Verdict {
			break
		}
		if len(texts) == most {
			texts = append(texts, "and more")
			break
		}
		texts = append(texts, fmt.Sprintf("line %d: %s", f.Line, f.Text))
	}
	return strings.Join(texts, "; ")
}

// nextRevision differs from every one that chmpx may know.
func (w *Watcher) nextRevision() int {
	latest := w.revision
	if st := w.looking.last; st != nil {
		latest = later(latest, st.Revision)
	}
	return render.NextRevision(latest)
}

// later returns which of two revisions was given later. They start again at 1
// after the largest, so the one that is less than half a round ahead is it. What
// is no revision is earlier than any.
func later(a, b int) int {
	if a < 1 || b < 1 {
		return max(a, b)
	}
	ahead := b - a
	if ahead > render.MaxRevision/2 || ahead < 0 && ahead >= -render.MaxRevision/2 {
		return a
	}
	return b
}

// replace puts a judged candidate in place.
func (w *Watcher) replace(ctx context.Context, c candidate) error {
	staged, err := w.File.Stage(c.bytes)
	if err != nil {
		return err
	}
	defer staged.Discard()
	if w.SecondOpinion != nil {
		if err := w.SecondOpinion(ctx, staged.Path()); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			return &Refusal{c.report, err.Error()}
		}
	}
	first := !w.current.good
	if first && !w.telling.unstarted {
		// Before the file is there: between the two the agent may end.
		w.telling.unstarted = true
		w.remember()
	}
	old, _ := daemon.InodeOf(w.File.Path)
	if err := staged.Commit(); errors.Is(err, render.ErrNotDurable) {
		w.Log.Warn("the disk may be failing", "error", err)
	} else if err != nil {
		return err
	}
	w.revision = c.report.Config.FileVersion
	w.current = current{bytes: c.bytes, sum: sum(c.bytes), config: c.report.Config, good: true, origin: c.origin}
	w.looking.replaced = old
	w.tell(ctx, first)
	return nil
}

// again puts the current file in place once more, under the next revision.
func (w *Watcher) again(ctx context.Context) error {
	c, err := w.candidate(ctx, string(w.current.bytes))
	if err != nil {
		return err
	}
	if err := w.replace(ctx, c); err != nil {
		return err
	}
	w.remember()
	return nil
}

// remember saves what is worth knowing after a restart.
func (w *Watcher) remember() {
	s := state{Origin: w.Origin, ETag: w.etag, Revision: w.revision, Sum: w.current.sum, Known: w.standing.known, Unstarted: w.telling.unstarted}
	if err := s.save(w.StateFile); err != nil {
		w.Log.Warn("cannot remember what was applied; a restart will ask for the whole text", "error", w.explain(err))
	}
}

// explain adds to an error what whoever runs the agent has to say.
func (w *Watcher) explain(err error) error {
	if w.Explain == nil {
		return err
	}
	return w.Explain(err)
}

// complain logs a trouble that may last.
func (w *Watcher) complain(n *nag, what string, err error) {
	n.err = err
	w.Log.Log(context.Background(), n.level(kind(err), slog.LevelWarn), what, "error", err)
}

// kind is what is the same in an error each time it comes up; the text of a
// network error has a port number in it that is not.
func kind(err error) string {
	var e *k2hr3.Error
	if errors.As(err, &e) {
		return fmt.Sprint(e.Op, e.Status, e.Kind)
	}
	return err.Error()
}
