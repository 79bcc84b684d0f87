package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/conftest"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/host"
)

// check says what chmpx would do with a file.
func (p *program) check(ctx context.Context, o *options.Options) error {
	b, err := p.checked(ctx, o)
	if err != nil {
		return err
	}
	report := p.judged(ctx, o, b)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Fprintln(p.stdout, report.Verdict)
	for _, f := range report.Findings {
		fmt.Fprintln(p.stdout, f)
	}
	if report.Verdict != chmpx.Accept {
		return errSaid
	}
	return nil
}

// judged judges a file with all that can be learnt on this host: from the chmpx
// that runs, and from chmpxconftest. Both are asked with files in a folder of
// their own. The agent that runs has its own probe file, and a reader of the
// file in place would hold up chmpx's reload of the next one.
func (p *program) judged(ctx context.Context, o *options.Options, b []byte) chmpx.Report {
	judge := new(host.Local).Judge
	dir, err := os.MkdirTemp("", options.Program+"-")
	if err != nil {
		p.note("chmpx's own programs are not asked: %v", err)
		return judge(ctx, b, nil)
	}
	defer os.RemoveAll(dir)
	report := judge(ctx, b, p.running(ctx, o, b, dir))
	p.weigh(ctx, o, b, dir, &report)
	return report
}

// weigh adds the opinion of chmpxconftest to a report.
func (p *program) weigh(ctx context.Context, o *options.Options, b []byte, dir string, r *chmpx.Report) {
	if o.CheckCommand == "" {
		return
	}
	path := filepath.Join(dir, "slave.ini")
	err := os.WriteFile(path, b, 0o600)
	if err == nil {
		err = conftest.Checker{Command: o.CheckCommand}.Check(ctx, path)
	}
	var refused *conftest.RefusedError
	switch {
	case err == nil:
		r.Weigh(filepath.Base(o.CheckCommand), "")
	case errors.As(err, &refused):
		r.Weigh(refused.Program, refused.Said)
	case !errors.Is(err, conftest.ErrNotInstalled):
		p.note("chmpxconftest gives no verdict: %v", err)
	}
}

// running is the chmpx that the file in place is for, or the one that b is for,
// nil if neither runs or can be looked at.
func (p *program) running(ctx context.Context, o *options.Options, b []byte, dir string) *chmpx.Running {
	if o.StatusCommand == "" {
		return nil
	}
	prober := daemon.Prober{Command: o.StatusCommand, Dir: dir}
	var inPlace *chmpx.Config
	if now, err := readOutput(o.Output); err == nil {
		inPlace, _ = chmpx.Load(now, nil)
	}
	given, _ := chmpx.Load(b, nil)
	for _, c := range []*chmpx.Config{inPlace, given} {
		if c == nil {
			continue
		}
		st, err := prober.Status(ctx, c.Group, max(c.SelfCtlPort, 0))
		switch {
		case err == nil && inPlace != nil && st.Revision == inPlace.FileVersion:
			return watcher.Running(st, inPlace)
		case err == nil:
			return watcher.Running(st, nil)
		case !errors.Is(err, daemon.ErrNotRunning) && !errors.Is(err, daemon.ErrNotInstalled):
			p.note("cannot look at the running chmpx, so this is about a fresh start alone: %v", err)
			return nil
		}
	}
	return nil
}

// checked reads the file to check: the one named, standard input, or the
// output file.
func (p *program) checked(ctx context.Context, o *options.Options) ([]byte, error) {
	path := o.Output
	if len(o.Args) > 0 {
		path = o.Args[0]
	}
	if path == "-" {
		p.unlimited()
		defer p.limited("check")
		return p.readInput(ctx)
	}
	b, err := regularfile.Read(path, render.MaxFile)
	if errors.Is(err, regularfile.ErrNotRegular) {
		err = fmt.Errorf("%w; use - to check what another program writes", err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot check: %w", err)
	}
	return b, nil
}

// readInput reads standard input to its end, or until ctx ends.
func (p *program) readInput(ctx context.Context) ([]byte, error) {
	type input struct {
		b   []byte
		err error
	}
	read := make(chan input, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(p.stdin, render.MaxFile+1))
		read <- input{b, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case in := <-read:
		if in.err == nil && len(in.b) > render.MaxFile {
			in.err = fmt.Errorf("it has more than %d bytes", render.MaxFile)
		}
		if in.err != nil {
			return nil, fmt.Errorf("cannot check standard input: %w", in.err)
		}
		return in.b, nil
	}
}
