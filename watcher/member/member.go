package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

var (
	// ErrNoToken says that the host would have to register, and has nothing to do it with.
	ErrNoToken = errors.New("no role token")

	// ErrNotVerified says that K2HR3 took a registration and still does not count the host as a
	// member.
	ErrNotVerified = errors.New("registered, but not a member")

	// ErrLeft says that the host was taken out of the role for good.
	ErrLeft = errors.New("this host has left the role by the verb unregister; the verb register makes it a member again")

	// ErrBusy says that K2HR3 has too much to do to be asked for anything.
	ErrBusy = errors.New("K2HR3 is overloaded")

	errSlowNo = errors.New("the agent does not believe such an answer")
)

// slowNo is how long K2HR3 takes for a no that the agent does not believe. K2HR3 takes about 14 s
// to notice that its store is down.
const slowNo = 10 * time.Second

// tries is how often a host registers before it says that this has no effect, and triesLast how
// long after the first try the last one may begin. All together takes about ten seconds.
const (
	tries     = 4
	triesLast = 15 * time.Second
)

// Member is this host as a member of the slave role.
type Member struct {
	Client   *k2hr3.Client
	Role     k2hr3.Role
	Resource k2hr3.Resource
	CUK      k2hr3.CUK

	// Extra is the kind of host that it registers as; empty: a VM.
	Extra k2hr3.Extra

	// FixedTag is the tag that the operator gave; empty: Keep finds one.
	FixedTag string

	// FullName returns the host's full name, and whether that resolves to one of its addresses; it
	// is host.FullName outside of tests.
	FullName func(context.Context) (string, bool)

	// MayBeNamed reports whether a name that this host had may be its name still; it is
	// host.MayBeNamed outside of tests. nil: it is.
	MayBeNamed func(ctx context.Context, name string) bool

	// NameChanged reports, once and without asking anybody, that this host may have another name
	// than before; it is Seen of a host.Renaming outside of tests. nil: it never has.
	NameChanged func() bool

	// Address returns the address that this host reaches K2HR3 from.
	Address func(context.Context) (netip.Addr, error)

	// ClientFrom returns a client that connects from an address of this host.
	ClientFrom func(netip.Addr) (*k2hr3.Client, error)

	// TokenFile names the file that holds the role token, or the address of K2HR3's user data with
	// the token in it; empty: there is none. Member asks for the name and reads the file whenever
	// it needs the token, so it uses one that comes late or is rotated at once.
	TokenFile func() string

	// UserTokenFile names the file with a user's token to get a role token with, where there is no
	// role token or K2HR3 does not take it; empty: there is none.
	UserTokenFile string

	// Guard closes the token's file to others whenever it is read; nil: nobody does.
	Guard *Guard

	// Left reports whether somebody has taken this host out of the role for good; Keep does not
	// register it then. nil: nobody has.
	Left func() bool

	// ForgetToken: delete the token's file once the host reads without it.
	ForgetToken bool

	Log *slog.Logger

	registrations int           // made so far
	took          time.Duration // how long K2HR3 took to answer the latest look
	misses        int           // probes in a row that did not find a host that was known

	fetched fetched
	made    made
	stale   map[string]staleEntry // by CUK

	removed  string // the old address that is out of the role
	stranded string // the old address that the log says stays in the role
	unkept   string // the token file that the log says cannot be deleted

	// right is the one to try first, and told the one that the log says is good.
	right, told atomic.Int32
	// verified: Keep has seen that K2HR3 counts the host as a member.
	verified atomic.Bool
	// outside: K2HR3 has said that the host is no member, and not that it is one since.
	outside atomic.Bool
}

// Join makes the host a member, by hand: K2HR3's first no is enough to register. It reports whether
// it had to.
func (m *Member) Join(ctx context.Context) (registered bool, err error) {
	before := m.registrations
	_, err = m.Keep(ctx, Identity{})
	return m.registrations != before, err
}

// Close closes what the client keeps open between exchanges.
func (m *Member) Close() { m.Client.Close() }

// Knock asks K2HR3 whether it is there, before a request that costs K2HR3 something. After a slow
// answer it waits, since other hosts may be about to ask too. An error says why the agent leaves it
// at that, and took how long K2HR3 had the question.
func (m *Member) Knock(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	if err := m.Ping(ctx); err != nil {
		return k2hr3.Took(err), err
	}
	took = time.Since(began)
	wait, ask := schedule.AfterKnock(schedule.Dice{}, took)
	if !ask {
		return took, fmt.Errorf("%w: it takes long to say that it is there; the agent asks for the RESOURCE later", ErrBusy)
	}
	return took, pause(ctx, wait)
}

// Ping asks K2HR3 for nothing but whether its API is up.
func (m *Member) Ping(ctx context.Context) error { return m.Client.Ping(ctx) }

// Disturb lets the next request begin although K2HR3 wants to be left alone (Retry-After).
func (m *Member) Disturb() { m.Client.Disturb() }

// Longest is the most that one exchange with K2HR3 takes, but for the time it is
// held.
func (m *Member) Longest() time.Duration { return m.Client.Longest() }

// Registrations returns how often Keep and Join have registered the host.
func (m *Member) Registrations() int { return m.registrations }

// Outside reports whether K2HR3 has said, in answer to Ask, that this host is no member. Ask may
// have succeeded all the same, by the role token.
func (m *Member) Outside() bool { return m.outside.Load() }

// isMember asks again before it believes a no. K2HR3 also says no while its store is down, slowly
// then (docs/k2hr3.md 0.6), and all hosts of a cluster that registered again the moment it is back
// would take each other off the list.
func (m *Member) isMember(ctx context.Context) (bool, error) {
	is, _, err := m.Client.IsMember(ctx, m.Role, m.CUK)
	if is || err != nil {
		return is, err
	}
	return m.look(ctx)
}

// look asks whether the host is a member. It does not believe a no that takes as long as K2HR3
// takes without its store.
func (m *Member) look(ctx context.Context) (bool, error) {
	is, took, err := m.Client.IsMember(ctx, m.Role, m.CUK)
	m.took = took
	if err == nil && !is {
		err = m.doubt(took)
	}
	return is, err
}

// doubt returns why the agent does not believe a no that K2HR3 took so long for, or nil.
func (m *Member) doubt(took time.Duration) error {
	if took < slowNo {
		return nil
	}
	return fmt.Errorf("K2HR3 took %v to say that there is no such member of %s, so its store may be down: %w", took.Round(time.Second), m.Role, errSlowNo)
}

// unregister takes what K2HR3 knows by a client's address and a CUK out of the role. Its error is
// [k2hr3.ErrNotMember] only for a no that the agent believes.
func (m *Member) unregister(ctx context.Context, client *k2hr3.Client, cuk k2hr3.CUK) error {
	err := client.Unregister(ctx, m.Role, cuk)
	if errors.Is(err, k2hr3.ErrNotMember) {
		if doubt := m.doubt(k2hr3.Took(err)); doubt != nil {
			return doubt
		}
	}
	return err
}

// verify reports whether a registration had an effect: its answer proves none, as K2HR3 gives it
// for a misspelt role too (docs/k2hr3.md C.1). It looks twice, the later the more often the host
// has tried; hosts that have come into conflict part by chance.
func (m *Member) verify(ctx context.Context, try int) (bool, error) {
	is, err := m.look(ctx)
	if err == nil && !is {
		second := time.Duration(try) * time.Second
		if err := pause(ctx, second/2+rand.N(second)); err != nil {
			return false, err
		}
		is, err = m.look(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("the agent has registered this host, but cannot see whether it is a member now: %w", err)
	}
	return is, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// inside takes note that K2HR3 counts the host as a member, so that it should be able to read by
// its address again.
func (m *Member) inside() {
	m.verified.Store(true)
	m.outside.Store(false)
	m.right.Store(int32(byAddress))
}
