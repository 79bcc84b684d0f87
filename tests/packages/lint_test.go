package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// What is overridden, and why, stands in packaging/lintian-overrides, which is a
// part of the package.
func TestLintianHasNothingToSay(t *testing.T) {
	need.Programs(t, "lintian")
	deb := One(t, Build(t, newest(t)), "deb")
	cmd := exec.Command("lintian", "--allow-root", "--display-info", "--pedantic", "--fail-on", "error,warning,info,pedantic,override", deb)
	// An override that fits nothing is said, and fails the test as well.
	out, err := cmd.CombinedOutput()
	var complaints []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "N:") {
			complaints = append(complaints, line)
		}
	}
	if len(complaints) > 0 || err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// What is filtered, and why, stands in packaging/rpmlint.toml.
func TestRPMLintHasNothingToSay(t *testing.T) {
	need.Programs(t, "rpmlint", "rpm2cpio", "cpio")
	rpm := One(t, Build(t, newest(t)), "rpm")
	// rpmlint unpacks by cpio. In these packages paths begin with a /, and with
	// Debian's cpio that is the root of this host.
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	write(t, filepath.Join(bin, "cpio"), "#!/bin/sh\nexec "+cpio+" --no-absolute-filenames \"$@\"\n")
	if err := os.Chmod(filepath.Join(bin, "cpio"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("rpmlint", "--config", filepath.Join(realagent.Root(), "packaging/rpmlint.toml"), rpm)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0 errors, 0 warnings") {
		t.Errorf("rpmlint: %v\n%s", err, out)
	}
}
