package fakechmpx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Programs are chmpx and its tools, real or stood in for.
type Programs struct {
	Dir                     string // put it on PATH to have them found by name
	Chmpx, Status, Conftest string // paths
	Real                    bool
}

// Installed returns the real programs if all three are on PATH.
func Installed() (Programs, bool) {
	p := Programs{Real: true}
	for name, to := range map[string]*string{
		"chmpx": &p.Chmpx, "chmpxstatus": &p.Status, "chmpxconftest": &p.Conftest,
	} {
		path, err := exec.LookPath(name)
		if err != nil || isStandin(path) {
			return Programs{}, false
		}
		*to = path
	}
	p.Dir = filepath.Dir(p.Chmpx)
	return p, true
}

// Libraries returns the shared libraries of this host that the programs, and more of
// them, need and that a root file system does not have: their paths by their names.
func (p Programs) Libraries(rootfs string, more ...string) (map[string]string, error) {
	libraries := map[string]string{}
	for _, program := range append([]string{p.Chmpx, p.Status, p.Conftest}, more...) {
		out, err := exec.Command("ldd", program).Output()
		if err != nil {
			return nil, fmt.Errorf("ask for the libraries of %s: %w", program, err)
		}
		for line := range strings.Lines(string(out)) {
			name, rest, ok := strings.Cut(strings.TrimSpace(line), " => ")
			if !ok {
				continue // the kernel's, and the loader itself
			}
			path, _, _ := strings.Cut(rest, " (")
			if !filepath.IsAbs(path) {
				return nil, fmt.Errorf("%s needs %s: %s", program, name, rest)
			}
			if _, err := os.Stat(filepath.Join(rootfs, path)); err != nil {
				libraries[name] = path
			}
		}
	}
	return libraries, nil
}

// isStandin tells a stand-in by the program it was linked to.
func isStandin(path string) bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(path), "standin"))
	return err == nil
}

// BuildStandin builds the stand-ins into dir, whatever is installed. It needs the
// go command and the module's source.
func BuildStandin(dir string) (Programs, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Programs{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Programs{}, err
	}
	program := filepath.Join(dir, "standin")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program,
		"k2hdkc-slave-agent/tests/fakechmpx/standin")
	cmd.Dir = sourceDir()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build the chmpx stand-in: %w\n%s", err, out)
	}
	p := Programs{
		Dir:      dir,
		Chmpx:    filepath.Join(dir, "chmpx"),
		Status:   filepath.Join(dir, "chmpxstatus"),
		Conftest: filepath.Join(dir, "chmpxconftest"),
	}
	for _, path := range []string{p.Chmpx, p.Status, p.Conftest} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Programs{}, err
		}
		if err := os.Link(program, path); err != nil {
			return Programs{}, err
		}
	}
	return p, nil
}

// sourceDir is where this file was compiled from, or the working directory for a
// program built without paths.
func sourceDir() string {
	_, file, _, _ := runtime.Caller(0)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return filepath.Dir(file)
}

// UseState makes the stand-ins of p use a state directory even when they are run
// without [EnvState] in their environment.
func (p Programs) UseState(d StateDir) error {
	return replaceFile(filepath.Join(p.Dir, stateDirFile), []byte(string(d)+"\n"))
}

// TB is what of testing.TB the helpers here need. The package does not import
// testing, because the stand-in program is made of it.
type TB interface {
	Helper()
	Fatal(args ...any)
	TempDir() string
	Context() context.Context
	Cleanup(func())
}

// once holds what the tests of one process share.
var once struct {
	sync.Mutex
	programs Programs
}

// BuildT is [BuildStandin] for tests: built once per test process where go test
// has given that a folder of its own, else once per test.
func BuildT(tb TB) Programs {
	tb.Helper()
	once.Lock()
	defer once.Unlock()
	if once.programs.Dir != "" {
		return once.programs
	}
	dir, shared := testFolder()
	if !shared {
		dir = tb.TempDir()
	}
	p, err := BuildStandin(dir)
	if err != nil {
		tb.Fatal(err)
	}
	if shared {
		once.programs = p
	}
	return p
}

// testFolder is a folder beside the test program that go test removes with it.
func testFolder() (dir string, ok bool) {
	exe, err := os.Executable()
	if err != nil || !strings.Contains(exe, "/go-build") {
		return "", false
	}
	return filepath.Join(filepath.Dir(exe), "chmpx-standin"), true
}
