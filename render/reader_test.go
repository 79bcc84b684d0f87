package render

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhoMayRead(t *testing.T) {
	nobody := Reader{UID: 994, Groups: []int{990, 27}}
	for _, tt := range []struct {
		name     string
		r        Reader
		uid, gid int
		mode     fs.FileMode
		may      bool
	}{
		{"everybody may", nobody, 0, 0, 0o644, true},
		{"its owner alone may", nobody, 0, 0, 0o600, false},
		{"nobody may", nobody, 0, 0, 0, false},
		{"the owner", nobody, 994, 0, 0o400, true},
		{"the owner of a file that only others may read", nobody, 994, 0, 0o044, false},
		{"the owner, whose group may", nobody, 994, 990, 0o040, false},
		{"the group", nobody, 0, 990, 0o640, true},
		{"a supplementary group", nobody, 0, 27, 0o640, true},
		{"another group", nobody, 0, 28, 0o640, false},
		{"a group that may not where others may", nobody, 0, 990, 0o604, false},
		{"only the right to write", nobody, 994, 990, 0o222, false},
		{"root", Reader{All: true}, 1234, 1234, 0, true},
		{"root without capabilities", Reader{}, 1234, 1234, 0o600, false},
		{"root without capabilities, its own", Reader{}, 0, 0, 0o400, true},
		// 65534 stands for whomever the user namespace does not have.
		{"perhaps the owner, who may", Reader{UID: 65534}, 65534, 0, 0o400, true},
		{"perhaps the owner, who may not where others may", Reader{UID: 65534}, 65534, 0, 0o044, true},
		{"perhaps the group, which may", Reader{UID: 65534, Groups: []int{65534}}, 0, 65534, 0o640, true},
		{"perhaps the group, which may not where others may", Reader{UID: 65534, Groups: []int{65534}}, 0, 65534, 0o604, true},
		{"surely not root", Reader{UID: 65534, Groups: []int{65534}}, 0, 0, 0o600, false},
		{"surely not root's group", Reader{UID: 65534, Groups: []int{65534}}, 65534, 0, 0o040, false},
	} {
		if got := tt.r.may(tt.uid, tt.gid, tt.mode, toRead); got != tt.may {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.may)
		}
	}
}

// other is who owns nothing here; the folders above those of the test do not count.
func other() Reader { return Reader{UID: 901, Groups: []int{901}, Elsewhere: true} }

// barFile is a file that everybody may read, in a folder that everybody may enter.
func barFile(t *testing.T) File {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "slave.ini")
	noError(t, os.Chmod(dir, 0o755))
	noError(t, os.WriteFile(path, nil, 0o644))
	noError(t, os.Chmod(path, 0o644))
	return File{Path: path}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantBars holds what keeps somebody from the file in place, and from a replacement, against the
// paths below the folder of the file; none: nothing does.
func wantBars(t *testing.T, f File, r Reader, now, next string) {
	t.Helper()
	const none = "none"
	for want, bar := range map[*string]*Bar{&now: r.Bar(f.Path), &next: f.Bar(r)} {
		got := none
		if bar != nil {
			got = strings.TrimPrefix(strings.TrimPrefix(bar.Path, filepath.Dir(f.Path)), "/")
		}
		if got != *want {
			t.Errorf("%q keeps it from the file, want %q", got, *want)
		}
	}
}

func TestWhatKeepsAReaderFromAFile(t *testing.T) {
	private := fs.FileMode(0o600)
	open := fs.FileMode(0o644)
	for name, tt := range map[string]struct {
		make      func(t *testing.T, f *File, r *Reader)
		now, next string
	}{
		"nothing":           {func(*testing.T, *File, *Reader) {}, "none", "none"},
		"its mode":          {func(t *testing.T, f *File, _ *Reader) { noError(t, os.Chmod(f.Path, private)) }, "slave.ini", "slave.ini"},
		"that to come":      {func(_ *testing.T, f *File, _ *Reader) { f.Mode = &private }, "none", "slave.ini"},
		"that before":       {func(t *testing.T, f *File, _ *Reader) { f.Mode = &open; noError(t, os.Chmod(f.Path, private)) }, "slave.ini", "none"},
		"the folder":        {func(t *testing.T, f *File, _ *Reader) { noError(t, os.Chmod(filepath.Dir(f.Path), 0o744)) }, "", ""},
		"no file yet":       {func(t *testing.T, f *File, _ *Reader) { f.Mode = &private; noError(t, os.Remove(f.Path)) }, "none", "slave.ini"},
		"no file, nor mode": {func(t *testing.T, f *File, _ *Reader) { noError(t, os.Remove(f.Path)) }, "none", "none"},
		"an owner to come": {func(t *testing.T, f *File, r *Reader) {
			noError(t, os.Chmod(f.Path, private))
			f.Owner = &r.UID
		}, "slave.ini", "none"},
		"another owner to come": {func(t *testing.T, f *File, r *Reader) {
			noError(t, os.Chmod(f.Path, 0o400))
			r.UID = os.Geteuid()
			f.Owner = new(int)
			*f.Owner = 1234
		}, "none", "slave.ini"},
		"a mode that an ACL may be wider than": {func(t *testing.T, f *File, _ *Reader) {
			noError(t, os.Chmod(f.Path, private))
			const acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\x85\x03\x00\x00" +
				"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
			if err := unix.Setxattr(f.Path, aclAttr, []byte(acl), 0); err != nil {
				t.Skipf("no ACLs here: %v", err)
			}
		}, "none", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			f, r := barFile(t), other()
			tt.make(t, &f, &r)
			wantBars(t, f, r, tt.now, tt.next)
		})
	}
}

// The folders above count by the way that leads there, and not where the reader may have others.
func TestWhatKeepsAReaderFromAFolder(t *testing.T) {
	f := barFile(t)
	top := filepath.Dir(f.Path)
	closed := filepath.Join(top, "closed")
	dir := filepath.Join(closed, "k2hdkc")
	noError(t, os.MkdirAll(dir, 0o755))
	noError(t, os.Rename(f.Path, filepath.Join(dir, "slave.ini")))
	noError(t, os.Chmod(closed, 0o700))
	noError(t, os.Symlink(dir, filepath.Join(top, "link")))
	for _, way := range []string{dir, filepath.Join(top, "link")} {
		r := other()
		f = File{Path: filepath.Join(way, "slave.ini")}
		if r.Bar(f.Path) != nil || f.Bar(r) != nil {
			t.Errorf("%s: folders count that the reader may not have", way)
		}
		r.Elsewhere = false
		for _, bar := range []*Bar{r.Bar(f.Path), f.Bar(r)} {
			if bar == nil || bar.Path != closed || !bar.Mode.IsDir() || bar.Looks() == "" {
				t.Errorf("%s: %+v keeps it from there, want %s", way, bar, closed)
			}
		}
	}
}
