package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

const (
	firstRepeat = time.Minute
	maxRepeat   = time.Hour
)

// trouble is one thing that can go wrong and stay wrong. It does not fill the
// log: it is logged at once when it is new, then at growing intervals, and
// otherwise at debug level. Each line says how often it came up without one.
type trouble struct {
	log *slog.Logger
	err error // the latest; nil: nothing is wrong

	last   string // the kind that was logged last
	logged time.Time
	gap    time.Duration
	silent int // how often it came up since then
}

// report takes note of err and logs it with message. Two errors of one kind are
// the same trouble.
func (t *trouble) report(now time.Time, level slog.Level, message string, err error, args ...any) {
	t.err = err
	if err != nil {
		args = append(args, "error", err)
	}
	level = t.level(now, kind(message, err), level)
	if level > slog.LevelDebug {
		args = append(args, t.repeats()...)
	}
	t.log.Log(context.Background(), level, message, args...)
}

// leave takes note of err and leaves it to another part to log it.
func (t *trouble) leave(err error) { t.err = err }

// repeats returns the attribute that says how often the trouble came up without a line
// of its own, nothing if it did not, and counts anew.
func (t *trouble) repeats() []any {
	n := t.silent
	t.silent = 0
	if n == 0 {
		return nil
	}
	return []any{"repeats", n}
}

// level returns the level to log at: the one given, or debug if the same was
// logged a short while ago.
func (t *trouble) level(now time.Time, kind string, level slog.Level) slog.Level {
	switch {
	case kind != t.last:
		t.last, t.gap, t.silent = kind, firstRepeat, 0
	case now.Before(t.logged.Add(t.gap)):
		t.silent++
		return slog.LevelDebug
	default:
		t.gap = min(2*t.gap, maxRepeat)
	}
	t.logged = now
	return level
}

// end ends the trouble, and logs that with message if there was any.
func (t *trouble) end(message string) {
	repeats := t.repeats()
	if t.over() {
		t.log.Info(message, repeats...)
	}
}

// over ends the trouble, and reports whether any of it was logged.
func (t *trouble) over() bool {
	was := t.last != ""
	*t = trouble{log: t.log}
	return was
}

// kind is what stays the same in an error each time it comes up: the text of a
// network error has a port number in it that does not.
func kind(message string, err error) string {
	if err == nil {
		return message
	}
	if e, ok := errors.AsType[*k2hr3.Error](err); ok {
		return fmt.Sprint(e.Op, e.Status, e.Kind)
	}
	return err.Error()
}
