package packages

import (
	"path/filepath"
	"testing"
)

func TestBuildLeavesOnePackageOfEachKind(t *testing.T) {
	dir := Build(t, "1.2.3")
	for _, kind := range []string{"deb", "rpm"} {
		if found, _ := filepath.Glob(filepath.Join(dir, "*."+kind)); len(found) != 1 {
			t.Errorf("%d packages of the kind %s, want 1", len(found), kind)
		}
	}
}
