package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

// once is one pass of what run does.
func (p *program) once(ctx context.Context, o *options.Options) error {
	log := p.logger(o)
	if o.Switches["register"] {
		return p.onceRegister(ctx, o, log)
	}
	if !o.Switches["dry-run"] {
		if err := p.identify(o, log); err != nil {
			return err
		}
	}
	w, m, err := p.newWatcher(o, log)
	if err != nil {
		return err
	}
	defer m.Close()
	if o.Switches["dry-run"] {
		m.Guard = nil // which changes modes
		next, err := w.Preview(ctx)
		if err != nil {
			return err
		}
		return p.printDiff(o.Output, next)
	}
	if err := prepareDirs(o); err != nil {
		return err
	}
	p.tidy(o, log)
	return w.Once(ctx)
}

// onceRegister goes on until this host is a member and the first good file is in place. chmpx
// need not run yet: in a pod it waits for the end of this.
func (p *program) onceRegister(ctx context.Context, o *options.Options, log *slog.Logger) error {
	if err := prepareDirs(o); err != nil {
		return err
	}
	if err := p.identify(o, log); err != nil {
		return err
	}
	os.Remove(leftFile(o))
	w, m, err := p.newWatcher(o, log)
	if err != nil {
		return err
	}
	defer m.Close()
	p.tidy(o, log)
	if o.InPod() {
		if err := o.TellPod(); err != nil {
			return err
		}
	}
	w.Confirm = 0
	log.Info("registering this host and waiting for the first good slave.ini", "role", o.Role.String(), "api", o.APIURI.String(),
		"flavour", string(o.Flavour), "flavour by", o.Source("flavour").String(), "output", o.Output)
	return w.Join(ctx)
}

// printDiff prints what would change in the file at path; nothing if nothing
// would.
func (p *program) printDiff(path string, next []byte) error {
	now, err := readOutput(path)
	if err != nil || next == nil {
		return err
	}
	_, err = fmt.Fprint(p.stdout, unifiedDiff(path, path+" (new)", string(now), string(next)))
	return err
}

// readOutput reads the file in place; one that is not there is empty.
func readOutput(path string) ([]byte, error) {
	b, err := regularfile.Read(path, render.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
