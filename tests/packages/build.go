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
	"k2hdkc-slave-agent/tests/realagent"
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
	if err := build(realagent.Root(), dir, version, runtime.GOARCH); err != nil {
		tb.Fatal(err)
	}
	built[version] = dir
	return dir
}

// BuildBefore is Build of the tree as it was before a path came, which has to be in the history.
// The test is skipped where that was not cloned.
func BuildBefore(tb testing.TB, path, version string) string {
	tb.Helper()
	need.Long(tb, "builds packages")
	commit, err := before(tb, path)
	if err != nil {
		tb.Skipf("the history does not tell how the tree was before %s: %v", path, err)
	}
	tree, archive := tb.TempDir(), filepath.Join(tb.TempDir(), "tree.tar")
	if _, err := git(tb, "archive", "--output="+archive, commit); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command("tar", "-C", tree, "-xf", archive).CombinedOutput(); err != nil {
		tb.Fatalf("unpacking the tree of %s: %v\n%s", commit, err, out)
	}
	dir, err := folder()
	if err != nil {
		tb.Fatal(err)
	}
	if err := build(tree, dir, version, runtime.GOARCH); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// before is the last commit of the main line that does not have a path.
func before(tb testing.TB, path string) (string, error) {
	added, err := git(tb, "log", "--first-parent", "--diff-filter=A", "--format=%H", "--", path)
	if err != nil {
		return "", err
	}
	list := strings.Fields(added)
	if len(list) == 0 {
		return "", fmt.Errorf("no commit has added it")
	}
	return git(tb, "rev-parse", "--verify", "--quiet", list[len(list)-1]+"^")
}

func git(tb testing.TB, args ...string) (string, error) {
	out, err := exec.CommandContext(tb.Context(), "git", append([]string{"-C", realagent.Root()}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
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

// One returns the one package of a kind, deb or rpm, in a folder.
func One(tb testing.TB, dir, kind string) string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*."+kind))
	if err != nil || len(found) != 1 {
		tb.Fatalf("%s has %d packages of the kind %s, want 1", dir, len(found), kind)
	}
	return found[0]
}
