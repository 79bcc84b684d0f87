package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

// A report that is not all there is none, whoever goes by the exit status.
func TestAResultThatCannotBeWrittenIsNone(t *testing.T) {
	need.Address(t)
	t.Setenv("TMPDIR", t.TempDir())

	lines := []string{
		"version", "help", "help check", "check -", "doctor --only config", "doctor --only config --json",
		"status", "status --json", "status --brief", "status --watch", "bugreport -",
	}
	for _, v := range options.Verbs() {
		lines = append(lines, v.Name+" --help")
	}
	for _, line := range lines {
		for name, stdout := range map[string]io.Writer{"a full disk": full(t), "a disk that fills up": &fills{room: 5}} {
			t.Run(line+" to "+name, func(t *testing.T) {
				var stderr bytes.Buffer
				p := program{stdin: strings.NewReader(inPlace), stdout: stdout, stderr: &stderr, system: options.System{
					Dir: "/", Files: fstest.MapFS{"etc/k2hdkc/slave-agent.ini": &fstest.MapFile{Data: []byte(
						"[k2hr3]\napi-uri = http://127.0.0.1:1\nrole = yrn:yahoo:::shop:role:orders/slave\n[slave]\ncuk = vm-1\noutput = " + t.TempDir() + "/slave.ini\n[agent]\nrun-dir = " + t.TempDir() + "\n[chmpx]\nstatus-command =\ncheck-command =\nunit =\n")}},
				}}
				if status := p.main(t.Context(), strings.Fields(line)); status != 1 || !strings.Contains(stderr.String(), "no space left on device") {
					t.Errorf("status %d, said %q", status, stderr.String())
				}
			})
		}
	}
}

func full(t *testing.T) io.Writer {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	fatal.If(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// fills is a disk with room for that many bytes.
type fills struct{ room int }

func (f *fills) Write(b []byte) (int, error) {
	n := min(len(b), f.room)
	f.room -= n
	if n < len(b) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}
