package service

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestErrorsOfWritingTellOfTheUnit(t *testing.T) {
	const hint = "systemctl daemon-reload && systemctl restart k2hdkc-slave-agent"
	for _, c := range []struct {
		err     error
		service bool
		want    bool
	}{
		{&os.PathError{Op: "chown", Path: "/etc/k2hdkc/.slave.next.ini", Err: syscall.EPERM}, true, true},
		{&os.PathError{Op: "chown", Path: "/etc/k2hdkc/.slave.next.ini", Err: syscall.EINVAL}, true, true},
		{&os.PathError{Op: "setxattr", Path: "/etc/k2hdkc/.slave.next.ini", Err: syscall.EINVAL}, true, true},
		{&os.PathError{Op: "open", Path: "/srv/.slave.next.ini", Err: syscall.EROFS}, true, true},
		{&os.PathError{Op: "mkdir", Path: "/srv/state", Err: syscall.EACCES}, true, true},
		{&os.PathError{Op: "open", Path: "/srv/.slave.next.ini", Err: syscall.ENOSPC}, true, false},
		{errors.New("the RESOURCE is not applied"), true, false},
		{&os.PathError{Op: "fork/exec", Path: "/usr/bin/chmpxstatus", Err: syscall.EACCES}, true, false},
		{&exec.Error{Name: "/usr/bin/chmpxstatus", Err: fs.ErrPermission}, true, false},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EPERM)}, true, false},
		{&os.PathError{Op: "read", Path: "/etc/k2hdkc/slave.ini", Err: syscall.EINVAL}, true, false},
		{&os.PathError{Op: "open", Path: "/srv/.slave.next.ini", Err: syscall.EROFS}, false, false},
	} {
		supervise(t, c.service)
		got := Hint(fmt.Errorf("cannot write: %w", c.err), nil)
		if strings.Contains(got.Error(), hint) != c.want || !errors.Is(got, c.err) {
			t.Errorf("under systemd: %v: %v", c.service, got)
		}
	}
	if err := Hint(nil, []string{"X"}); err != nil {
		t.Error(err)
	}
}

func TestErrorsInTheLogTellOfTheUnit(t *testing.T) {
	supervise(t, true)
	var text bytes.Buffer
	log := slog.New(WithHints(slog.NewTextHandler(&text, nil), nil))
	lacking := &os.PathError{Op: "open", Path: "/srv/.slave.next.ini", Err: syscall.EROFS}
	log.Info("plain", "path", "/srv", "error", errors.New("not found"))
	if strings.Contains(text.String(), "systemctl") || !strings.Contains(text.String(), `path=/srv error="not found"`) {
		t.Errorf("logged %s", text.String())
	}
	text.Reset()
	var none error
	log.Warn("nothing went wrong", "error", none, "path", "/srv")
	if strings.Contains(text.String(), "error") || !strings.Contains(text.String(), "path=/srv") {
		t.Errorf("an error that there is none of: logged %s", text.String())
	}
	for name, log := range map[string]*slog.Logger{
		"an attribute": log, "one of the logger's": log.With("reason", lacking), "one in a group": log.WithGroup("file"),
	} {
		text.Reset()
		if name == "one of the logger's" {
			log.Warn("cannot write")
		} else {
			log.Warn("cannot write", "error", lacking)
		}
		if strings.Count(text.String(), "systemctl restart k2hdkc-slave-agent") != 1 {
			t.Errorf("%s: logged %s", name, text.String())
		}
	}
}

// TestHintsHelp: each says what keeps the agent from it, and what changes that.
func TestHintsHelp(t *testing.T) {
	supervise(t, true)
	const again = "daemon-reload"
	env := []string{"K2HDKC_SLAVE_OUTPUT"}
	denied := func(path string) error { return &os.PathError{Op: "open", Path: path, Err: syscall.EROFS} }
	for _, c := range []struct {
		name   string
		err    error
		unseen []string
		says   string
		not    string
	}{
		{"a folder of the options", denied("/srv/x/slave.ini"), nil, again, "slave-agent.ini, then"},
		{"an option of systemd's own environment", denied("/srv/x/slave.ini"), env, "K2HDKC_SLAVE_OUTPUT comes from systemd's own environment", "usual folders"},
		{"a home", denied("/home/k/slave.ini"), env, "ProtectHome=no", again},
		{"a name that the generator leaves alone", denied("/srv/a b/slave.ini"), nil, "ReadWritePaths=", again},
		{"chattr, said already", fmt.Errorf("run chattr -i x: %w", denied("/nowhere/slave.ini")), nil, "", ""},
	} {
		got := Hint(c.err, c.unseen).Error()
		if !strings.Contains(got, c.says) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestChattrIsTheHint(t *testing.T) {
	supervise(t, true)
	dir := t.TempDir()
	file := filepath.Join(dir, "slave.ini")
	fatal.If(t, os.WriteFile(file, nil, 0o644))
	for _, at := range []string{file, dir} {
		if out, err := exec.Command("chattr", "+i", at).CombinedOutput(); err != nil {
			t.Skipf("chattr: %v\n%s", err, out)
		}
		path := file
		if at == dir {
			path += "2"
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err == nil {
			f.Close()
			t.Fatal("it is not frozen")
		}
		got := Hint(fmt.Errorf("cannot write: %w", err), nil).Error()
		said := Hint(fmt.Errorf("run chattr -i %s: %w", at, &os.PathError{Op: "rename", Path: file, Err: syscall.EPERM}), nil).Error()
		if out, err := exec.Command("chattr", "-i", at).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.HasSuffix(got, ": chattr -i "+at) || strings.Contains(got, "daemon-reload") {
			t.Errorf("%s: %s", at, got)
		}
		if strings.Contains(said, ";") {
			t.Errorf("said twice: %s", said)
		}
	}
}

// TestAReadOnlyFileSystemIsNoMatterOfTheUnit: what the host has mounted read-only stays so,
// whatever is granted.
func TestAReadOnlyFileSystemIsNoMatterOfTheUnit(t *testing.T) {
	mounts := filepath.Join(t.TempDir(), "mountinfo")
	const list = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 8:2 / /srv ro,relatime - ext4 /dev/vdb ro
24 23 8:3 / /srv/data rw,relatime shared:2 - ext4 /dev/vdc rw
25 22 8:4 / /data rw,relatime - ext4 /dev/vdd ro,errors=remount-ro
26 22 8:5 / /again ro,relatime - ext4 /dev/vde ro
27 26 8:6 / /again rw,relatime - ext4 /dev/vdf rw
`
	fatal.If(t, os.WriteFile(mounts, []byte(list), 0o644))
	for path, readOnly := range map[string]bool{
		"/srv/slave.ini": true, "/srv/a/b": true, "/data/slave.ini": true,
		"/srv/data/slave.ini": false, "/srv2/slave.ini": false, "/again/slave.ini": false, "/etc/slave.ini": false,
	} {
		err := &os.PathError{Op: "open", Path: path, Err: syscall.EROFS}
		got := hintRight(err, nil, mounts)
		if strings.Contains(got, "mounted read-only") != readOnly || strings.Contains(got, "daemon-reload") == readOnly {
			t.Errorf("%s: %s", path, got)
		}
	}
}
