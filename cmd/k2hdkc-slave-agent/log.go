package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/packaging/agentunit"
)

// outlet is where messages go: to the standard error or, where that leads there anyway, to the
// journal with fields. Nobody who writes to it waits for who reads it. The zero outlet has no
// journal.
type outlet struct {
	stderr, journal *service.Backlog
	json            atomic.Bool                 // the log on stderr is JSON
	plain           atomic.Bool                 // the options want the log on stderr, not in the journal
	log             atomic.Pointer[slog.Logger] // the latest; nil: there is none yet
}

// attach makes stderr the outlet, and returns it as a writer for messages that are no records.
func (out *outlet) attach(stderr *os.File) io.Writer {
	out.stderr = service.NewBacklog(stderr, func(to io.Writer, dropped int) error {
		return logDropped(out.handler(to, nil), dropped)
	})
	if service.IsJournal(stderr) {
		out.journal = service.NewBacklog(service.NewJournal(), func(to io.Writer, dropped int) error {
			return logDropped(service.NewJournalHandler(to, slog.LevelInfo), dropped)
		})
	}
	return out.stderr
}

func logDropped(h slog.Handler, records int) error {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "dropped log records, because nobody read the log", 0)
	r.AddAttrs(slog.Int("records", records))
	return h.Handle(context.Background(), r)
}

// handler returns the handler of a log on the standard error.
func (out *outlet) handler(w io.Writer, o *slog.HandlerOptions) slog.Handler {
	if out.json.Load() {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// flush waits until all messages are written, or ctx ends.
func (out *outlet) flush(ctx context.Context) {
	for _, b := range []*service.Backlog{out.journal, out.stderr} {
		if b != nil {
			b.Flush(ctx)
		}
	}
}

// logger returns the log of a run, as the options want it written.
func (p *program) logger(o *options.Options) *slog.Logger {
	p.out.json.Store(o.LogFormat == options.LogJSON)
	p.out.plain.Store(o.LogFormat != options.LogAuto)
	h := p.out.handler(p.stderr, &slog.HandlerOptions{Level: o.LogLevel})
	if o.LogFormat == options.LogAuto && p.out.journal != nil {
		h = service.NewJournalHandler(p.out.journal, o.LogLevel, slog.String("role", o.Role.String()))
	}
	log := slog.New(service.WithHints(h, p.unseen()))
	p.out.log.Store(log)
	if p.zone != nil {
		log.Warn(zoneWrong, "error", p.zone)
		p.zone = nil
	}
	return log
}

// fail says why the program ends. The daemon's log says it where that is the journal.
func (p *program) fail(err error) {
	if !p.daemon.Load() || p.out.journal == nil || p.out.plain.Load() {
		p.note("%v", service.Hint(err, p.unseen()))
		return
	}
	log := p.out.log.Load()
	if log == nil { // it has not come to its options
		log = slog.New(service.WithHints(service.NewJournalHandler(p.out.journal, slog.LevelInfo), p.unseen()))
	}
	log.Error("the agent cannot run and ends", "error", err)
}

// unseen are the variables that set an option of the service and that no file of its unit has, so
// that the unit has no rights for them.
func (p *program) unseen() (names []string) {
	if !service.Supervised() {
		return nil
	}
	var unit []string // its variables, once they are read
	for _, entry := range p.system.Environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, options.EnvPrefix) {
			continue
		}
		if unit == nil {
			a, _ := agentunit.Read(p.system.Files) // what is wrong with it is said elsewhere
			unit = append([]string{""}, a.Environ...)
		}
		if !slices.ContainsFunc(unit, func(set string) bool { return strings.HasPrefix(set, name+"=") }) {
			names = append(names, name)
		}
	}
	return names
}
