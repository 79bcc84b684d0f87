package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// tiny makes a deb and an rpm with one file in it, /usr/share/NAME/version, and
// returns the folder they are in.
func tiny(tb testing.TB, name, version string) string {
	tb.Helper()
	dir := tb.TempDir()
	tinyDeb(tb, dir, name, version)
	tinyRPM(tb, dir, name, version)
	return dir
}

func tinyDeb(tb testing.TB, dir, name, version string) {
	tb.Helper()
	tree := tb.TempDir()
	write(tb, filepath.Join(tree, "usr/share", name, "version"), version+"\n")
	write(tb, filepath.Join(tree, "DEBIAN/control"), fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\n"+
		"Maintainer: Shop <shop@shop.example>\nDescription: one file\n", name, version, runtime.GOARCH))
	runHere(tb, "dpkg-deb", "--root-owner-group", "--build", tree, filepath.Join(dir, name+"_"+version+".deb"))
}

// tinyRPM makes an rpm; more are lines of its head, like Provides.
func tinyRPM(tb testing.TB, dir, name, version string, more ...string) {
	tb.Helper()
	top := tb.TempDir()
	spec := fmt.Sprintf("Name: %s\nVersion: %s\nRelease: 1\nSummary: one file\nLicense: MIT\n%s\n%%description\nOne file.\n"+
		"%%install\nmkdir -p %%{buildroot}/usr/share/%s\necho %s >%%{buildroot}/usr/share/%[4]s/version\n%%files\n/usr/share/%[4]s\n",
		name, version, strings.Join(more, "\n"), name, version)
	write(tb, filepath.Join(top, "it.spec"), spec)
	runHere(tb, "rpmbuild", "--quiet", "-D", "_topdir "+top, "-D", "_rpmdir "+dir, "-D", "debug_package %{nil}",
		"-D", "_build_name_fmt %%{NAME}-%%{VERSION}.rpm", "-bb", filepath.Join(top, "it.spec"))
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// runHere runs a program of this host that has to succeed.
func runHere(tb testing.TB, argv ...string) string {
	tb.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		tb.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// Shell returns a folder with an rpm that stands in for the package with an EL's shell.
func Shell(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	tinyRPM(tb, dir, "shop-shell", "1", "Provides: /bin/sh")
	return dir
}
