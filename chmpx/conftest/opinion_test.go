package conftest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/actor"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestTheOpinionOnANewFile(t *testing.T) {
	programs := fakechmpx.BuildT(t)
	t.Setenv(fakechmpx.EnvState, t.TempDir())
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	link := filepath.Join(t.TempDir(), "chmpxconftest") // what is installed
	install := func(path string) {
		t.Helper()
		os.Remove(link)
		if path == "" {
			return
		}
		fatal.If(t, os.Symlink(path, link))
	}
	dislikes := write(t, "dislikes", "#!/bin/sh\necho '[CHMPX-ERR] LoadConfiguration(12) : the day is not good.' >&2\n")
	fatal.If(t, os.Chmod(dislikes, 0o700))
	o := &Opinion{Checker: Checker{Command: link, Timeout: 5 * time.Second}, Log: logger}
	path := write(t, "slave.ini", good)
	said := func() string {
		defer log.Reset()
		return log.String()
	}
	steps := []struct {
		name, installed string
		err, log        string // parts; empty: none at all
	}{
		{"not installed", "", "", "level=INFO msg=\"chmpxconftest does not judge new files; the agent alone does"},
		{"still not", "", "", ""},
		{"loads", programs.Conftest, "", "level=INFO msg=\"chmpxconftest gives a verdict again"},
		{"refuses", dislikes, "chmpxconftest does not load it: the day is not good.", ""},
		{"gone again", "", "", "is not installed"},
		{"cannot be run", "/etc/passwd", "", "level=WARN msg=\"chmpxconftest gives no verdict"},
		{"still cannot", "/etc/passwd", "", ""},
		{"gone once more", "", "", "is not installed"},
		{"says nothing", "/bin/true", "", "level=WARN msg=\"chmpxconftest gives no verdict"},
	}
	for _, step := range steps {
		install(step.installed)
		err := o.Check(t.Context(), path)
		if step.err == "" && err != nil || step.err != "" && (err == nil || err.Error() != step.err) {
			t.Errorf("%s: error %v", step.name, err)
		}
		if got := said(); (got == "") != (step.log == "") || !strings.Contains(got, step.log) {
			t.Errorf("%s: logged %q", step.name, got)
		}
	}

	install(programs.Conftest)
	hasty := &Opinion{Checker: Checker{Command: actor.Program(t, "hangs"), Timeout: 100 * time.Millisecond}, Log: logger}
	if err := hasty.Check(t.Context(), path); err != nil {
		t.Errorf("a check that hangs refused: %v", err)
	}
	if got := said(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "did not finish in time") {
		t.Errorf("logged %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Check(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("an agent that ends would put the file in place: %v", err)
	}
}
