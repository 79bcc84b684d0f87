package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// tokenLife is how long a role token is good that K2HR3 makes for this host. It is needed until the
// host is a member, and K2HR3 takes none back that it has made (docs/flavours.md 5.3). Another one
// is made ahead of its end.
const (
	tokenLife  = time.Hour
	tokenAhead = 5 * time.Minute
)

// made is the role token that K2HR3 has made of the user's token. The agent keeps it in memory, and
// nowhere else.
type made struct {
	mu    sync.Mutex
	token k2hr3.Token
	until time.Time
	no    k2hr3.Token // the given one that K2HR3 has refused
}

// refused takes note of a token that K2HR3 has refused, whoever made it.
func (m *made) refused(token k2hr3.Token) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.token == token {
		m.token = k2hr3.Token{}
		return
	}
	m.no = token
}

// refuses reports whether K2HR3 has refused a given token.
func (m *made) refuses(token k2hr3.Token) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.no == token
}

// makeToken returns a role token made of the user's token, the one before while it is good.
func (m *Member) makeToken(ctx context.Context) (k2hr3.Token, error) {
	m.made.mu.Lock()
	defer m.made.mu.Unlock()
	if !m.made.token.IsZero() && time.Now().Before(m.made.until) {
		return m.made.token, nil
	}
	if m.Guard != nil {
		m.Guard.CloseUserToken(m.UserTokenFile, m.Log)
	}
	text, _, err := readTokenFile(m.UserTokenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return k2hr3.Token{}, fmt.Errorf("%w, and there is no user token in %s", ErrNoToken, m.UserTokenFile)
	}
	if err != nil {
		return k2hr3.Token{}, fmt.Errorf("cannot read the user token: %w", err)
	}
	user, err := k2hr3.NewUserToken(text)
	if err != nil {
		return k2hr3.Token{}, fmt.Errorf("%s: %w", m.UserTokenFile, err)
	}
	token, err := m.Client.RoleToken(ctx, user, m.Role, tokenLife)
	if err != nil {
		return k2hr3.Token{}, err
	}
	m.made.token, m.made.until = token, time.Now().Add(tokenLife-tokenAhead)
	m.Log.Info("K2HR3 has made a role token of the user's token", "role", m.Role.String(), "good for", tokenLife.String())
	return token, nil
}
