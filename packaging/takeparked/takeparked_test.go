package takeparked

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestTakeHeld(t *testing.T) {
	for _, c := range []struct {
		name    string
		parked  string // empty: there is no parked file
		verdict chmpx.Verdict
		want    string // what is in place afterwards
		err     string
	}{
		{"nothing waits", "", chmpx.Accept, "old", ""},
		{"a good file waits", "new", chmpx.Accept, "new", ""},
		{"a file waits that has become unfit", "new", chmpx.Reject, "old", "not put in place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			w := take{file: render.File{Path: filepath.Join(t.TempDir(), "slave.ini")}, log: slog.New(slog.NewTextHandler(&out, nil))}
			w.judge = func(_ context.Context, b []byte, running *chmpx.Running) chmpx.Report {
				if string(b) != c.parked || running != nil {
					t.Errorf("judged: %q, %v", b, running)
				}
				return chmpx.Report{Verdict: c.verdict, Findings: []chmpx.Finding{{Text: "no certificate"}}}
			}
			fatal.If(t, os.WriteFile(w.file.Path, []byte("old"), 0o644))
			if c.parked != "" {
				fatal.If(t, w.file.Park([]byte(c.parked)))
			}
			err := w.run(t.Context())
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if b, _ := w.file.Read(); string(b) != c.want {
				t.Errorf("in place: %q, want %q", b, c.want)
			}
			if _, err := w.file.Parked(); c.want == "new" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file still waits: %v", err)
			}
			if said := out.Len() > 0; said != (c.want == "new") {
				t.Errorf("it says %q", out.String())
			}
		})
	}
}
