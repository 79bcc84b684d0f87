package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/watcher"
)

// quiet is how long the inputs must be left alone before a change of them is
// taken: whoever writes one often writes several.
const quiet = 300 * time.Millisecond

// run is the daemon. reload reads the options anew.
func (p *program) run(ctx context.Context, o *options.Options, reload func() (*options.Options, error)) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	r := runner{program: p, hup: hup, reload: reload}
	var err error
	if r.round, err = p.prepare(o); err != nil {
		return err
	}
	go reportHelper(ctx, o, r.log)
	r.log.Info("started", "version", versionName(), "role", o.Role, "api", o.APIURI.String(), "output", o.Output)
	for {
		again, err := r.watch(ctx)
		if err != nil || !again {
			tellSystemd(sddaemon.SdNotifyStopping)
			return err
		}
		r.log.Info("the configuration has changed and is used from now on")
	}
}

// runner is the daemon with the options it runs on.
type runner struct {
	*program
	hup    <-chan os.Signal
	reload func() (*options.Options, error)
	round
}

// round is a watcher with the options it was made from.
type round struct {
	options *options.Options
	watcher *watcher.Watcher
	log     *slog.Logger
}

// prepare makes a round, if everything can be made from the options.
func (p *program) prepare(o *options.Options) (round, error) {
	log := p.logger(o)
	if err := prepareDirs(o); err != nil {
		return round{}, err
	}
	w, err := newWatcher(o, log)
	if err != nil {
		return round{}, err
	}
	return round{o, w, log}, w.File.Check()
}

// watch runs the watcher until ctx ends, or until other options are to be
// used; then it returns true.
func (r *runner) watch(ctx context.Context) (again bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer r.watcher.Member.Client.Close()
	touched, err := watcher.Files(ctx, r.log, append(r.options.Inputs(), r.options.Output)...)
	if err != nil {
		return false, err
	}
	events := make(chan watcher.Event)
	done := make(chan error, 1)
	w := r.watcher
	w.Ready = func() { tellSystemd(sddaemon.SdNotifyReady) }
	go func() { done <- w.Run(ctx, events) }()
	still := time.NewTimer(time.Hour)
	still.Stop()

	var send chan<- watcher.Event
	var event watcher.Event
	for {
		select {
		case err := <-done:
			return again, err
		case send <- event:
			send = nil
		case path := <-touched:
			if path != r.options.Output {
				still.Reset(quiet)
				continue
			}
			if send == nil {
				send, event = events, watcher.OutputTouched
			}
		case <-still.C:
			again = r.refresh(stop) || again
			send, event = events, watcher.AskNow
		case <-r.hup:
			again = r.refresh(stop) || again
			send, event = events, watcher.AskNow
		}
	}
}

// tellSystemd tells systemd how the service is, where there is one that asks.
func tellSystemd(state string) { sddaemon.SdNotify(false, state) }

// refresh reads the options anew. If they have changed it ends the watcher, so
// that the next one uses them; options that are wrong change nothing.
func (r *runner) refresh(stop context.CancelFunc) bool {
	var next round
	o, err := r.reload()
	if err == nil {
		next, err = r.prepare(o)
	}
	if err != nil {
		r.log.Error("the configuration is wrong; the one before stays in use", "error", err)
		return false
	}
	if sameOptions(o, r.options) && reflect.DeepEqual(next.watcher.Config, r.watcher.Config) {
		return false
	}
	r.round = next
	stop()
	return true
}

// sameOptions compares the values, not where they came from.
func sameOptions(a, b *options.Options) bool {
	va, vb := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range va.NumField() {
		if va.Type().Field(i).IsExported() && !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			return false
		}
	}
	return true
}
