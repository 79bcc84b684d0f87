package conftest

import (
	"context"
	"errors"
	"log/slog"
)

// Opinion asks chmpxconftest about files that the agent is about to put in place. It is for one
// goroutine.
type Opinion struct {
	Checker Checker
	Log     *slog.Logger

	absent bool // chmpxconftest was not installed the last time
}

// Check returns a *[RefusedError] if chmpxconftest does not load the file at path.
//
// No verdict is no refusal: the agent has accepted the file by then, and what keeps chmpxconftest
// from a verdict is most likely a name service that is down. That must not keep the servers that
// are left from chmpx. Check logs it and returns nil, or ctx's error.
func (o *Opinion) Check(ctx context.Context, path string) error {
	err := o.Checker.Check(ctx, path)
	wasAbsent := o.absent
	o.absent = errors.Is(err, ErrNotInstalled)
	var refused *RefusedError
	switch {
	case err == nil, errors.As(err, &refused), ctx.Err() != nil:
		return err
	case !o.absent:
		o.Log.Warn("chmpxconftest gives no verdict on the new file; the agent's own decides", "error", err)
	case !wasAbsent:
		o.Log.Info("new files get no second opinion", "reason", err)
	}
	return nil
}
