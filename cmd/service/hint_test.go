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
	"strings"
	"syscall"
	"testing"
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
		got := Hint(fmt.Errorf("cannot write: %w", c.err))
		if strings.Contains(got.Error(), hint) != c.want || !errors.Is(got, c.err) {
			t.Errorf("under systemd: %v: %v", c.service, got)
		}
	}
	if err := Hint(nil); err != nil {
		t.Error(err)
	}
}

func TestErrorsInTheLogTellOfTheUnit(t *testing.T) {
	supervise(t, true)
	var text bytes.Buffer
	log := slog.New(WithHints(slog.NewTextHandler(&text, nil)))
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
