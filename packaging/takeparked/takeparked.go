// Package takeparked puts in place, before chmpx's unit starts chmpx, the configuration that waits
// for that: one which the chmpx before must not have loaded while it ran. The agent does the same
// when it sees chmpx end; here it is done however soon the next chmpx follows, and also while no
// agent runs.
package takeparked

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher/host"
)

// Name is what chmpx's unit calls the program.
const Name = "take-parked"

const usage = `usage: take-parked FILE

Puts the configuration that waits for a start of chmpx in place of FILE, if there is one. Exit
status: 0 it has, or there is none; 1 it cannot; 2 wrong arguments.
`

// Main does what args say and returns the exit status.
func Main(args []string) int {
	if len(args) != 1 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	t := take{file: render.File{Path: args[0]}, judge: new(host.Local).Judge, log: service.ProgramLog(Name, os.Stderr)}
	if err := t.run(context.Background()); err != nil {
		t.log.Error("cannot put in place the slave.ini that waited for this start of chmpx; chmpx starts on the previous one", "error", err)
		return 1
	}
	return 0
}

// take is one run of the program.
type take struct {
	file  render.File
	judge func(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report
	log   *slog.Logger
}

// run puts the parked file in place if chmpx can start on it now: a certificate that it names may
// have gone since it was accepted.
func (t take) run(ctx context.Context) error {
	b, err := t.file.Parked()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if r := t.judge(ctx, b, nil); r.Verdict != chmpx.Accept {
		return fmt.Errorf("%s is not put in place: %s: %s", t.file.ParkedPath(), r.Verdict, r.Why())
	}
	if err := t.file.TakeParked(b); err != nil {
		return err
	}
	t.log.Info("the slave.ini that waited for this start of chmpx is in place", "file", t.file.Path)
	return nil
}
