package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/packaging/events"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

const catalogFile = "../k2hdkc-slave-agent.catalog"

// The catalog as the journal reads it has an entry for each event, and none besides.
func TestTheCatalogHasEachEventAndNoOther(t *testing.T) {
	text, err := os.ReadFile(catalogFile)
	fatal.If(t, err)
	got, want := map[string]string{}, map[string]string{}
	for entry := range strings.SplitSeq(string(text), "\n-- ") {
		id, rest, _ := strings.Cut(entry, "\n")
		if strings.HasPrefix(entry, "#") {
			continue
		}
		header, body, ok := strings.Cut(rest, "\n\n")
		subject, ok2 := strings.CutPrefix(strings.SplitN(header, "\n", 2)[0], "Subject: ")
		cause, remedy, ok3 := strings.Cut(body, "\n\nWhat to do: ")
		if !ok || !ok2 || !ok3 || strings.Contains(entry, "@") || got[id] != "" {
			t.Errorf("no entry as the journal wants it:\n%s", entry)
		}
		got[id] = oneLine(subject + "|" + cause + "|" + remedy)
	}
	for _, e := range events.All() {
		want[e.ID] = oneLine(e.Message + "|" + e.Cause + "|" + e.Remedy)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run `go run ./packaging/manual` (-table +catalog):\n%s", diff)
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// journalctl itself takes the catalog in, and shows all of it.
func TestJournalctlTakesTheCatalog(t *testing.T) {
	need.Programs(t, "journalctl")
	root := t.TempDir()
	for _, dir := range []string{"usr/lib/systemd/catalog", "var/lib/systemd/catalog"} {
		fatal.If(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	text, err := os.ReadFile(catalogFile)
	fatal.If(t, err)
	fatal.If(t, os.WriteFile(filepath.Join(root, "usr/lib/systemd/catalog/k2hdkc-slave-agent.catalog"), text, 0o644))
	journalctl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("journalctl", append([]string{"--root=" + root}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if said := journalctl("--update-catalog"); said != "" {
		t.Errorf("it says %s", said)
	}
	list := map[string]bool{}
	for line := range strings.Lines(journalctl("--list-catalog")) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		list[id] = strings.HasPrefix(rest, "k2hdkc-slave-agent: ")
	}
	want := map[string]bool{}
	for _, e := range events.All() {
		want[e.ID] = true
	}
	if !maps.Equal(list, want) {
		t.Errorf("it has\n%v\nwant\n%v", list, want)
	}
}
