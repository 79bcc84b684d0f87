package packages

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// Everything that differs between two who build is made to differ: the folder,
// the time of the files, the user's mask, time zone and language, the number of
// CPUs. Both are of all architectures, with nothing from Go's cache.
func TestTwoBuildsAreTheSame(t *testing.T) {
	if !need.Full() {
		t.Skipf("builds the packages twice, which takes minutes; set %s=1", need.SwitchFull)
	}
	source := t.TempDir()
	checkOut(t, source) // once: somebody may be working in the folder it comes from
	var made [2]map[string]string
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
		env = append(env, "GOCACHE="+t.TempDir(), "SOURCE_DATE_EPOCH="+epoch, "VERSION="+newest(t), "DIST="+dist, "ARCHES=amd64 arm64")
		cmd := exec.Command("sh", "-c", []string{"umask 077", "umask 002"}[i]+"; exec packaging/build")
		cmd.Dir = tree
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		made[i] = files(t, dist)
	}
	if want := 2*3 + 2; len(made[0]) != want { // deb, rpm and what is in it; the image, the checksums
		t.Errorf("%d files are built, want %d", len(made[0]), want)
	}
	for name, text := range made[0] {
		if made[1][name] != text {
			t.Errorf("%s is not the same twice", name)
		}
		if limit := limitOf(name); len(text) > limit {
			t.Errorf("%s has %d bytes, %d are allowed", name, len(text), limit)
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
	list.Dir = realagent.Root()
	out, err := list.Output()
	if err != nil {
		need.Missing(t, fmt.Errorf("the source is no git checkout: %w", err))
	}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		from := filepath.Join(realagent.Root(), string(name))
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
