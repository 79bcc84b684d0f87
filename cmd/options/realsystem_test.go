package options

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fatal"
)

// The other tests run over files in memory; this one over real ones, below a directory that stands
// for the root.
func TestRealFiles(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		fatal.If(t, os.MkdirAll(filepath.Dir(name), 0o755))
		fatal.If(t, os.WriteFile(name, []byte(text), 0o600))
	}
	write("etc/k2hdkc/real.ini", "[k2hr3]\nrole = "+shopRole)
	write("etc/antpickax/k2hr3-api-uri/x", "")
	fatal.If(t, os.Symlink("real.ini", filepath.Join(root, "etc/k2hdkc/slave-agent.ini")))
	h := System{Files: regularfile.Dir(root)}

	o := mustLoad(t, h)
	if o.Role.String() != shopRole {
		t.Errorf("role %q: the link was not followed", o.Role)
	}
	wantError(t, o.RequireK2HR3(), "cannot read /etc/antpickax/k2hr3-api-uri: it is not a regular file but a directory")
	_, err := o.ResolveCUK()
	wantError(t, err, "cannot read /var/lib/cloud/data/instance-id: no such file or directory")
	if strings.Contains(err.Error(), root) {
		t.Errorf("error %q names another path than the operator knows", err)
	}
}

// Who stands in a folder that is deleted needs absolute paths, and nothing else.
func TestThisSystemWithoutAWorkingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	fatal.If(t, os.Mkdir(dir, 0o700))
	t.Chdir(dir)
	fatal.If(t, os.Remove(dir))
	h := ThisSystem()
	h.Environ = nil
	mustLoad(t, h, "--config", "/dev/null", "--output", "/srv/slave.ini")
	failLoad(t, h, []string{"--config", "/dev/null", "--output", "slave.ini"}, "flag --output", "absolute path")
}

func TestThisSystem(t *testing.T) {
	t.Setenv("K2HDKC_SLAVE_PEEK", "1s")
	t.Chdir(t.TempDir())
	h := ThisSystem()
	fatal.If(t, os.WriteFile("note", []byte("here"), 0o600))
	text, err := h.read(filepath.Join(h.Dir, "note"))
	if text != "here" || err != nil {
		t.Errorf("read %q, %v below the working directory", text, err)
	}
	if h.getenv("K2HDKC_SLAVE_PEEK") != "1s" {
		t.Error("the environment is missing")
	}
}
