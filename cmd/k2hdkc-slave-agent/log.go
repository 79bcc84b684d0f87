package main

import (
	"log/slog"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
)

// logger returns the log of a run, as the options want it written.
func (p *program) logger(o *options.Options) *slog.Logger {
	level := &slog.HandlerOptions{Level: o.LogLevel}
	var h slog.Handler = slog.NewTextHandler(p.stderr, level)
	switch {
	case o.LogFormat == options.LogJSON:
		h = slog.NewJSONHandler(p.stderr, level)
	case o.LogFormat == options.LogAuto && service.IsJournal(p.stderr):
		h = service.NewJournalHandler(o.LogLevel)
	}
	return slog.New(service.WithHints(h))
}
