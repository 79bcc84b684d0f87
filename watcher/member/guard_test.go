package member

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// left is a folder as K2HR3's init script leaves it, and a Guard of it.
type left struct {
	t     *testing.T
	dir   string
	guard Guard
	log   bytes.Buffer
}

const leftToken = "k2hr3-role-token"

func newLeft(t *testing.T) *left {
	l := &left{t: t, dir: filepath.Join(t.TempDir(), "antpickax")}
	noError(t, os.Mkdir(l.dir, 0o700))
	for _, name := range []string{leftToken, "k2hr3-role-name", "k2hr3-cuk"} {
		l.write(name, "x")
		l.chmod(name, 0o644)
	}
	l.chmod("", 0o777)
	return l
}

func (l *left) path(name string) string { return filepath.Join(l.dir, name) }

func (l *left) write(name, text string) {
	noError(l.t, os.WriteFile(l.path(name), []byte(text), 0o600))
}

func (l *left) chmod(name string, mode fs.FileMode) {
	noError(l.t, os.Chmod(l.path(name), mode))
}

// modes returns the permissions of the folder and of what is in it.
func (l *left) modes() map[string]string {
	l.t.Helper()
	modes := map[string]string{}
	err := filepath.WalkDir(l.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil && info.Mode()&fs.ModeSymlink == 0 {
			name, _ := filepath.Rel(l.dir, path)
			modes[name] = fmt.Sprintf("%04o", info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return modes
}

// close lets the guard look, and returns how often it logged something done and
// something it could not do.
func (l *left) close() (done, undone int) {
	l.log.Reset()
	l.guard.CloseFolder(l.dir, leftToken, slog.New(slog.NewTextHandler(&l.log, nil)))
	return strings.Count(l.log.String(), "level=INFO"), strings.Count(l.log.String(), "level=WARN")
}

func (l *left) want(done, undone int) {
	l.t.Helper()
	if d, u := l.close(); d != done || u != undone {
		l.t.Errorf("logged %d done and %d not done, want %d and %d\n%s", d, u, done, undone, &l.log)
	}
}

func TestWhatK2HR3sScriptLeavesOpenIsClosed(t *testing.T) {
	l := newLeft(t)
	l.want(2, 0)
	if diff := cmp.Diff(map[string]string{".": "0755", leftToken: "0600", "k2hr3-role-name": "0644", "k2hr3-cuk": "0644"}, l.modes()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	l.want(0, 0)

	l.chmod(leftToken, 0o644) // the script again
	l.want(1, 0)
}

func TestModesThatAreClosedOrMeantStay(t *testing.T) {
	for _, tt := range []struct{ dir, token, wantDir, wantToken fs.FileMode }{
		{0o755, 0o600, 0o755, 0o600},
		{0o700, 0o400, 0o700, 0o400},
		{0o775, 0o600, 0o775, 0o600},
		{0o755, 0o640, 0o755, 0o600},
		{0o755, 0o444, 0o755, 0o400},
		{0o757, 0o600, 0o755, 0o600},
	} {
		l := newLeft(t)
		l.chmod("", tt.dir)
		l.chmod(leftToken, tt.token)
		l.close()
		got := l.modes()
		if got["."] != fmt.Sprintf("%04o", tt.wantDir) || got[leftToken] != fmt.Sprintf("%04o", tt.wantToken) {
			t.Errorf("%04o and %04o became %s and %s", tt.dir, tt.token, got["."], got[leftToken])
		}
	}
}

func TestNothingIsThereToClose(t *testing.T) {
	l := newLeft(t)
	l.chmod("", 0o755)
	os.Remove(l.path(leftToken))
	l.want(0, 0)
	os.RemoveAll(l.dir)
	l.want(0, 0)
}

// Somebody who could write to the folder put something else in the token's place.
func TestTheModeOfAnotherFileIsNotChanged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		put    func(at, other string) error
		undone int
	}{
		{"a symbolic link", func(at, other string) error { return os.Symlink(other, at) }, 1},
		{"a link to nothing", func(at, _ string) error { return os.Symlink("/nonexistent/x", at) }, 0},
		{"a hard link", func(at, other string) error { return os.Link(other, at) }, 1},
		{"a pipe", func(at, _ string) error { return syscall.Mkfifo(at, 0o644) }, 1},
		{"a folder", func(at, _ string) error { return os.Mkdir(at, 0o755) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLeft(t)
			l.chmod("", 0o755)
			os.Remove(l.path(leftToken))
			other := filepath.Join(t.TempDir(), "passwd")
			noError(t, os.WriteFile(other, nil, 0o600))
			os.Chmod(other, 0o644)
			noError(t, tt.put(l.path(leftToken), other))
			before := l.modes()
			l.want(0, tt.undone)
			if diff := cmp.Diff(before, l.modes()); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
			if info, err := os.Stat(other); err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("the other file: %v, %v", info.Mode(), err)
			}
			l.want(0, 0) // it was logged
		})
	}
}

func TestAFolderThatIsALinkIsNotFollowed(t *testing.T) {
	l := newLeft(t)
	to := l.dir
	l.dir += "-link"
	noError(t, os.Symlink(to, l.dir))
	l.want(0, 1)
	l.want(0, 0)
	l.dir = to
	if got := l.modes(); got["."] != "0777" || got[leftToken] != "0644" {
		t.Errorf("modes %v", got)
	}
	l.chmod("", 0o755)
	l.dir += "-link"
	l.want(0, 0) // nothing to close
}

func TestWhatAnotherUserHasIsLoggedOnce(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may give files away; others have those of root to look at.
		l := newLeft(t)
		for _, name := range []string{"", leftToken} {
			if err := os.Chown(l.path(name), 12345, -1); err != nil {
				t.Skip(err)
			}
		}
		l.want(0, 2)
		l.want(0, 0)
		return
	}
	var g Guard
	var log bytes.Buffer
	for range 2 {
		g.CloseFile("/etc/passwd", slog.New(slog.NewTextHandler(&log, nil)))
	}
	if strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), "belongs to user 0") {
		t.Errorf("log:\n%s", &log)
	}
}
