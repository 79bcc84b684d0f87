package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/watcher"
)

// awaitPoll is how often the configuration is looked for besides the times when
// something happens to its files.
const awaitPoll = time.Minute

// await waits for a configuration that is enough to begin with and makes a round
// of it, or none if ctx ends first. The packages enable the agent on a host that
// has no configuration yet; that is no failure.
func (r *runner) await(ctx context.Context, o *options.Options) error {
	log := r.logger(o)
	poll := awaitPoll
	if every := aliveEvery(); every > 0 {
		poll = min(poll, every)
	}
	said, unready := "", true
	for {
		// Watched first, then looked at: nothing can come in between.
		ctx, stop := context.WithCancel(ctx)
		touched, err := watcher.Files(ctx, log, o.Inputs()...)
		if err != nil {
			stop()
			return err
		}
		next, what, err := r.attempt()
		if next != nil {
			o, log = next, r.logger(next)
		}
		if r.watcher != nil {
			stop()
			return nil
		}
		if what != said {
			said = what
			sayWaiting(log, what, err)
		}
		r.manager.say(what)
		if unready {
			r.manager.ready()
		}
		unready, err = r.awaitChange(ctx, log, touched, poll)
		ended := ctx.Err() != nil
		stop()
		if err != nil || ended {
			return err
		}
	}
}

// sayWaiting logs what is waited for.
func sayWaiting(log *slog.Logger, what string, err error) {
	if err != nil {
		log.Error("the configuration is wrong; waiting for it to be mended", "error", err)
		return
	}
	log.Info(what)
}

// attempt reads the options anew and makes the round if they are enough for it.
// Otherwise it says what is waited for, because of err if something is wrong.
func (r *runner) attempt() (o *options.Options, what string, err error) {
	o, err = r.reload()
	if err != nil {
		return nil, wrong(err), err
	}
	missing, err := o.Missing()
	if err == nil && len(missing) > 0 {
		return o, waitingFor(o, missing), nil
	}
	var next round
	if err == nil {
		next, err = r.prepare(o)
	}
	if err != nil {
		return o, wrong(err), err
	}
	r.round = next
	return o, "", nil
}

// wrong says briefly that the options are; the log has it all.
func wrong(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return "the configuration is wrong: " + first
}

// awaitChange waits until the options may have changed, and gives the service
// manager the signs of life meanwhile. It reports whether that one has been told
// of a reload, and is to be told when it is over.
func (r *runner) awaitChange(ctx context.Context, log *slog.Logger, touched <-chan string, poll time.Duration) (reloading bool, err error) {
	still := time.NewTimer(poll)
	defer still.Stop()
	if aliveEvery() > 0 {
		r.manager.alive()
	}
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-touched:
			still.Reset(quiet)
		case <-still.C:
			return false, r.late.check(log)
		case <-r.late.look():
			if err := r.late.check(log); err != nil {
				return false, err
			}
		case <-r.hup:
			r.manager.reloading()
			return true, nil
		}
	}
}

// waitingFor says what is missing and where it may come from.
func waitingFor(o *options.Options, missing []string) string {
	var wanted []string
	settings := slices.DeleteFunc(slices.Clone(missing), func(key string) bool { return key == "cuk" })
	if len(settings) > 0 {
		wanted = append(wanted, fmt.Sprintf("%s in %s or %s", strings.Join(settings, " and "), o.ConfigFile, o.AntpickaxDir))
	}
	if len(settings) < len(missing) {
		wanted = append(wanted, "this host's CUK in "+o.Source("cuk").Name)
	}
	return "not configured: waiting for " + strings.Join(wanted, ", and for ")
}
