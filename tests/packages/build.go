package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"k2hdkc-slave-agent/tests/need"
)

// epoch is the time that built packages carry, in seconds since 1970.
const epoch = "1800000000"

var (
	building sync.Mutex
	built    = map[string]string{} // folder by version
)

// Build returns the folder with the deb and the rpm of a version, say 1.2.3, for
// the architecture this host has, and their checksums. A version is built once
// by each test process. The test is skipped unless long ones are asked for.
func Build(tb testing.TB, version string) string {
	tb.Helper()
	need.Long(tb, "builds packages")
	building.Lock()
	defer building.Unlock()
	if dir, ok := built[version]; ok {
		return dir
	}
	dir, err := folder()
	if err != nil {
		tb.Fatal(err)
	}
	if err := build(root(), dir, version, runtime.GOARCH); err != nil {
		tb.Fatal(err)
	}
	built[version] = dir
	return dir
}

// build runs the packaging/build of a tree.
func build(tree, dist, version string, arches ...string) error {
	cmd := exec.Command(filepath.Join(tree, "packaging/build"))
	cmd.Env = append(os.Environ(),
		"VERSION="+version, "SOURCE_DATE_EPOCH="+epoch, "DIST="+dist, "ARCHES="+strings.Join(arches, " "))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the packages %s: %w\n%s", version, err, out)
	}
	return nil
}

// root is the module's folder.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../..")
}

// One returns the one package of a kind, deb or rpm, in a folder.
func One(tb testing.TB, dir, kind string) string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*."+kind))
	if err != nil || len(found) != 1 {
		tb.Fatalf("%s has %d packages of the kind %s, want 1", dir, len(found), kind)
	}
	return found[0]
}
