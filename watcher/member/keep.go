package member

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

var (
	// ErrMissing says that K2HR3 no longer counts this host as a member. K2HR3 says the same while
	// its store is down, so it has to say it several times before the host registers again.
	ErrMissing = errors.New("K2HR3 says that this host is no longer a member")

	// ErrUnfit says that K2HR3 could register the host, but never take it out again.
	ErrUnfit = errors.New("cannot be registered")
)

// missesToRejoin is how often in a row K2HR3 has to say that it does not know a host that it knew.
const missesToRejoin = 3

// Identity is what K2HR3 knows a host by. The zero Identity is that of a host that was never
// registered, as far as the agent remembers.
type Identity struct {
	Role    string `json:"role,omitempty"`
	CUK     string `json:"cuk,omitempty"`
	Tag     string `json:"tag,omitempty"`
	Address string `json:"address,omitempty"`
}

// Keep makes sure that the host is a member of the role, under the tag and from the address it has
// now, and returns what it is registered as. known is what it was registered as when Keep was last
// called, maybe before a restart. Keep registers the host only
//
//   - when K2HR3 does not know it, and it was not known as the same before;
//   - when its address or its tag has changed: Keep first takes it out under the old address, where
//     the host still has that;
//   - when its CUK has changed: Keep first takes it out under the old one, if that was registered
//     from the address the host has now;
//   - when K2HR3, otherwise in good health, has said three times in a row that it does not know it
//     ([ErrMissing] until then).
//
// Each registration takes the host off the list for a moment and invalidates its tokens
// (docs/k2hr3.md 0.3, 0.4), so nothing less is a reason.
func (m *Member) Keep(ctx context.Context, known Identity) (Identity, error) {
	was := m.own(known)
	is, err := m.isMember(ctx)
	if err != nil {
		return known, err
	}
	// By now K2HR3 has seen the address.
	now, err := m.identity(ctx, was)
	if err != nil {
		return known, err
	}
	reason, err := m.reason(ctx, is, was, now)
	if err != nil {
		return known, err
	}
	if reason == "" {
		if err := m.leaveFormer(ctx, known, now); err != nil {
			return known, err
		}
		m.inside()
		return now, nil
	}
	if m.Left != nil && m.Left() {
		return known, ErrLeft
	}
	token, err := m.fit(ctx, now)
	if err != nil {
		return known, err
	}
	if was.Address != "" && was.Address != now.Address {
		m.leaveOld(ctx, was)
	}
	if err := m.leaveFormer(ctx, known, now); err != nil {
		return known, err
	}
	if err := m.register(ctx, now, token, reason); err != nil {
		return known, err
	}
	return now, nil
}

// own returns known, or nothing if that is about another role, or about another host, which this
// one may be a copy of: neither its name nor its address is then this host's concern.
func (m *Member) own(known Identity) Identity {
	if known.Role != m.Role.String() || known.CUK != m.CUK.String() {
		return Identity{}
	}
	return known
}

// Moved reports whether the host reaches K2HR3 from another address than it is known by.
func (m *Member) Moved(ctx context.Context, known Identity) bool {
	if known.Address == "" {
		return false
	}
	addr, err := m.Address(ctx)
	return err == nil && addr.String() != known.Address
}

// Renamed reports, once, that the host may be called otherwise than before, so that it is time for
// Keep. It asks nobody.
func (m *Member) Renamed() bool {
	return m.FixedTag == "" && m.NameChanged != nil && m.NameChanged()
}

// reason returns why the host has to register, empty if it has not.
func (m *Member) reason(ctx context.Context, is bool, known, now Identity) (string, error) {
	before := m.misses
	m.misses = 0
	switch {
	case is && known.Tag != "" && known.Tag != now.Tag:
		return fmt.Sprintf("its tag has changed from %s to %s", known.Tag, now.Tag), nil
	case is:
		return "", nil
	case known == Identity{}:
		return "it is no member yet", nil
	case known.Address != now.Address:
		return fmt.Sprintf("its address has changed from %s to %s", known.Address, now.Address), nil
	}
	m.misses = before + 1
	if m.misses < missesToRejoin {
		return "", fmt.Errorf("%w of %s (CUK %s): somebody removed it, or K2HR3's store is down; the agent asks again before it does anything", ErrMissing, m.Role, m.CUK.Brief())
	}
	if err := m.Client.Ping(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("K2HR3 has missed it %d times in a row", m.misses), nil
}

// fit returns the token to register with, or why the host cannot register as it is now.
func (m *Member) fit(ctx context.Context, now Identity) (k2hr3.Token, error) {
	token, err := m.token(ctx)
	if errors.Is(err, ErrNoToken) && m.UserTokenFile != "" {
		return token, fmt.Errorf("this host (CUK %s) is not a member of %s and has %w to register with: put a user's token into %s, or a role token into /etc/k2hdkc/role-token", m.CUK.Brief(), m.Role, ErrNoToken, m.UserTokenFile)
	}
	if errors.Is(err, ErrNoToken) {
		return token, fmt.Errorf("this host (CUK %s) is not a member of %s and has %w to register with: put one into /etc/k2hdkc/role-token, or name its file with role-token-file", m.CUK.Brief(), m.Role, ErrNoToken)
	}
	if err != nil {
		return token, err
	}
	if addr, err := netip.ParseAddr(now.Address); err == nil && !k2hr3.CanLeave(addr) {
		return token, fmt.Errorf("this host %w under %s: K2HR3 could never remove that address again; let the host reach K2HR3 over IPv4, or give it an IPv6 address whose last group has one digit", ErrUnfit, addr)
	}
	return token, nil
}

// register registers the host as it is now, and looks whether that had an effect. Where many hosts
// register at the same time K2HR3 loses some of what it has answered with success, and one of its
// processes may not know yet what another one has stored. So register looks again, and registers
// again, a few times within seconds, before it says that a registration has no effect. Where K2HR3
// answers slowly register waits first, since other hosts may be about to register too.
func (m *Member) register(ctx context.Context, now Identity, token k2hr3.Token, reason string) error {
	if err := pause(ctx, schedule.Spread(schedule.Dice{}, m.took)); err != nil {
		return err
	}
	start := time.Now()
	for try := 1; ; try++ {
		if err := m.Client.Register(ctx, m.Role, token, k2hr3.Registration{CUK: m.CUK, Tag: now.Tag, Extra: m.Extra}); err != nil {
			m.refusedToken(token, err)
			return err
		}
		m.registrations++
		is, err := m.verify(ctx, try)
		if err != nil {
			return err
		}
		if is {
			break
		}
		if try == tries || time.Since(start) > triesLast {
			return fmt.Errorf("%w of %s, several times in a row: K2HR3 sees this host under another address each time, or is overloaded; or the role has another name", ErrNotVerified, m.Role)
		}
		m.Log.Debug("K2HR3 took a registration and does not count this host as a member; registering again", "role", now.Role, "try", try)
	}
	m.misses, m.removed, m.stranded = 0, "", ""
	m.inside()
	m.Log.Info("registered with K2HR3", "role", now.Role, "cuk", now.CUK, "tag", now.Tag, "reason", reason)
	return nil
}

// Leave takes the host out of the role, under the address it has and, if known says that it had
// another one, under that. It does so by address and CUK and without a token: with one, K2HR3 would
// delete the token instead (docs/k2hr3.md 0.1). A host that is no member has left already; that is
// no error.
func (m *Member) Leave(ctx context.Context, known Identity) (left bool, err error) {
	if was := m.own(known); m.Moved(ctx, was) {
		left = m.leaveOld(ctx, was)
	}
	err = m.unregister(ctx, m.Client, m.CUK)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, k2hr3.ErrNotMember):
		return left, nil
	}
	return false, fmt.Errorf("this host (CUK %s) may still be listed in %s: %w; unregister again, or remove the host from the role in K2HR3", m.CUK.Brief(), m.Role, err)
}

// leaveOld takes the host out under the address it had, which works from that address alone; where
// it does not, the old entry stays listed until somebody else removes it. While the host cannot
// register, this comes up again and again; leaveOld logs it once. It reports whether the host has
// left.
func (m *Member) leaveOld(ctx context.Context, known Identity) (left bool) {
	if m.removed == known.Address {
		return true
	}
	err := m.leaveFrom(ctx, known.Address)
	switch {
	case err == nil:
		m.removed = known.Address
		m.Log.Info("this host has left the role under its old address", "address", known.Address)
	case errors.Is(err, k2hr3.ErrNotMember):
		// Somebody took it out, or K2HR3's store is down; then the host cannot register either, and
		// the next attempt begins here again.
	case m.stranded != known.Address:
		m.stranded = known.Address
		m.Log.Warn("the old address stays in the role, and in every node's file, until K2HR3's own clean-up or an administrator removes it",
			"address", known.Address, "cuk", known.CUK, "role", known.Role, "error", err)
	}
	return err == nil
}

// leaveFormer takes out what this host registered from its address under another CUK: somebody
// changed that, or an agent on a copy of another host ran before cloud-init did. chmpx would take
// the two entries of one name for each other. The host that this one is a copy of has another
// address, and stays registered.
func (m *Member) leaveFormer(ctx context.Context, known, now Identity) error {
	if known.Role != now.Role || known.CUK == "" || known.CUK == now.CUK || known.Address != now.Address {
		return nil
	}
	former, err := k2hr3.ParseCUK(known.CUK)
	if err != nil {
		return nil // K2HR3 cannot take it out
	}
	err = m.unregister(ctx, m.Client, former)
	if errors.Is(err, k2hr3.ErrNotMember) {
		return nil // or K2HR3's store is down, and nothing else will succeed
	}
	if err == nil {
		m.Log.Info("this host has left the role under its former CUK", "cuk", known.CUK, "address", known.Address)
	}
	return err
}

func (m *Member) leaveFrom(ctx context.Context, address string) error {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return err
	}
	old, err := m.ClientFrom(addr)
	if err != nil {
		return err
	}
	defer old.Close()
	return m.unregister(ctx, old, m.CUK)
}

// identity finds out what K2HR3 would know the host by now.
func (m *Member) identity(ctx context.Context, known Identity) (Identity, error) {
	now := Identity{Role: m.Role.String(), CUK: m.CUK.String(), Tag: m.FixedTag}
	addr, err := m.Address(ctx)
	if err != nil {
		return now, err
	}
	now.Address = addr.String()
	if now.Tag == "" {
		now.Tag = m.tag(ctx, known.Tag, now.Address)
	}
	return now, nil
}

// tag returns the host's full name if that resolves to one of its addresses, since chmpx knows
// itself by it (docs/chmpx.md C.3), else the address that the host reaches K2HR3 from. A name that
// it had stays until a better one is proven, or until it is another host's or nobody's: a name
// service that is down for a moment must not rename a node in the whole cluster.
func (m *Member) tag(ctx context.Context, known, address string) string {
	if name, ok := m.FullName(ctx); ok && k2hr3.CheckTag(name) == nil {
		return name
	}
	if _, err := netip.ParseAddr(known); err != nil && k2hr3.CheckTag(known) == nil && m.mayBeNamed(ctx, known) {
		return known
	}
	return address
}

func (m *Member) mayBeNamed(ctx context.Context, name string) bool {
	return m.MayBeNamed == nil || m.MayBeNamed(ctx, name)
}
