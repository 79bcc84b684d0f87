package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/conftest"
	"k2hdkc-slave-agent/cmd/options"
)

// secondOpinion returns what a watcher asks about a staged file: an error if
// chmpxconftest refuses it.
//
// No verdict is no refusal. By then the agent has accepted the file for itself,
// and what keeps chmpxconftest from an answer is most likely a name service
// that is down: that must not keep the servers that are left from chmpx.
func secondOpinion(c conftest.Checker, log *slog.Logger) func(ctx context.Context, path string) error {
	absent := false
	return func(ctx context.Context, path string) error {
		err := c.Check(ctx, path)
		wasAbsent := absent
		absent = errors.Is(err, conftest.ErrNotInstalled)
		var refused *conftest.RefusedError
		switch {
		case errors.As(err, &refused):
			return errors.New(disagreement(refused))
		case err == nil || ctx.Err() != nil:
			return err
		case !absent:
			log.Warn("no second opinion on the new file; the agent's own counts", "error", err)
		case !wasAbsent:
			log.Info("there is no second opinion on new files", "reason", err)
		}
		return nil
	}
}

// opinion is a second opinion on a staged file.
type opinion func(ctx context.Context, path string) error

// Check returns why the file at path is refused.
func (o opinion) Check(ctx context.Context, path string) error { return o(ctx, path) }

// ruleSecondOpinion is the rule of what chmpxconftest has to say.
const ruleSecondOpinion = "second-opinion"

// weigh adds the opinion of chmpxconftest to a report if the two disagree on
// whether the file loads. What it loads may be refused for much else, of which
// it knows nothing.
func (p *program) weigh(ctx context.Context, o *options.Options, b []byte, dir string, r *chmpx.Report) {
	if o.CheckCommand == "" {
		return
	}
	path := filepath.Join(dir, "slave.ini")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		p.remark("there is no second opinion", err)
		return
	}
	err := conftest.Checker{Command: o.CheckCommand}.Check(ctx, path)
	var refused *conftest.RefusedError
	finding := chmpx.Finding{Rule: ruleSecondOpinion}
	switch {
	case errors.As(err, &refused):
		if r.Verdict == chmpx.Reject {
			return
		}
		finding.Text = disagreement(refused)
		if r.Verdict == chmpx.Dangerous {
			finding.Text = refused.Error()
		}
		r.Verdict, finding.Verdict = chmpx.Reject, chmpx.Reject
		r.Findings = slices.Insert(r.Findings, 0, finding)
	case err == nil && r.Config == nil:
		finding.Text = filepath.Base(o.CheckCommand) + " loads it, which this agent does not: this is worth a bug report"
		r.Findings = append(r.Findings, finding)
	case err != nil && !errors.Is(err, conftest.ErrNotInstalled):
		p.remark("there is no second opinion", err)
	}
}

// disagreement tells of a file that the agent would give to chmpx.
func disagreement(refused *conftest.RefusedError) string {
	return fmt.Sprintf("%s refuses what this agent accepts: %s", refused.Program, refused.Said)
}
