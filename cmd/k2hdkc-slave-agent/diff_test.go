package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"

	"github.com/google/go-cmp/cmp"
)

func TestUnifiedDiff(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"same", "a\nb\n", "a\nb\n", ""},
		{"first file", "", "a\nb\n", "--- x\n+++ y\n@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"emptied", "a\n", "", "--- x\n+++ y\n@@ -1,1 +0,0 @@\n-a\n"},
		{"one line", "a\nb\nc\n", "a\nB\nc\n", "--- x\n+++ y\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
		{"no newline at the end", "a", "b\n", "--- x\n+++ y\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n"},
		{"far apart", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", "0\n2\n3\n4\n5\n6\n7\n8\n9\n11\n",
			"--- x\n+++ y\n@@ -1,4 +1,4 @@\n-1\n+0\n 2\n 3\n 4\n@@ -7,4 +7,4 @@\n 7\n 8\n 9\n-10\n+11\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, unifiedDiff("x", "y", tt.old, tt.new)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// patch(1) is the judge of whether it is a diff.
func TestUnifiedDiffPatches(t *testing.T) {
	need.Programs(t, "patch")
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range rng.IntN(30) {
			b.WriteString(strings.Repeat("x", rng.IntN(4)) + "\n")
		}
		if rng.IntN(4) == 0 {
			return b.String() + "no line end"
		}
		return b.String()
	}
	for range 50 {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		from, to := text(), text()
		if from == to || from == "" || to == "" {
			continue
		}
		fatal.If(t, os.WriteFile(path, []byte(from), 0o600))
		cmd := exec.Command("patch", "-s", "--fuzz=0", path)
		cmd.Stdin = strings.NewReader(unifiedDiff(path, path, from, to))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\nfrom %q\nto %q", err, out, from, to)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != to {
			t.Fatalf("from %q\nto   %q\ngot  %q (%v)", from, to, got, err)
		}
	}
}
