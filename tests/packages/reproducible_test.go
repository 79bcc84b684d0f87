package packages

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// EnvFull has to be 1 for the tests that take minutes.
const EnvFull = "K2HDKC_TEST_FULL"

// Everything that differs between two who build is made to differ: the folder,
// the time of the files, the user's mask, time zone and language, the number of
// CPUs. All the architectures, and nothing from Go's cache, take minutes and are
// built on demand.
func TestTwoBuildsAreTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the packages twice")
	}
	full := os.Getenv(EnvFull) == "1"
	arches := []string{runtime.GOARCH}
	if full {
		arches = []string{"amd64", "arm64"}
	}
	source := t.TempDir()
	checkOut(t, source) // once: somebody may be working in the folder it comes from
	var made [2]map[string][]byte
	for i, env := range [][]string{
		{"TZ=Pacific/Kiritimati", "LANG=C", "GOMAXPROCS=1", "HOME=" + os.Getenv("HOME")},
		{"TZ=America/St_Johns", "LANG=de_DE.UTF-8", "USER=somebody", "HOSTNAME=elsewhere"},
	} {
		tree := filepath.Join(t.TempDir(), []string{"a", "quite/another folder"}[i])
		if err := os.CopyFS(tree, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		touch(t, tree, time.Unix(1_000_000_000+int64(i)*86_400*365, 0))
		dist := t.TempDir()
		if full {
			env = append(env, "GOCACHE="+t.TempDir())
		}
		env = append(env, "SOURCE_DATE_EPOCH="+epoch, "VERSION="+newest(t), "DIST="+dist, "ARCHES="+strings.Join(arches, " "))
		cmd := exec.Command("sh", "-c", []string{"umask 077", "umask 002"}[i]+"; exec packaging/build")
		cmd.Dir = tree
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		made[i] = contents(t, dist)
	}
	if want := len(arches)*3 + 1; len(made[0]) != want { // deb, rpm and what is in it; the checksums
		t.Errorf("%d files are built, want %d", len(made[0]), want)
	}
	for name, b := range made[0] {
		if !bytes.Equal(b, made[1][name]) {
			t.Errorf("%s is not the same twice", name)
		}
		if len(b) > maxSize {
			t.Errorf("%s has %d bytes, %d are allowed", name, len(b), maxSize)
		}
	}
	if len(made[0]) != len(made[1]) {
		t.Errorf("%d files in one build, %d in the other", len(made[0]), len(made[1]))
	}
}

// checkOut copies what git has of the source, as it is in this folder now, and
// what will be added to it. Git's own folder stays behind.
func checkOut(t *testing.T, to string) {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root()
	out, err := list.Output()
	if err != nil {
		t.Skip("the source is no git checkout:", err)
	}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		from := filepath.Join(root(), string(name))
		info, err := os.Lstat(from)
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted, or not for the build
		}
		if err := copyFile(from, filepath.Join(to, string(name)), info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// touch gives all files of a folder another time.
func touch(t *testing.T, dir string, to time.Time) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, to, to)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// contents are those of a folder.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, e := range entries {
		if found[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return found
}
