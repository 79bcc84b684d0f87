package lifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/status"
)

// awaitPoll is how often the agent looks for a configuration besides the times when something
// happens to its files.
const awaitPoll = time.Minute

// await waits for a configuration that is enough to begin with and makes a round of it, or none if
// ctx ends first. The packages enable the agent on a host that has no configuration yet; that is
// no failure.
func (d *Daemon) await(ctx context.Context, o *options.Options) error {
	log := d.Logger(o)
	poll := min(awaitPoll, aliveEvery())
	said, unready := "", true
	for {
		// Watched first, then looked at: nothing can come in between.
		ctx, stop := context.WithCancel(ctx)
		inputs := o.Inputs()
		touched := d.files.Files(ctx, log, inputs...)
		next, waits, err := d.attempt()
		code, state := status.CodeNotConfigured, "not configured: waiting for "+waits
		if err != nil {
			code, state = status.CodeConfigurationWrong, wrong(err)
		}
		if next != nil {
			o, log = next, d.Logger(next)
		}
		if d.round.Watcher != nil {
			stop()
			return nil
		}
		if !slices.Equal(o.Inputs(), inputs) { // the options name files that nobody watches yet
			stop()
			continue
		}
		if state != said {
			said = state
			logWaiting(log, waits, err)
		}
		d.Manager.Status(state)
		d.status.at(o, log, poll)
		d.status.waits(o, code, state)
		if unready {
			d.Manager.Ready()
		}
		unready, err = d.awaitChange(ctx, log, touched, poll)
		ended := ctx.Err() != nil
		stop()
		if err != nil || ended {
			return err
		}
	}
}

// logWaiting logs what the agent waits for.
func logWaiting(log *slog.Logger, waits string, err error) {
	if err != nil {
		log.Error("the configuration is wrong; waiting for a correct one", "error", err)
		return
	}
	log.Info("not configured: waiting for what is missing", "missing", waits)
}

// attempt loads the options and makes a round if they are enough for it. Otherwise it returns what
// the agent waits for, or err if something is wrong.
func (d *Daemon) attempt() (o *options.Options, waits string, err error) {
	o, err = d.Load()
	if err != nil {
		return nil, "", err
	}
	missing, err := o.Missing()
	if err == nil && len(missing) > 0 {
		return o, waitingFor(o, missing), nil
	}
	var next Round
	if err == nil {
		next, err = d.prepare(o)
	}
	if err != nil {
		return o, "", err
	}
	d.round = next
	return o, "", nil
}

// wrong is the status for wrong options, in brief; the log has it all.
func wrong(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return "the configuration is wrong: " + first
}

// awaitChange waits until the options may have changed, and gives the service manager a sign of
// life. It reports whether a reload has begun, which Ready has to end.
func (d *Daemon) awaitChange(ctx context.Context, log *slog.Logger, touched <-chan string, poll time.Duration) (reloading bool, err error) {
	burst, look := newLull(), time.NewTicker(poll)
	defer burst.Stop()
	defer look.Stop()
	d.alive()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-touched:
			burst.touched()
		case <-burst.C:
			return false, d.Folders.Check(log)
		case <-look.C:
			if !burst.pending() {
				return false, d.Folders.Check(log)
			}
			d.alive()
		case <-d.Folders.Tick():
			if err := d.Folders.Check(log); err != nil {
				return false, err
			}
		case <-d.Hangup:
			d.Manager.Reloading()
			return true, nil
		}
	}
}

// waitingFor says what is missing, and where it may come from.
func waitingFor(o *options.Options, missing []string) string {
	var wanted []string
	settings := slices.DeleteFunc(slices.Clone(missing), func(key string) bool { return key == "cuk" })
	if len(settings) > 0 {
		wanted = append(wanted, fmt.Sprintf("%s in %s or %s", strings.Join(settings, " and "), o.ConfigFile, o.AntpickaxDir))
	}
	if len(settings) < len(missing) {
		wanted = append(wanted, "this host's CUK in "+o.Source("cuk").Name)
	}
	return strings.Join(wanted, ", and for ")
}
