package main

import (
	"context"
	"log/slog"
	"os"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/options"
)

// reportHelper says so if chmpx runs under its own service helper, and that
// gives it another file than the one this agent keeps.
func reportHelper(ctx context.Context, o *options.Options, log *slog.Logger) {
	if o.Unit == "" {
		return
	}
	unit := daemon.Unit{Name: o.Unit}
	st, err := unit.State(ctx)
	if err != nil || !st.RunsHelper() {
		return
	}
	file, said, err := daemon.HelperFile(os.DirFS("/"), o.AntpickaxDir)
	switch {
	case err != nil:
		log.Warn("cannot tell which file chmpx's own service helper runs it on", "unit", o.Unit, "error", err)
	case file != o.Output:
		log.Warn("chmpx's own service helper runs it on another file than the one this agent keeps; name one of them in both places",
			"unit", o.Unit, "helper's file", file, "said by", said, "kept", o.Output)
	}
}
