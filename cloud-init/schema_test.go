package cloudinit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
)

// inRootfs is a command in the root file system of a Debian, beside a folder
// at /mnt. Nothing of it stays.
func inRootfs(t *testing.T, root, dir string, argv ...string) *exec.Cmd {
	t.Helper()
	const enter = `set -eu
	mount --bind "$2" "$1/mnt"
	mount --bind /dev "$1/dev"
	mount -t proc proc "$1/proc"
	cd "$1"; shift 2
	exec chroot . "$@"`
	args := append([]string{"--mount", "--pid", "--fork", "sh", "-c", enter, "sh", root, dir}, argv...)
	return exec.CommandContext(t.Context(), "unshare", args...)
}

func TestCloudInitTakesIt(t *testing.T) {
	machine.Require(t)
	for _, suite := range []string{machine.Bullseye, machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			root, err := machine.Rootfs(t.Context(), suite)
			if err != nil {
				t.Fatal(err)
			}
			schema := []string{"cloud-init", "schema"}
			if suite == machine.Bullseye { // 20.4 knows it by another name
				schema = []string{"cloud-init", "devel", "schema"}
			}
			checkSchema(t, func(dir, file string) *exec.Cmd {
				return inRootfs(t, root, dir, append(schema, "--config-file", "/mnt/"+file)...)
			})
			readsBack(t, inRootfs(t, root, t.TempDir(), "python3", "-c", readYAML))
		})
	}
}

// checkSchema has cloud-init check all examples, and one that is wrong.
func checkSchema(t *testing.T, command func(dir, file string) *exec.Cmd) {
	t.Helper()
	dir := t.TempDir()
	hard := example(t)
	for _, text := range hostile {
		hard.Files = append(hard.Files, File{Path: "/etc/k2hdkc/x", Mode: Private, Text: text})
	}
	bare := example(t)
	bare.Repos = nil
	foreign := example(t)
	foreign.Repos = append(foreign.Repos, repository(t, "chmpx", "https://packages.example.org/chmpx"))
	good := map[string]UserData{"example": example(t), "hostile": hard, "without-repository": bare, "two-repositories": foreign}
	for name, u := range good {
		text := render(t, u.CloudConfig)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := command(dir, name).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Valid") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	wrong := strings.Replace(render(t, good["example"].CloudConfig), `path: "/etc`, `path: ["/etc"] # "`, 1)
	if err := os.WriteFile(filepath.Join(dir, "wrong"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(dir, "wrong").CombinedOutput(); err == nil {
		t.Errorf("what is wrong is taken too, so nothing is proven: %s", out)
	}
}
