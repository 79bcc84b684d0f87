package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"k2hdkc-slave-agent/packaging/unitfile"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

// Hint adds to the error of an agent that lacks a right what keeps it from writing and how to
// change that. unseen are the variables that set an option and that the unit's files do not have.
// Any other error stays as it is, and every error where systemd has not started the agent.
func Hint(err error, unseen []string) error {
	if err == nil || !Supervised() || !lacksRight(err) {
		return err
	}
	if hint := hintRight(err, unseen, hostMounts); hint != "" {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}

// hintRight says what helps; empty where the error says it. mounts lists what is mounted outside of
// the unit.
func hintRight(err error, unseen []string, mounts string) string {
	const again = "`systemctl daemon-reload && systemctl restart k2hdkc-slave-agent`"
	path := pathOf(err)
	at, attr := frozen(path)
	switch {
	case attr != "" && strings.Contains(err.Error(), "chattr"):
		return ""
	case attr != "":
		return "its attribute " + attr + " keeps everybody from it: chattr -" + attr + " " + at
	case errors.Is(err, syscall.EROFS) && readOnly(mounts, path):
		return "the host has that file system mounted read-only, which no right of the unit changes (findmnt --target " + filepath.Dir(path) + "): mount it writable, or name another folder"
	case hidden(path):
		return "the unit hides /home, /root and /run/user from the agent: name another folder, or say ProtectHome=no by `systemctl edit k2hdkc-slave-agent`"
	case len(unseen) > 0:
		return "the unit is given rights for what slave-agent.ini and the unit's own Environment= name, and " + strings.Join(unseen, ", ") +
			" comes from systemd's own environment (systemctl show-environment): write the option into slave-agent.ini, then " + again
	case !unitfile.Plain(path):
		return "a folder with such a name is granted by hand: `systemctl edit k2hdkc-slave-agent`, with [Service] and a ReadWritePaths= that names it"
	}
	return "the unit lets the agent write only in its usual folders, give files to no other owner and reach no other user's memory; " +
		again + " grants what the configuration (owner, group, output, state-dir, …) needs beyond that"
}

// pathOf is the file that an error is about, or empty.
func pathOf(err error) string {
	var file *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &file):
		return file.Path
	case errors.As(err, &link):
		return link.New
	}
	return ""
}

// frozen is the file or its folder, whichever chattr keeps everybody from writing to, and its
// attribute.
func frozen(path string) (at, attr string) {
	if path == "" {
		return "", ""
	}
	for _, at := range []string{path, filepath.Dir(path)} {
		if attr := render.Frozen(at); attr != "" {
			return at, attr
		}
	}
	return "", ""
}

// hostMounts lists the mounts that systemd sees. In the unit itself nearly all is read-only.
const (
	hostMounts = "/proc/1/mountinfo"
	maxMounts  = 4 << 20
)

// readOnly tells whether a list of mounts (proc_pid_mountinfo(5)) has the file system of a path
// read-only: the one that is mounted nearest above it, and last.
func readOnly(mounts, path string) bool {
	b, err := regularfile.Read(mounts, maxMounts)
	if err != nil {
		return false
	}
	nearest, is := "", false
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || len(f[4]) < len(nearest) || !strings.HasPrefix(path+"/", strings.TrimSuffix(f[4], "/")+"/") {
			continue
		}
		nearest = f[4]
		is = slices.Contains(strings.Split(f[5]+","+f[len(f)-1], ","), "ro")
	}
	return is
}

// hidden tells whether a path is below what ProtectHome= hides.
func hidden(path string) bool {
	return slices.ContainsFunc([]string{"/home/", "/root/", "/run/user/"}, func(dir string) bool {
		return strings.HasPrefix(path+"/", dir)
	})
}

// lacksRight reports whether err is about a file that the agent lacks a right to. chown and
// setxattr return EINVAL for an owner, or for somebody in an ACL, that the unit's user namespace
// does not have. A firewall lets a connection fail with EPERM too, and a program may not be
// executable: the unit has no part in either.
func lacksRight(err error) bool {
	var network *net.OpError
	var program *exec.Error
	var file *fs.PathError
	isFile := errors.As(err, &file)
	switch {
	case errors.As(err, &network), errors.As(err, &program), isFile && file.Op == "fork/exec":
		return false
	case errors.Is(err, syscall.EINVAL):
		return isFile && (file.Op == "chown" || file.Op == "setxattr")
	}
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// WithHints returns a handler that writes to h, with a Hint to each attribute that is an error. It
// leaves out an error that there is none of.
func WithHints(h slog.Handler, unseen []string) slog.Handler { return hinting{h, unseen} }

type hinting struct {
	slog.Handler

	unseen []string
}

func (h hinting) Handle(ctx context.Context, r slog.Record) error {
	hinted := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if !isNil(a) {
			hinted.AddAttrs(h.withHint(a))
		}
		return true
	})
	return h.Handler.Handle(ctx, hinted)
}

func (h hinting) WithAttrs(attrs []slog.Attr) slog.Handler {
	hinted := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		hinted[i] = h.withHint(a)
	}
	return hinting{h.Handler.WithAttrs(hinted), h.unseen}
}

func (h hinting) WithGroup(name string) slog.Handler {
	return hinting{h.Handler.WithGroup(name), h.unseen}
}

func isNil(a slog.Attr) bool { return a.Value.Kind() == slog.KindAny && a.Value.Any() == nil }

func (h hinting) withHint(a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.AnyValue(Hint(err, h.unseen))
	}
	return a
}
