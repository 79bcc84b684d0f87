package member

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// useUserData puts the address of user data with a token in it into the token
// file, and returns the secret in it.
func (h *host) useUserData(token string) (path string) {
	path = h.cluster.RegisterPath(token)
	h.token = token
	h.write("#include\nhttp://k2hr3.shop.example:18080/v1/userdata/" + path + "\n")
	return path
}

// fetches returns how often user data was asked for since the last call.
func (h *host) fetches() int {
	n := 0
	for _, r := range h.api.Requests() {
		if r.Op == fakek2hr3.OpUserdata {
			n++
		}
	}
	h.api.ForgetRequests()
	return n
}

func TestAHostRegistersWithTheTokenOfItsUserData(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		path := h.useUserData(h.cluster.RoleToken("slave", 0))
		before, err := os.ReadFile(h.file)
		if err != nil {
			t.Fatal(err)
		}
		if registered, err := h.Join(t.Context()); err != nil || !registered {
			t.Fatalf("%v, %v", registered, err)
		}
		if got := h.asked(); got != "HEAD/no token, HEAD/no token, GET/no token, PUT/user-made token, HEAD/no token" {
			t.Errorf("asked %s", got)
		}
		if after, err := os.ReadFile(h.file); err != nil || string(after) != string(before) {
			t.Error("the file was written")
		}
		entries, err := os.ReadDir(filepath.Dir(h.file))
		if err != nil || len(entries) != 1 {
			t.Errorf("files %v, %v", entries, err)
		}
		if strings.Contains(h.log.String(), path) {
			t.Errorf("the address is in the log:\n%s", &h.log)
		}
		if !strings.Contains(h.log.String(), `from="user data at http://k2hr3.shop.example:18080"`) {
			t.Errorf("the log does not say where the token came from:\n%s", &h.log)
		}
	})
}

func TestUserDataIsAskedForWhenATokenIsNeeded(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.useUserData(h.cluster.RoleToken("slave", 0))
		h.cluster.AddSlave(addr, cuk, "vm-7")
		if _, err := h.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		noError(t, h.read(t))
		if n := h.fetches(); n != 0 {
			t.Errorf("a member that reads by its address asked %d times", n)
		}
		h.cluster.DropSlave(addr, cuk)
		for range 3 {
			noError(t, h.read(t))
		}
		if n := h.fetches(); n != 1 {
			t.Errorf("three reads by token asked %d times", n)
		}
	})
}

func TestATokenThatK2HR3RefusesIsFetchedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.useUserData(h.cluster.RoleToken("slave", 0))
		noError(t, h.read(t))
		h.fetches()
		undo := h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.TokensExpired})
		if err := h.read(t); !errors.Is(err, k2hr3.ErrUnauthorized) {
			t.Errorf("%v", err)
		}
		if n := h.fetches(); n != 0 {
			t.Errorf("asked %d times before the refusal", n)
		}
		undo()
		if err := h.read(t); err != nil {
			t.Errorf("%v", err)
		}
		if n := h.fetches(); n != 1 {
			t.Errorf("asked %d times after the refusal", n)
		}

		// A registration that is refused counts too.
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.TokensExpired})
		if _, err := h.Join(t.Context()); !errors.Is(err, k2hr3.ErrUnauthorized) {
			t.Errorf("%v", err)
		}
		h.api.ClearFaults()
		h.api.ForgetRequests()
		if registered, err := h.Join(t.Context()); err != nil || !registered {
			t.Errorf("%v, %v", registered, err)
		}
		if n := h.fetches(); n != 1 {
			t.Errorf("asked %d times after the refused registration", n)
		}
	})
}

func TestANewAddressCountsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		old := h.cluster.RoleToken("slave", 0)
		h.useUserData(old)
		noError(t, h.read(t))
		h.cluster.Revoke(old)
		h.useUserData(h.cluster.RoleToken("slave", 0))
		if err := h.read(t); err != nil {
			t.Error(err)
		}
		h.use(h.cluster.RoleToken("slave", 0))
		h.fetches()
		if err := h.read(t); err != nil || h.fetches() != 0 {
			t.Errorf("a token in the file: %v", err)
		}
	})
}

func TestUserDataThatIsOfNoUse(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(h *host)
		want  error
		words string
	}{
		{"cut off", func(h *host) { h.write("http://k2hr3.shop.example:18080/v1/userdata/cut") }, k2hr3.ErrUserData, "cut off"},
		{"of another role", func(h *host) { h.useUserData(h.cluster.RoleToken("server", 0)) }, k2hr3.ErrOtherRole, "orders/server"},
		{"down", func(h *host) {
			h.useUserData(h.token)
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut, On: []fakek2hr3.Op{fakek2hr3.OpUserdata}})
		}, k2hr3.ErrTransport, "k2hr3.shop.example"},
		{"no address", func(h *host) { h.write("#include\nhttp://k2hr3.shop.example/secret") }, nil, "leads elsewhere"},
		{"a pipe", func(h *host) {
			os.Remove(h.file)
			noError(h.t, syscall.Mkfifo(h.file, 0o600))
		}, nil, "not a regular file"},
		{"a very long file", func(h *host) { h.write(strings.Repeat("x", 1<<20)) }, nil, "no role token"},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			tt.set(h)
			_, err := h.Join(t.Context())
			if err == nil || errors.Is(err, ErrNoToken) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.words) || !strings.Contains(err.Error(), h.file) {
				t.Errorf("%q does not say %q and which file", err, tt.words)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), h.token) {
				t.Errorf("a secret is shown: %v", err)
			}
			if strings.Contains(h.asked(), "PUT") {
				t.Error("registered")
			}
		})
	}
}

func TestAnAddressIsNotTakenFromAnotherUsersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	inBubble(t, func(t *testing.T, h *host) {
		h.useUserData(h.token)
		if err := os.Chown(h.file, 12345, -1); err != nil {
			t.Skip(err)
		}
		if _, err := h.Join(t.Context()); err == nil || !strings.Contains(err.Error(), "neither root nor") {
			t.Errorf("%v", err)
		}
		if n := h.fetches(); n != 0 {
			t.Errorf("asked %d times", n)
		}
		h.use(h.token) // a token does no harm
		if _, err := h.Join(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// k2hr3.NewToken says what is none.
func TestWhatIsNoTokenIsNotSentAndItsFileIsNamed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.write(h.token[:63] + "\n")
		_, errJoin := h.Join(t.Context())
		for what, err := range map[string]error{"register": errJoin, "read": h.read(t)} {
			if err == nil || !strings.Contains(err.Error(), h.file+": role token has 63 digits") || strings.Contains(err.Error(), h.token[10:30]) {
				t.Errorf("%s: %v, want %s in it", what, err, h.file)
			}
		}
		if got := h.asked(); strings.Contains(strings.ReplaceAll(got, "no token", ""), "token") {
			t.Errorf("requests: %s", got)
		}
		h.write(h.token)
		if _, err := h.Join(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestATokenFileThatOthersCanReadIsClosedWithAWarning(t *testing.T) {
	for name, tt := range map[string]struct {
		set    func(t *testing.T, h *host)
		closed bool
		warns  int
	}{
		"its own":              {func(t *testing.T, h *host) { chmod(t, h.file, 0o600) }, true, 0},
		"its own to read":      {func(t *testing.T, h *host) { chmod(t, h.file, 0o400) }, true, 0},
		"a group's":            {func(t *testing.T, h *host) { chmod(t, h.file, 0o640) }, false, 0},
		"everybody's":          {func(t *testing.T, h *host) { chmod(t, h.file, 0o644) }, true, 1},
		"everybody's to write": {func(t *testing.T, h *host) { chmod(t, h.file, 0o666) }, true, 1},
		"a link to everybody's": {func(t *testing.T, h *host) {
			chmod(t, h.file, 0o644)
			link := filepath.Join(t.TempDir(), "link")
			noError(t, os.Symlink(h.file, link))
			h.file = link
		}, false, 1},
		"another user's": {func(t *testing.T, h *host) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			chmod(t, h.file, 0o644)
			noError(t, os.Chown(h.file, 4242, 4242))
		}, false, 1},
	} {
		onHost(t, strings.ReplaceAll(name, " ", "-"), func(t *testing.T, h *host) {
			h.Guard = new(Guard)
			tt.set(t, h)
			for range 3 {
				if err := h.read(t); err != nil {
					t.Error(err)
				}
			}
			info, err := os.Stat(h.file)
			if closed := err == nil && info.Mode().Perm()&0o077 == 0; closed != tt.closed {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if n := h.logged("WARN", "role token"); n != tt.warns {
				t.Errorf("%d warnings, want %d:\n%s", n, tt.warns, h.log.String())
			}
			// One that is put there later is closed too.
			if tt.closed {
				chmod(t, h.file, 0o604)
				if err := h.read(t); err != nil {
					t.Error(err)
				}
				if info, err := os.Stat(h.file); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("mode %v, %v", info.Mode(), err)
				}
			}
		})
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	noError(t, os.Chmod(path, mode))
}

func TestAForgottenAddressIsForgottenWithItsToken(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.ForgetToken = true
		h.useUserData(h.cluster.RoleToken("slave", 0))
		if _, err := h.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		noError(t, h.read(t))
		if _, err := os.Stat(h.file); err == nil || !h.fetched.token.IsZero() {
			t.Errorf("the file: %v; a token in memory: %v", err, !h.fetched.token.IsZero())
		}
	})
}
