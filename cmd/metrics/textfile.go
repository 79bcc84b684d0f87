package metrics

import (
	"context"
	"log/slog"
	"os"
	"time"

	"k2hdkc-slave-agent/render/atomicfile"
)

const (
	// textfileEvery is how often the file is written where nothing changes: its age shows then that
	// the agent lives.
	textfileEvery = 60 * time.Second

	// textfileGap is the shortest time between two writes.
	textfileGap = time.Second
)

// keepTextfile writes the metrics to a file at each change and every textfileEvery, until ctx ends,
// and removes it then: what nobody keeps is not to be taken for the agent's state. A file that
// cannot be written is logged once, until it can be again.
func (m *Metrics) keepTextfile(ctx context.Context, path string, log *slog.Logger) {
	defer os.Remove(path)
	failed := false
	for {
		err := atomicfile.Write(path, m.Text(), 0o644)
		switch {
		case err != nil && !failed:
			log.Warn("cannot write metrics-textfile; trying again", "error", err)
		case err == nil && failed:
			log.Info("metrics-textfile is written again", "file", path)
		}
		failed = err != nil
		if !m.awaitChange(ctx) {
			return
		}
	}
}

// awaitChange waits until the file is due, and returns false if ctx has ended.
func (m *Metrics) awaitChange(ctx context.Context) bool {
	due := time.NewTimer(textfileEvery)
	defer due.Stop()
	gap := time.NewTimer(textfileGap)
	defer gap.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-gap.C:
	}
	select {
	case <-ctx.Done():
		return false
	case <-m.changed:
	case <-due.C:
	}
	return true
}
