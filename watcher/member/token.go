package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// maxTokenFile is more than a role token or the address of user data has.
const maxTokenFile = 64 << 10

// fetched is the token that was in K2HR3's user data. The agent keeps it in memory, and nowhere
// else.
type fetched struct {
	mu    sync.Mutex
	at    k2hr3.UserDataAddress
	token k2hr3.Token
}

// token returns the role token: the one in its file or, where that holds the address of K2HR3's
// user data, the one in there. Without a file, or where K2HR3 has refused what is in it, it is one
// that K2HR3 makes of the user's token; without that either the error is ErrNoToken.
func (m *Member) token(ctx context.Context) (k2hr3.Token, error) {
	token, err := m.givenToken(ctx)
	if m.UserTokenFile == "" || err == nil && !m.made.refuses(token) {
		return token, err
	}
	return m.makeToken(ctx)
}

// givenToken is the role token that somebody has given to this host.
func (m *Member) givenToken(ctx context.Context) (k2hr3.Token, error) {
	path := m.TokenFile()
	if path == "" {
		return k2hr3.Token{}, ErrNoToken
	}
	if m.Guard != nil {
		m.Guard.CloseFile(path, m.Log)
	}
	token, at, err := ReadTokenFile(path)
	if err != nil || at.IsZero() {
		return token, err
	}
	token, err = m.fetch(ctx, at)
	if err != nil {
		return k2hr3.Token{}, fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}

// ReadTokenFile returns what is in a role token file: the token, or the address of K2HR3's user
// data that has it. It changes nothing and asks nobody. Without the file the error is ErrNoToken.
func ReadTokenFile(path string) (k2hr3.Token, k2hr3.UserDataAddress, error) {
	text, trusted, err := readTokenFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k2hr3.Token{}, k2hr3.UserDataAddress{}, ErrNoToken
	}
	if err != nil {
		return k2hr3.Token{}, k2hr3.UserDataAddress{}, fmt.Errorf("cannot read the role token: %w", err)
	}
	token, at, err := k2hr3.ParseTokenFile(text)
	switch {
	case err != nil:
		return k2hr3.Token{}, k2hr3.UserDataAddress{}, fmt.Errorf("%s: %w", path, err)
	case !at.IsZero() && !trusted:
		return k2hr3.Token{}, k2hr3.UserDataAddress{}, fmt.Errorf("%s holds the address of a token, and its owner is neither root nor the agent's user; the agent asks no address that somebody else has written: make root the owner", path)
	}
	return token, at, nil
}

// fetch returns the token in the user data at an address. It asks K2HR3 once.
func (m *Member) fetch(ctx context.Context, at k2hr3.UserDataAddress) (k2hr3.Token, error) {
	m.fetched.mu.Lock()
	defer m.fetched.mu.Unlock()
	if m.fetched.at == at && !m.fetched.token.IsZero() {
		return m.fetched.token, nil
	}
	token, err := m.Client.UserDataToken(ctx, at, m.Role)
	if err != nil {
		return k2hr3.Token{}, err
	}
	m.fetched.at, m.fetched.token = at, token
	m.Log.Info("the agent has read the role token from K2HR3's user data", "from", at.String())
	return token, nil
}

// refusedToken takes the error of a request with a token. It drops a token that K2HR3 refuses, so
// that the next one who needs it fetches it again, if it came from user data, or has another one
// made of the user's token.
func (m *Member) refusedToken(token k2hr3.Token, err error) {
	if errors.Is(err, k2hr3.ErrUnauthorized) {
		m.dropToken()
		m.made.refused(token)
	}
}

func (m *Member) dropToken() {
	m.fetched.mu.Lock()
	defer m.fetched.mu.Unlock()
	m.fetched.at, m.fetched.token = k2hr3.UserDataAddress{}, k2hr3.Token{}
}

// readTokenFile returns the content of a token file, and whether root or the agent's own user owns
// the file. It waits for nobody: where others may write, the file may be a pipe.
func readTokenFile(path string) (text string, trusted bool, err error) {
	f, err := regularfile.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", false, err
	}
	b, err := regularfile.ReadAll(f, maxTokenFile)
	if errors.Is(err, regularfile.ErrTooLarge) {
		err = fmt.Errorf("%w: that is no role token", err)
	}
	if err != nil {
		return "", false, err
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	return string(b), owner == 0 || owner == os.Geteuid(), nil
}

// deleteToken deletes the file with the token that path names, or that symbolic links there lead
// to, and returns its name. It deletes no name of a file that has several, as the token would stay,
// and by way of a link nothing but a token: whoever has made the link may have fewer rights than
// the agent.
func deleteToken(path string) (file string, err error) {
	file, err = filepath.EvalSymlinks(path)
	if err != nil {
		return path, err
	}
	dir, err := regularfile.OpenRoot(filepath.Dir(file))
	if err != nil {
		return file, err
	}
	defer dir.Close()
	info, err := dir.Lstat(filepath.Base(file))
	if err != nil {
		return file, err
	}
	if !info.Mode().IsRegular() {
		return file, regularfile.ErrNotRegular
	}
	if n := info.Sys().(*syscall.Stat_t).Nlink; n > 1 {
		return file, fmt.Errorf("it has %d names (hard links), and deleting one leaves the token in the others: delete them all by hand; find / -xdev -samefile %s lists them", n, file)
	}
	if link, err := os.Lstat(path); err != nil || !os.SameFile(link, info) {
		if err := isToken(file, info); err != nil {
			return file, fmt.Errorf("%s leads to what is no role token: %w", path, err)
		}
	}
	err = dir.Remove(filepath.Base(file))
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%w; the token is still in %s: delete it by hand", e.Err, file)
	}
	return file, err
}

// isToken returns an error if the file at path is another than info's, or has no token in it.
func isToken(path string, info fs.FileInfo) error {
	f, err := regularfile.OpenInPlace(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(now, info) {
		return errors.New("it was replaced meanwhile")
	}
	text, err := regularfile.ReadAll(f, maxTokenFile)
	if err == nil {
		_, _, err = k2hr3.ParseTokenFile(string(text))
	}
	return err
}
