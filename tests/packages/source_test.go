package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"

	"github.com/google/go-cmp/cmp"
)

// TestSourcePackages has the packages built from source, without a network, be those of
// packaging/build: the same files, but for the bill of materials.
func TestSourcePackages(t *testing.T) {
	need.Long(t, "builds packages")
	need.Programs(t, "dpkg-source", "dpkg-buildpackage", "dh", "rpmbuild", "lintian", "git")
	from := t.TempDir()
	source := exec.Command(filepath.Join(realagent.Root(), "packaging/source"), from)
	source.Env = append(os.Environ(), "VERSION="+newest(t), "SOURCE_DATE_EPOCH="+epoch)
	if out, err := source.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runHere(t, "lintian", "--allow-root", "--fail-on", "error,warning", one(t, from, "*.dsc"))
	cache := strings.TrimSpace(runHere(t, "go", "env", "GOCACHE"))
	offline := func(dir string, argv ...string) {
		t.Helper()
		cmd := exec.Command("unshare", append([]string{"--net"}, argv...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOCACHE="+cache)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", argv, err, out)
		}
	}
	built := Build(t, newest(t))

	debs := t.TempDir()
	runHere(t, "dpkg-source", "--extract", one(t, from, "*.dsc"), filepath.Join(debs, "tree"))
	// This host's Go need not be of a package.
	offline(filepath.Join(debs, "tree"), "dpkg-buildpackage", "--no-check-builddeps", "--build=binary", "--unsigned-changes", "--unsigned-buildinfo")
	deb := func(file string) string {
		var list []string
		for line := range strings.Lines(runHere(t, "dpkg-deb", "--contents", file)) {
			f := strings.Fields(line)
			if path := strings.Join(f[5:], " "); path != "./" { // nfpm has no folder above all, and root by its number
				list = append(list, f[0]+" "+path)
			}
		}
		return listed(list)
	}
	if diff := cmp.Diff(deb(One(t, built, "deb")), deb(one(t, debs, "*.deb"))); diff != "" {
		t.Errorf("the deb (-packaging/build +from source):\n%s", diff)
	}

	rpms := t.TempDir()
	offline(rpms, "rpmbuild", "--quiet", "-D", "_topdir "+rpms, "--nodeps", "--rebuild", one(t, from, "*.src.rpm"))
	rpm := func(file string) string {
		// The mode of a link, which means nothing, nfpm leaves out.
		return listed(strings.Split(strings.ReplaceAll(runHere(t, "rpm", "-qp", "--queryformat", `[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES} %{FILEFLAGS:fflags}\n]`, file), "lrwxrwxrwx", "l---------"), "\n"))
	}
	if diff := cmp.Diff(rpm(One(t, built, "rpm")), rpm(one(t, rpms, "RPMS/*/*.rpm"))); diff != "" {
		t.Errorf("the rpm (-packaging/build +from source):\n%s", diff)
	}
}

// listed is a list of files without the bill of materials and folders that only dpkg lists.
func listed(list []string) string {
	list = slices.DeleteFunc(list, func(line string) bool {
		return strings.Contains(line, "sbom.cdx.json") || strings.TrimSpace(line) == ""
	})
	slices.Sort(list)
	return strings.Join(list, "\n")
}

func one(t *testing.T, dir, glob string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, glob))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: want one %s, have %q", dir, glob, found)
	}
	return found[0]
}
