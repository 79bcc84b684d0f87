package packages

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// ChmpxVersion is the version of the chmpx that the stand-in is held to, and of
// the packages of it.
const ChmpxVersion = "1.0.113"

// chmpxMemory is where chmpx keeps its memory once its package has made the
// folder.
const chmpxMemory = "/var/lib/antpickax"

var chmpxes struct {
	sync.Mutex
	dirs map[string]string // by what is in them
}

// K2hdkc returns the paths of k2hdkc and k2hdkclinetool if both are on PATH beside
// the real chmpx: a server node's program, and one that an application's user runs.
func K2hdkc() (paths []string, ok bool) {
	if _, real := fakechmpx.Installed(); !real {
		return nil, false
	}
	for _, name := range []string{"k2hdkc", "k2hdkclinetool"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, false
		}
		paths = append(paths, path)
	}
	return paths, true
}

// Chmpx returns a folder with a deb and an rpm called chmpx, for the
// architecture this host has: chmpx, chmpxstatus and chmpxconftest where all
// three are on PATH, with the libraries that a Debian bookworm lacks, else their
// stand-in; the unit that chmpx's own package has, a service helper that does
// what that unit needs of it, and /var/lib/antpickax, which everybody may write
// in. Installing it neither enables nor starts anything.
func Chmpx(tb testing.TB) string {
	tb.Helper()
	return ChmpxOn(tb, machine.Bookworm)
}

// ChmpxOn is Chmpx for a machine with a release of Debian. The real one is put only on a bookworm;
// its stand-in runs on every Linux.
func ChmpxOn(tb testing.TB, suite string) string {
	tb.Helper()
	return chmpxPackages(tb, suite, nil)
}

// ChmpxAndK2hdkc is Chmpx with K2hdkc, where those are.
func ChmpxAndK2hdkc(tb testing.TB) string {
	tb.Helper()
	more, _ := K2hdkc()
	return chmpxPackages(tb, machine.Bookworm, more)
}

// chmpxPackages builds the packages. They are built once by each test process.
func chmpxPackages(tb testing.TB, suite string, more []string) string {
	tb.Helper()
	need.Long(tb, "builds packages")
	p, real := fakechmpx.Installed()
	real = real && suite == machine.Bookworm
	kind := fmt.Sprintln(real, more)
	chmpxes.Lock()
	defer chmpxes.Unlock()
	if dir, ok := chmpxes.dirs[kind]; ok {
		return dir
	}
	stage := tb.TempDir()
	dir, err := folder()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.CopyFS(stage, os.DirFS(filepath.Join(realagent.Root(), "tests/packages/chmpx"))); err != nil {
		tb.Fatal(err)
	}
	usr := filepath.Join(stage, "programs")
	if real {
		err = realChmpx(tb.Context(), p, more, usr)
	} else {
		err = standinChmpx(fakechmpx.BuildT(tb), usr)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for _, format := range []string{"deb", "rpm"} {
		if err := nfpm(stage, format, dir, ChmpxVersion); err != nil {
			tb.Fatal(err)
		}
	}
	if chmpxes.dirs == nil {
		chmpxes.dirs = map[string]string{}
	}
	chmpxes.dirs[kind] = dir
	return dir
}

// standinChmpx lays out the stand-in, which is one program that goes by its
// name, and says where it keeps what chmpx has in memory.
func standinChmpx(p fakechmpx.Programs, usr string) error {
	bin := filepath.Join(usr, "bin")
	if err := copyFile(p.Chmpx, filepath.Join(bin, "chmpx"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"chmpxstatus", "chmpxconftest"} {
		if err := os.Symlink("chmpx", filepath.Join(bin, name)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(bin, "standin.dir"), []byte(chmpxMemory+"\n"), 0o644)
}

// realChmpx lays out this host's programs, and more of them.
func realChmpx(ctx context.Context, p fakechmpx.Programs, more []string, usr string) error {
	base, err := machine.Rootfs(ctx, machine.Bookworm)
	if err != nil {
		return err
	}
	libraries, err := p.Libraries(base, more...)
	if err != nil {
		return err
	}
	for _, program := range append([]string{p.Chmpx, p.Status, p.Conftest}, more...) {
		if err := copyFile(program, filepath.Join(usr, "bin", filepath.Base(program)), 0o755); err != nil {
			return err
		}
	}
	for name, path := range libraries {
		// Where the loader looks without being told.
		if err := copyFile(path, filepath.Join(usr, "lib", name), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// folder returns a new folder for what the tests of this process share. It is
// removed with the test program where go test has built that, else it stays.
func folder() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	if beside := filepath.Dir(exe); strings.Contains(beside, "/go-build") {
		return os.MkdirTemp(beside, "packages-")
	}
	return os.MkdirTemp("", "k2hdkc-slave-agent-packages-")
}

func copyFile(from, to string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, mode)
}

// nfpm makes the package of a folder's nfpm.yaml, with the nfpm that the agent's
// own packages are made with.
func nfpm(stage, format, target, version string) error {
	script, err := os.ReadFile(filepath.Join(realagent.Root(), "packaging/build"))
	if err != nil {
		return err
	}
	pinned := regexp.MustCompile(`(?m)^nfpm=(\S+)$`).FindSubmatch(script)
	if pinned == nil {
		return fmt.Errorf("packaging/build does not say which nfpm it runs")
	}
	cmd := exec.Command("go", "run", string(pinned[1]), "package", "--packager", format, "--target", target+"/")
	cmd.Dir = stage
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=", "GOARCH=",
		"ARCH="+runtime.GOARCH, "VERSION="+version, "SOURCE_DATE_EPOCH="+epoch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the %s of %s: %w\n%s", format, stage, err, out)
	}
	return nil
}
