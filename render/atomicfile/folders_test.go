package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestFoldersHaveTheirModeWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	there := filepath.Join(t.TempDir(), "there")
	fatal.If(t, os.Mkdir(there, 0o700))
	fatal.If(t, os.Chmod(there, 0o700|fs.ModeSetgid))
	fatal.If(t, MakeFolders(filepath.Join(there, "a", "b"), 0o755))
	fatal.If(t, MakeFolders(there, 0o755))
	for name, want := range map[string]fs.FileMode{".": 0o700, "a": 0o755, "a/b": 0o755} {
		info, err := os.Stat(filepath.Join(there, name))
		fatal.If(t, err)
		if mode := info.Mode(); mode != fs.ModeDir|fs.ModeSetgid|want {
			t.Errorf("%s has mode %v, want %v", name, mode, want)
		}
	}
	fatal.If(t, os.WriteFile(filepath.Join(there, "file"), nil, 0o600))
	if err := MakeFolders(filepath.Join(there, "file"), 0o755); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("in the place of a file: %v", err)
	}
}
