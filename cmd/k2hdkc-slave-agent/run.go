package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/lifecycle"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
)

// run is the daemon. load reads the options again.
func (p *program) run(ctx context.Context, o *options.Options, load func() (*options.Options, error)) error {
	select { // one that came before the options were loaded wants no more than the start does
	case <-p.hangup:
	default:
	}
	exposer, err := p.startMetrics(o)
	if err != nil {
		return err
	}
	defer exposer.Close()
	defer keepSmall().Stop()
	manager := service.NewManager()
	defer flushManager(manager)
	folders := service.NewFolders(o.AntpickaxDir, daemon.MemoryDir, filepath.Dir(o.Output), textfileDir(o))
	defer folders.Stop()
	d := lifecycle.Daemon{
		Load: load, Prepare: p.prepare, Logger: p.logger,
		Started: func(r lifecycle.Round) { started(ctx, r) },
		Manager: manager, Folders: folders, Hangup: p.hangup,
		Version: versionName(), Shown: exposer.Metrics.Show,
	}
	stopping := p.logSignal(ctx)
	err = d.Run(ctx, o)
	if err == nil && ctx.Err() != nil {
		<-stopping
		p.out.log.Load().Info("stopped; slave.ini and chmpx stay as they are")
	}
	return err
}

// catchHangup has the daemon keep the signals that would end it by default, of a command line that
// is the daemon's: whoever reloads it may do so before it has begun to read its options.
func catchHangup(args []string) <-chan os.Signal {
	if len(args) < 2 || args[1] != "run" {
		return nil
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	// A log whose reader has ended is no reason to end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return hangup
}

// keepSmall keeps small what a program needs that works little and lives for years: it collects
// often, gives back what its start has used, and runs one thread at a time, as each more that it
// wakes costs more than the work it has.
func keepSmall() *time.Timer {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)
	return time.AfterFunc(startOver, debug.FreeOSMemory)
}

// startOver is when what the start needs is used up.
const startOver = 10 * time.Second

// logSignal logs the signal that ends ctx, and closes the channel then.
func (p *program) logSignal(ctx context.Context) (logged <-chan struct{}) {
	done := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(done)
		if log := p.out.log.Load(); log != nil {
			log.Info("stopping", "reason", context.Cause(ctx))
		}
	})
	return done
}

// flushManager gives the service manager a moment to take the last messages.
func flushManager(m *service.Manager) {
	ctx, cancel := context.WithTimeout(context.Background(), lastFlush)
	defer cancel()
	m.Flush(ctx)
}

// started says what the daemon begins with.
func started(ctx context.Context, r lifecycle.Round) {
	o := r.Options
	r.Log.Info("started", "version", versionName(), "role", o.Role.String(), "api", o.APIURI.String(), "output", o.Output,
		"flavour", string(o.Flavour), "flavour by", o.Source("flavour").String())
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
	if err := p.identify(o, log); err != nil {
		return lifecycle.Round{}, err
	}
	p.tidy(o, log)
	w, m, err := p.newWatcher(o, log)
	if err != nil {
		return lifecycle.Round{}, err
	}
	if err := w.File.Check(); err != nil {
		m.Close()
		return lifecycle.Round{}, err
	}
	p.moveMetrics(o, log)
	return lifecycle.Round{Options: o, Watcher: w, Log: log, Close: m.Close}, nil
}
