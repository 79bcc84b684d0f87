package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// errBadToken says that there is a role token file and no role token in it.
var errBadToken = errors.New("the role token cannot be used")

// right is what a host may read a RESOURCE by.
type right int32

const (
	byAddress right = iota
	byToken
)

func (r right) String() string {
	if r == byToken {
		return "role token"
	}
	return "address and CUK"
}

// Ask reads the RESOURCE, which K2HR3 may hold for wait until the text is another than etag's. It
// does so by the right that was good last time, else by the other one. Address and CUK come first:
// they do not expire. Ask uses no token that K2HR3 makes for a host: K2HR3 gives and takes it by
// the same address and CUK (docs/k2hr3.md B.3, C.4), so it is never good where these are not, and
// is one more secret.
func (m *Member) Ask(ctx context.Context, etag string, wait time.Duration) (k2hr3.Answer, error) {
	q := k2hr3.Query{Resource: m.Resource, Role: m.Role, CUK: m.CUK, ETag: etag, Wait: wait}
	rights := []right{byAddress, byToken}
	if m.right.Load() == int32(byToken) {
		rights = []right{byToken, byAddress}
	}
	var failed error
	for _, r := range rights {
		answer, err := m.askBy(ctx, q, r)
		m.learn(r, err)
		switch {
		case err == nil:
			m.succeeded(r)
			m.forget(r)
			return answer, nil
		case errors.Is(err, ErrNoToken):
			continue
		case failed == nil:
			failed = fmt.Errorf("by %s: %w", r, err)
		default:
			failed = fmt.Errorf("%w; by %s: %w", failed, r, err)
		}
		if !refused(err) {
			break
		}
	}
	return k2hr3.Answer{}, failed
}

func (m *Member) askBy(ctx context.Context, q k2hr3.Query, r right) (k2hr3.Answer, error) {
	if r == byToken {
		token, err := m.token(ctx)
		if err != nil && !errors.Is(err, ErrNoToken) {
			err = fmt.Errorf("%w: %w", errBadToken, err)
		}
		if err != nil {
			return k2hr3.Answer{}, err
		}
		q.Token = token
	}
	answer, err := m.Client.Resource(ctx, q)
	if r == byToken {
		m.refusedToken(q.Token, err)
	}
	return answer, err
}

// refused reports whether the other right could be the better one.
func refused(err error) bool {
	return errors.Is(err, errBadToken) || errors.Is(err, k2hr3.ErrUnauthorized) || errors.Is(err, k2hr3.ErrNotMember) ||
		errors.Is(err, k2hr3.ErrNotAllowed) || errors.Is(err, k2hr3.ErrBadRequest)
}

// learn keeps what an attempt to read says about the membership.
func (m *Member) learn(r right, err error) {
	if r != byAddress {
		return
	}
	switch {
	case err == nil:
		m.outside.Store(false)
	case errors.Is(err, k2hr3.ErrNotMember):
		m.outside.Store(true)
	}
}

// succeeded keeps the right that an answer came by.
func (m *Member) succeeded(r right) {
	m.right.Store(int32(r))
	switch before := m.told.Swap(int32(r)); {
	case before == int32(r):
	case r == byToken:
		m.Log.Info("K2HR3 lets this host read by its role token", "resource", m.Resource.String())
	default:
		m.Log.Info("K2HR3 lets this host read by its address and CUK", "resource", m.Resource.String())
	}
}

// forget deletes the token of a member that reads without it, if the operator wants that.
func (m *Member) forget(r right) {
	if !m.ForgetToken || r != byAddress || !m.verified.Load() {
		return
	}
	path := m.TokenFile()
	if path == "" {
		return
	}
	file, err := deleteToken(path)
	if errors.Is(err, fs.ErrNotExist) {
		return // since the last time
	}
	if err != nil {
		if m.unkept != path {
			m.Log.Warn("this host no longer needs the role token, but the agent cannot delete it", "file", file, "error", err)
		}
		m.unkept = path
		return
	}
	m.unkept = ""
	m.dropToken()
	m.Log.Info("the agent has deleted the role token, which this host no longer needs", "file", file)
}
