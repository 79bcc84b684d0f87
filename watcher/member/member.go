package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

var (
	// ErrNoToken says that the host would have to register, and has nothing
	// to do it with.
	ErrNoToken = errors.New("no role token")

	// ErrNotVerified says that K2HR3 took a registration and still does not
	// count the host as a member.
	ErrNotVerified = errors.New("registered, but not a member")

	errSlowNo = errors.New("not registering on such an answer")

	// errBadToken says that there is a role token file and no role token in it.
	errBadToken = errors.New("the role token cannot be used")
)

// slowNo is how long a no takes that is not believed. K2HR3 takes about 14 s to
// notice that its store is down.
const slowNo = 10 * time.Second

// Member is this host as a member of the slave role.
type Member struct {
	Client   *k2hr3.Client
	Role     k2hr3.Role
	Resource k2hr3.Resource

	CUK k2hr3.CUK

	// FixedTag is the tag the operator gave; empty: it is found out.
	FixedTag string

	// FullName returns the host's full name, and whether that resolves to one
	// of its addresses: the function host.FullName outside of tests.
	FullName func(context.Context) (string, bool)

	// Address returns the address K2HR3 is reached from.
	Address func(context.Context) (netip.Addr, error)

	// ClientFrom returns a client that connects from an address of this host.
	ClientFrom func(netip.Addr) (*k2hr3.Client, error)

	// TokenFile names the file that holds the role token, or the address of
	// K2HR3's user data with the token in it; empty: there is none. Name and
	// content are asked for whenever the token is needed, so that one which
	// comes late or is rotated is used at once.
	TokenFile func() string

	// ForgetToken: delete the token's file once the host reads without it.
	ForgetToken bool

	Log *slog.Logger

	registrations int // made so far
	misses        int // probes in a row that did not find a host that was known

	fetched fetched

	left string // the old address that is out of the role
	told string // the old address that was told of as staying in

	// good is the right that was good for the last answer.
	good atomic.Int32
	// verified: K2HR3 counts the host as a member, as Keep has seen.
	verified atomic.Bool
	// kept is a token file that could not be deleted, and was told of.
	kept string
	// outside: K2HR3 has said that the host is no member, and not taken it
	// back since.
	outside atomic.Bool
}

// Join makes the host a member, by hand: K2HR3's first no is enough to register.
// It reports whether it had to.
func (m *Member) Join(ctx context.Context) (registered bool, err error) {
	before := m.registrations
	_, err = m.Keep(ctx, Identity{})
	return m.registrations != before, err
}

// Registrations returns how often Keep and Join have registered the host.
func (m *Member) Registrations() int { return m.registrations }

// isMember asks again before it takes a no for one. K2HR3 says no too while its
// store is down, slowly then (spec k2hr3 0.6), and all hosts of a cluster that
// registered anew the moment it is back would take each other off the list.
func (m *Member) isMember(ctx context.Context) (bool, error) {
	is, err := m.Client.IsMember(ctx, m.Role, m.CUK)
	if is || err != nil {
		return is, err
	}
	start := time.Now()
	is, err = m.Client.IsMember(ctx, m.Role, m.CUK)
	if took := time.Since(start); err == nil && !is && took >= slowNo {
		return false, fmt.Errorf("K2HR3 took %v to say that this host is not a member of %s, so its store may be down: %w", took.Round(time.Second), m.Role, errSlowNo)
	}
	return is, err
}

// inside: K2HR3 counts the host as a member, so it should be able to read by its
// address again.
func (m *Member) inside() {
	m.verified.Store(true)
	m.outside.Store(false)
	m.good.Store(int32(byAddress))
}

// Outside reports whether K2HR3 has said, in answer to Ask, that this host is no
// member. Ask may have succeeded all the same, by the role token.
func (m *Member) Outside() bool { return m.outside.Load() }

// verify looks whether a registration had an effect: its answer proves none,
// K2HR3 gives it for a misspelt role too (spec k2hr3 C.1).
func (m *Member) verify(ctx context.Context) error {
	is, err := m.Client.IsMember(ctx, m.Role, m.CUK)
	if err != nil {
		return fmt.Errorf("registered, but cannot tell with what effect: %w", err)
	}
	if !is {
		return fmt.Errorf("%w of %s: is that the role's exact name, and does K2HR3 see this host under one address only?", ErrNotVerified, m.Role)
	}
	return nil
}

// Ask reads the RESOURCE, by the right that was good last time, else by the
// other one. Address and CUK come first: they do not expire. A token that K2HR3
// makes for a host is not used: it is given and taken by the same address and
// CUK (spec k2hr3 B.3, C.4), so it is never good where these are not, and is one
// more secret.
func (m *Member) Ask(ctx context.Context, etag string, wait time.Duration) (k2hr3.Answer, error) {
	q := k2hr3.Query{Resource: m.Resource, Role: m.Role, CUK: m.CUK, ETag: etag, Wait: wait}
	rights := []right{byAddress, byToken}
	if m.good.Load() == int32(byToken) {
		rights = []right{byToken, byAddress}
	}
	var failed error
	for _, r := range rights {
		answer, err := m.askBy(ctx, q, r)
		m.note(r, err)
		switch {
		case err == nil:
			m.found(r)
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

// note keeps what an attempt to read says of the membership.
func (m *Member) note(r right, err error) {
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
		m.refusedToken(err)
	}
	return answer, err
}

func (m *Member) found(r right) {
	if m.good.Swap(int32(r)) != int32(r) {
		m.Log.Info("K2HR3 lets this host read by its "+r.String(), "resource", m.Resource.String())
	}
}

// forget deletes the token of a member that reads without it, if that is wanted.
func (m *Member) forget(r right) {
	if !m.ForgetToken || r != byAddress || !m.verified.Load() {
		return
	}
	path := m.TokenFile()
	if path == "" || path == m.kept {
		return
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return // since the last time
	}
	if err != nil {
		m.kept = path
		m.Log.Warn("the role token is not needed any more, but cannot be deleted", "file", path, "error", err)
		return
	}
	m.dropToken()
	m.Log.Info("the role token is not needed any more and deleted", "file", path)
}

// refused reports whether another right could be the better one.
func refused(err error) bool {
	return errors.Is(err, errBadToken) || errors.Is(err, k2hr3.ErrUnauthorized) || errors.Is(err, k2hr3.ErrNotMember) ||
		errors.Is(err, k2hr3.ErrNotAllowed) || errors.Is(err, k2hr3.ErrBadRequest)
}
