package machine

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestUnusedRootFileSystemsAreForgotten(t *testing.T) {
	cache := t.TempDir()
	old := time.Now().Add(-2 * unused)
	for _, name := range []string{"unused", "old-but-used", "used"} {
		if err := os.MkdirAll(filepath.Join(cache, name, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, end := range []string{".tar", ".lock"} {
			path := filepath.Join(cache, name+end)
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if name == "used" {
				continue
			}
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := forget(cache, "old-but-used"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"unused": 0, "old-but-used": 3, "used": 3} {
		if left, _ := filepath.Glob(filepath.Join(cache, name+"*")); len(left) != want {
			t.Errorf("%s: %v is left, want %d", name, left, want)
		}
	}
}
