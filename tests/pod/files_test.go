package pod

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"k2hdkc-slave-agent/tests/realagent"
)

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// copyTree copies a folder of the source to where a kustomization of a test finds it.
func copyTree(t *testing.T, to filesys.FileSystem, folder string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(realagent.Root(), folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(realagent.Root(), path)
		if err != nil {
			return err
		}
		return to.WriteFile("/"+rel, b)
	})
	if err != nil {
		t.Fatal(err)
	}
}
