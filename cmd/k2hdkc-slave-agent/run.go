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

// run is the daemon. load reads the options anew.
func (p *program) run(ctx context.Context, o *options.Options, load func() (*options.Options, error)) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	folders := service.NewFolders(o.AntpickaxDir, daemon.MemoryDir, filepath.Dir(o.Output))
	defer folders.Stop()
	d := lifecycle.Daemon{
		Load: load, Prepare: p.prepare, Logger: p.logger,
		Started: func(r lifecycle.Round) {
			go reportHelper(ctx, r.Options, r.Log)
			r.Log.Info("started", "version", versionName(), "role", r.Options.Role.String(), "api", r.Options.APIURI.String(), "output", r.Options.Output)
		},
		Manager: service.NewManager(), Folders: folders, Hangup: hangup,
	}
	return d.Run(ctx, o)
}

// prepare makes a round of the daemon.
func (p *program) prepare(o *options.Options) (lifecycle.Round, error) {
	log := p.logger(o)
	if err := prepareDirs(o); err != nil {
		return lifecycle.Round{}, err
	}
	p.tidy(o, log)
	w, err := newWatcher(o, log)
	if err != nil {
		return lifecycle.Round{}, err
	}
	return lifecycle.Round{Options: o, Watcher: w, Log: log}, w.File.Check()
}
