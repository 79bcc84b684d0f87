package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/lifecycle"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
)

// run is the daemon. load reads the options again.
func (p *program) run(ctx context.Context, o *options.Options, load func() (*options.Options, error)) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	folders := service.NewFolders(o.AntpickaxDir, daemon.MemoryDir, filepath.Dir(o.Output))
	defer folders.Stop()
	d := lifecycle.Daemon{
		Load: load, Prepare: p.prepare, Logger: p.logger,
		Started: func(r lifecycle.Round) { started(ctx, r) },
		Manager: service.NewManager(), Folders: folders, Hangup: hangup,
	}
	return d.Run(ctx, o)
}

// started says what the daemon begins with.
func started(ctx context.Context, r lifecycle.Round) {
	o := r.Options
	r.Log.Info("started", "version", versionName(), "role", o.Role.String(), "api", o.APIURI.String(), "output", o.Output)
	if o.Unit == "" {
		return
	}
	go func() {
		unit := daemon.Unit{Name: o.Unit}
		if err := unit.CheckHelper(ctx, o.AntpickaxDir, o.Output); err != nil {
			r.Log.Warn("chmpx may run on another file than the one this agent keeps", "error", err)
		}
	}()
}

// prepare makes a round of the daemon.
func (p *program) prepare(o *options.Options) (lifecycle.Round, error) {
	log := p.logger(o)
	if err := prepareDirs(o); err != nil {
		return lifecycle.Round{}, err
	}
	p.tidy(o, log)
	w, m, err := p.newWatcher(o, log)
	if err != nil {
		return lifecycle.Round{}, err
	}
	return lifecycle.Round{Options: o, Watcher: w, Log: log, Close: m.Close}, w.File.Check()
}
