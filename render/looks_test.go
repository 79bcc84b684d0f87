package render

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
)

// nobody is a user that is not root.
const nobody = 65534

// acl is an ACL as setfacl would make it: owner and group may do what mode says, the user named
// what mask says.
func acl(mode fs.FileMode, user uint32, mask uint16) []byte {
	const namedUser, maskTag = 0x02, 0x10
	b := binary.LittleEndian.AppendUint32(nil, 2)
	entry := func(tag, rights uint16, id uint32) {
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = binary.LittleEndian.AppendUint16(b, rights)
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	const none = ^uint32(0)
	entry(aclOwner, uint16(mode>>6&7), none)
	entry(namedUser, mask, user)
	entry(aclGroup, uint16(mode>>3&7), none)
	entry(maskTag, mask, none)
	entry(aclOther, uint16(mode&7), none)
	return b
}

func setAttr(t *testing.T, path, name string, value []byte) {
	t.Helper()
	if err := unix.Setxattr(path, name, value, 0); err != nil {
		t.Skipf("no attribute %s here: %v", name, err)
	}
}

// attr returns an attribute, "" if there is none.
func attr(t *testing.T, path, name string) string {
	t.Helper()
	b := make([]byte, 4096)
	n, err := unix.Lgetxattr(path, name, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// onFileSystems runs a test on each of the file systems that a host may have.
func onFileSystems(t *testing.T, test func(t *testing.T, f File)) {
	mounted := func(kind, options string) func(t *testing.T) {
		return func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"lower", "upper", "work"} {
				fatal.If(t, os.Mkdir(filepath.Join(dir, name), 0o755))
			}
			at := t.TempDir()
			mountOrSkip(t, kind, at, kind, 0, strings.ReplaceAll(options, "DIR", dir))
			test(t, File{Path: filepath.Join(at, "slave.ini")})
		}
	}
	t.Run("disk", func(t *testing.T) { test(t, target(t)) })
	t.Run("tmpfs", mounted("tmpfs", "size=1m"))
	t.Run("overlay", mounted("overlay", "lowerdir=DIR/lower,upperdir=DIR/upper,workdir=DIR/work"))
}

// The file that chmpx's user reads by an entry of its own, and its group does not read.
func TestReplaceKeepsTheACL(t *testing.T) {
	onFileSystems(t, func(t *testing.T, f File) {
		write(t, f.Path, "old", 0o600)
		want := acl(0o600, nobody, 0o4)
		setAttr(t, f.Path, aclAttr, want)
		for _, text := range []string{"new", "newer"} {
			fatal.If(t, replace(t, f, text))
		}
		info, err := os.Stat(f.Path)
		if got := attr(t, f.Path, aclAttr); err != nil || got != string(want) || info.Mode().Perm() != 0o640 {
			t.Errorf("ACL %x, mode %v, want %x, 0640 (the mask); %v", got, info.Mode(), want, err)
		}
		onlyFile(t, f.Path)
	})
}

func TestReplaceKeepsExtendedAttributes(t *testing.T) {
	for name, value := range map[string]string{
		"user.origin": "K2HR3", "user.empty": "", "trusted.origin": "K2HR3", "security.selinux": "system_u:object_r:etc_t:s0\x00",
		"security.test": "x", "user.long": strings.Repeat("x", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			onFileSystems(t, func(t *testing.T, f File) {
				write(t, f.Path, "old", 0o644)
				setAttr(t, f.Path, name, []byte(value))
				fatal.If(t, replace(t, f, "new"))
				names, err := attributes(f.Path)
				if err != nil || len(names) != 1 || attr(t, f.Path, name) != value {
					t.Errorf("attributes %q, %s is %q: %v", names, name, attr(t, f.Path, name), err)
				}
			})
		})
	}
}

// A folder gives new files an ACL. One that replaces a file has what that had.
func TestReplaceTakesNoACLFromTheFolder(t *testing.T) {
	onFileSystems(t, func(t *testing.T, f File) {
		setAttr(t, filepath.Dir(f.Path), "system.posix_acl_default", acl(0o700, nobody, 0o7))
		write(t, f.Path, "old", 0o640)
		fatal.If(t, unix.Removexattr(f.Path, aclAttr))
		fatal.If(t, os.Chmod(f.Path, 0o640))
		fatal.If(t, replace(t, f, "new"))
		if info, _ := os.Stat(f.Path); attr(t, f.Path, aclAttr) != "" || info.Mode().Perm() != 0o640 {
			t.Errorf("ACL %x, mode %v", attr(t, f.Path, aclAttr), info.Mode())
		}
	})
}

// The mode that the operator asks for is about owner, group and others; who was named stays so.
// With the group of the folder, others would read the file than the options say.
func TestTheFirstFileInASetgidFolderHasTheAgentsGroup(t *testing.T) {
	onFileSystems(t, func(t *testing.T, f File) {
		dir := filepath.Dir(f.Path)
		if err := os.Chown(dir, -1, nobody); err != nil {
			t.Skip(err)
		}
		fatal.If(t, os.Chmod(dir, 0o755|fs.ModeSetgid))
		look := func(want int) {
			t.Helper()
			info, err := os.Stat(f.Path)
			fatal.If(t, err)
			if _, gid := ids(info); gid != want {
				t.Errorf("group %d, want %d", gid, want)
			}
		}
		fatal.If(t, replace(t, f, "first"))
		look(os.Getegid())
		fatal.If(t, os.Chown(f.Path, -1, nobody))
		fatal.If(t, replace(t, f, "second"))
		look(nobody)
		fatal.If(t, os.Remove(f.Path))
		group := nobody - 1
		f.Group = &group
		fatal.If(t, replace(t, f, "first"))
		look(group)
	})
}

func TestReplaceWithAModeAndAnACL(t *testing.T) {
	f := target(t)
	write(t, f.Path, "old", 0o600)
	setAttr(t, f.Path, aclAttr, acl(0o664, nobody, 0o6))
	mode := fs.FileMode(0o600)
	f.Mode = &mode
	fatal.If(t, replace(t, f, "new"))
	if got, want := attr(t, f.Path, aclAttr), string(acl(0o600, nobody, 0o6)); got != want {
		t.Errorf("ACL %x, want %x", got, want)
	}
}

// What somebody changes while a file is on its way counts.
func TestReplaceLooksAgain(t *testing.T) {
	f := target(t)
	write(t, f.Path, "old", 0o644)
	change := func() {
		fatal.If(t, os.Chmod(f.Path, 0o600))
		setAttr(t, f.Path, aclAttr, acl(0o600, nobody, 0o4))
	}
	looks := func(when string) {
		t.Helper()
		if got := attr(t, f.Path, aclAttr); content(t, f.Path) != "new" || got != string(acl(0o600, nobody, 0o4)) {
			t.Errorf("%s: %q with the ACL %x", when, content(t, f.Path), got)
		}
	}
	s, err := f.Stage([]byte("new"))
	fatal.If(t, err)
	change()
	fatal.If(t, s.Commit())
	looks("while it was staged")

	fatal.If(t, errors.Join(os.Remove(f.Path), f.Park([]byte("new"))))
	write(t, f.Path, "old", 0o644)
	change()
	fatal.If(t, errors.Join(f.CommitParked([]byte("new")), f.DropPrevious()))
	looks("while it was held")
}

// alone replaces f as the packaged unit's agent does: as root without capabilities, in a user
// namespace that has root alone. It returns what came of it.
func alone(t *testing.T, f File) error {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to own a file as somebody else")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAlone$")
	cmd.Env = append(os.Environ(), aloneWith+"="+f.Path)
	root := []syscall.SysProcIDMap{{Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: root, GidMappings: root}
	out, err := cmd.CombinedOutput()
	if errors.As(err, new(*fs.PathError)) {
		t.Skip("no namespaces of users here:", err)
	}
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

const aloneWith = "K2HDKC_TEST_ALONE"

// TestAlone is what alone runs.
func TestAlone(t *testing.T) {
	f := File{Path: os.Getenv(aloneWith)}
	if f.Path == "" {
		t.Skip("for another test")
	}
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	fatal.If(t, unix.Capset(&header, &none[0]))
	fatal.If(t, replace(t, f, "new"))
}

func TestReplaceWithoutOtherUsers(t *testing.T) {
	mine := acl(0o640, 0, 0o4)
	for _, c := range []struct {
		name  string
		owner int
		mode  fs.FileMode
		attrs map[string][]byte
		says  string // "": it is replaced
	}{
		{"root's own file", 0, 0o600, nil, ""},
		{"root's own file with attributes", 0, 0o600, map[string][]byte{"user.a": []byte("b")}, ""},
		{"root's own file with an ACL that names root", 0, 0o640, map[string][]byte{aclAttr: mine}, ""},
		{"an ACL that names somebody", 0, 0o600, map[string][]byte{aclAttr: acl(0o600, nobody, 0o4)}, "user namespace"},
		{"somebody else's file", nobody, 0o640, nil, "cannot give it the owner"},
		{"somebody else's file that everybody may read", nobody, 0o644, nil, "cannot give it the owner"},
		{"a label that only the system gives", 0, 0o644, map[string][]byte{"security.test": []byte("x")}, "security.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := target(t)
			write(t, f.Path, "old", c.mode)
			if err := os.Chown(f.Path, c.owner, c.owner); err != nil {
				t.Skip(err)
			}
			for name, value := range c.attrs {
				setAttr(t, f.Path, name, value)
			}
			before, _ := os.Stat(f.Path)
			err := alone(t, f)
			want := "new"
			if c.says != "" {
				want = "old"
			}
			if got := content(t, f.Path); got != want || (err == nil) != (c.says == "") {
				t.Errorf("the file is %q, want %q: %v", got, want, err)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("it does not say %q: %v", c.says, err)
			}
			after, _ := os.Stat(f.Path)
			uid, gid := ids(after)
			if after.Mode() != before.Mode() || uid != c.owner || gid != c.owner {
				t.Errorf("now %d:%d %v, before %d %v", uid, gid, after.Mode(), c.owner, before.Mode())
			}
			for name, value := range c.attrs {
				if got := attr(t, f.Path, name); got != string(value) {
					t.Errorf("%s is %x, want %x", name, got, value)
				}
			}
			onlyFile(t, f.Path)
		})
	}
}

// chattr sets an attribute of a file or folder until the end of the test.
func chattr(t *testing.T, path string, flag int) {
	t.Helper()
	f, err := os.Open(path)
	fatal.If(t, err)
	before, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, before|flag)
	}
	if err != nil {
		f.Close()
		t.Skipf("no such attribute here: %v", err)
	}
	t.Cleanup(func() {
		defer f.Close()
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, before); err != nil {
			t.Error(err)
		}
	})
}

func TestReplaceOfAFrozenFile(t *testing.T) {
	const immutable, appendOnly = 0x10, 0x20
	for name, c := range map[string]struct {
		of   func(path string) string
		flag int
		says string
	}{
		"an immutable file":     {func(path string) string { return path }, immutable, "chattr -i"},
		"an append-only file":   {func(path string) string { return path }, appendOnly, "chattr -a"},
		"an immutable folder":   {filepath.Dir, immutable, "chattr -i"},
		"an append-only folder": {filepath.Dir, appendOnly, "chattr -a"},
	} {
		t.Run(name, func(t *testing.T) {
			f := target(t)
			write(t, f.Path, "old", 0o644)
			chattr(t, c.of(f.Path), c.flag)
			for what, err := range map[string]error{"a replacement": replace(t, f, "new"), "Foresee": f.Foresee()} {
				if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "run "+c.says+" "+c.of(f.Path)+":") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if content(t, f.Path) != "old" {
				t.Error("it is replaced")
			}
		})
	}
}
