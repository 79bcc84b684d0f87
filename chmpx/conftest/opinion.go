package conftest

import (
	"context"
	"errors"
	"log/slog"

	"k2hdkc-slave-agent/chmpx/tool"
)

// Opinion asks chmpxconftest about files that the agent is about to put in place. It is for one
// goroutine.
type Opinion struct {
	Checker Checker
	Log     *slog.Logger

	out  tool.Output
	said string // why there was no verdict the last time, as it was logged; empty: there was one
}

// Check returns a *[RefusedError] if chmpxconftest does not load the file at path.
//
// No verdict is no refusal: the agent has accepted the file by then, and what keeps chmpxconftest
// from a verdict is most likely a name service that is down, or half an installation. That must not
// keep the servers that are left from chmpx. Check logs it, once for each reason, and returns nil,
// or ctx's error.
func (o *Opinion) Check(ctx context.Context, path string) error {
	err := o.Checker.check(ctx, path, &o.out)
	var refused *RefusedError
	switch verdict := err == nil || errors.As(err, &refused); {
	case verdict:
		if o.said != "" {
			o.Log.Info("chmpxconftest gives a verdict again")
		}
		o.said = ""
		return err
	case ctx.Err() != nil:
		return err
	case err.Error() == o.said:
		return nil
	}
	o.said = err.Error()
	if errors.Is(err, ErrNotInstalled) {
		o.Log.Info("chmpxconftest does not judge new files; the agent alone does", "reason", err)
	} else {
		o.Log.Warn("chmpxconftest gives no verdict; the agent's own decides about new files", "error", err)
	}
	return nil
}
