package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestCommittedFilesAreWhatIsWritten(t *testing.T) {
	for _, f := range files() {
		want, err := f.text()
		fatal.If(t, err)
		got, err := os.ReadFile(filepath.Join("..", f.path))
		fatal.If(t, err)
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("packaging/%s is old: run `go run ./packaging/manual` (-to be written +there):\n%s", f.path, diff)
		}
	}
}

func TestFilesAreOnlyWrittenAtTheRootOfTheSource(t *testing.T) {
	dir := t.TempDir()
	if err := writeAll(dir); err == nil {
		t.Error("written elsewhere")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
