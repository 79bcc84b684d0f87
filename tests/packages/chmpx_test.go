package packages

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestChmpxStandinPackagesHaveWhatChmpxsOwnHave(t *testing.T) {
	dir := ChmpxStandin(t)
	for kind, list := range map[string][]string{
		"deb": {"dpkg-deb", "--fsys-tarfile"},
		"rpm": {"rpm", "-qlp", "--nosignature"},
	} {
		found, _ := filepath.Glob(filepath.Join(dir, "chmpx*."+kind))
		if len(found) != 1 {
			t.Fatalf("%d packages of the kind %s, want 1", len(found), kind)
		}
		if _, err := exec.LookPath(list[0]); err != nil {
			t.Logf("the %s was not looked into: %v", kind, err)
			continue
		}
		out, err := exec.Command(list[0], append(list[1:], found[0])...).Output()
		if err != nil {
			t.Fatalf("%v: %v", list, err)
		}
		for _, path := range []string{
			"/usr/bin/chmpx", "/usr/bin/chmpxstatus", "/usr/bin/chmpxconftest",
			"/usr/lib/systemd/system/chmpx.service", "/usr/libexec/chmpx-service-helper",
		} {
			if !strings.Contains(string(out), path) {
				t.Errorf("the %s does not have %s", kind, path)
			}
		}
	}
	if again := ChmpxStandin(t); again != dir {
		t.Errorf("built once more, in %s and %s", dir, again)
	}
}
