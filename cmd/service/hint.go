package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os/exec"
	"syscall"
)

// Hint adds to the error of an agent that lacks a right how to widen what the unit allows. It
// returns any other error as it is, and every error where systemd has not started the agent.
func Hint(err error) error {
	if err == nil || !Supervised() || !lacksRight(err) {
		return err
	}
	return fmt.Errorf("%w; the unit lets the agent write only in its usual folders, give files to no other owner and reach no other user's memory; "+
		"`systemctl daemon-reload && systemctl restart k2hdkc-slave-agent` grants what the configuration (owner, group, output, state-dir, …) needs beyond that", err)
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
func WithHints(h slog.Handler) slog.Handler { return hinting{h} }

type hinting struct{ slog.Handler }

func (h hinting) Handle(ctx context.Context, r slog.Record) error {
	hinted := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if !isNil(a) {
			hinted.AddAttrs(withHint(a))
		}
		return true
	})
	return h.Handler.Handle(ctx, hinted)
}

func (h hinting) WithAttrs(attrs []slog.Attr) slog.Handler {
	hinted := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		hinted[i] = withHint(a)
	}
	return hinting{h.Handler.WithAttrs(hinted)}
}

func (h hinting) WithGroup(name string) slog.Handler { return hinting{h.Handler.WithGroup(name)} }

func isNil(a slog.Attr) bool { return a.Value.Kind() == slog.KindAny && a.Value.Any() == nil }

func withHint(a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.AnyValue(Hint(err))
	}
	return a
}
