package member

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

const (
	cuk  = "vm-7-of-shop"
	addr = "10.20.0.21"
)

// host is a member, or one to be, of a cluster in a stand-in K2HR3.
type host struct {
	*Member
	t       *testing.T
	api     *fakek2hr3.Server
	cluster *fakek2hr3.Cluster
	log     bytes.Buffer
	logger  *slog.Logger
	file    string
	token   string
	tag     string
	addr    string
	addrErr error
	net     *fakek2hr3.InMemory
}

func inBubble(t *testing.T, f func(t *testing.T, h *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &host{t: t, api: fakek2hr3.New(), file: filepath.Join(t.TempDir(), "role-token"), tag: "vm-7.shop.example", addr: addr}
		net := fakek2hr3.Listen(h.api)
		t.Cleanup(net.Close)
		h.cluster = h.api.AddCluster("shop", "orders")
		h.cluster.Join("10.20.1.1", "server-1", "server-1.orders.example")
		h.use(h.cluster.RoleToken("slave", 0))
		log := slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		h.net, h.logger = net, log
		role, err := k2hr3.ParseRole(h.cluster.SlaveRole())
		if err != nil {
			t.Fatal(err)
		}
		key, err := k2hr3.ParseCUK(cuk)
		if err != nil {
			t.Fatal(err)
		}
		h.Member = &Member{
			Client: h.client(addr), Role: role, Resource: role.Resource(), CUK: key, Log: log,
			FullName:   func(context.Context) (string, bool) { return h.tag, h.tag != "" },
			Address:    func(context.Context) (netip.Addr, error) { return netip.MustParseAddr(h.addr), h.addrErr },
			ClientFrom: func(from netip.Addr) (*k2hr3.Client, error) { return h.client(from.String()), nil },
			TokenFile:  func() string { return h.file },
		}
		t.Cleanup(func() {
			if strings.Contains(h.log.String(), h.token) {
				t.Errorf("the log has the role token in it:\n%s", h.log.String())
			}
		})
		f(t, h)
	})
}

// onHost runs f as a subtest, on a host of its own.
func onHost(t *testing.T, name string, f func(t *testing.T, h *host)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inBubble(t, f) })
}

// says fails the test unless there is an error that has all the words.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got %v, want %q in it", err, w)
		}
	}
}

// noError fails the test at once if there is one.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client returns a client whose requests come from an address.
func (h *host) client(from string) *k2hr3.Client {
	api, _ := k2hr3.ParseAPI("http://k2hr3.shop.example:18080")
	client, err := k2hr3.New(k2hr3.Config{API: api, Logger: h.logger, Transport: &http.Transport{
		DialContext: h.net.Dialer(from), DisableKeepAlives: true,
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	return client
}

// use puts a token into the token file.
func (h *host) use(token string) {
	h.token = token
	h.write(token + "\n")
}

func (h *host) write(text string) {
	noError(h.t, os.WriteFile(h.file, []byte(text), 0o600))
}

// asked returns the requests since the last call, such as "GET/user-made token".
func (h *host) asked() string {
	var all []string
	for _, r := range h.api.Requests() {
		all = append(all, r.Method+"/"+string(r.Token))
	}
	h.api.ForgetRequests()
	return strings.Join(all, ", ")
}

func (h *host) read(t *testing.T) error {
	t.Helper()
	a, err := h.Ask(t.Context(), "", 0)
	if err == nil && a.Text != h.cluster.Text() {
		t.Errorf("got the text %q", a.Text)
	}
	if err != nil && strings.Contains(err.Error(), h.token) {
		t.Errorf("the error has the role token in it: %v", err)
	}
	return err
}

func TestJoin(t *testing.T) {
	const probe, no, put = "HEAD/no token", "HEAD/no token, HEAD/no token", "PUT/user-made token"
	for _, tt := range []struct {
		name       string
		set        func(h *host)
		registered bool
		want       error
		words      string
		asked      string
	}{
		{"a member is left alone", func(h *host) { h.cluster.AddSlave(addr, cuk, "vm-7") }, false, nil, "", probe},
		{"a member needs no token", func(h *host) { h.cluster.AddSlave(addr, cuk, "vm-7"); h.file = "" }, false, nil, "", probe},
		{"a new host registers and looks", func(*host) {}, true, nil, "", no + ", " + put + ", " + probe},
		{"no token file is known", func(h *host) { h.file = "" }, false, ErrNoToken, "role-token-file", no},
		{"the token file is not there", func(h *host) { os.Remove(h.file) }, false, ErrNoToken, "/etc/k2hdkc/role-token", no},
		{"no token is in the file", func(h *host) { h.write("password1 or so\n") }, false, nil, "role-token", no},
		{"the own address is not known", func(h *host) { h.addrErr = errors.New("no route") }, false, nil, "no route", no},
		{"the token is revoked", func(h *host) { h.cluster.Revoke(h.token) }, false, k2hr3.ErrUnauthorized, "issue a new role token", no + ", PUT/unknown token"},
		{"the registration has no effect", func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut}) }, true, ErrNotVerified, "several times in a row", no + strings.Repeat(", "+put+", "+no, 4)},
		{"the first registration is lost", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut, Next: 1, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
		}, true, nil, "",
			no + ", " + put + ", " + no + ", " + put + ", " + probe},
		{"three registrations are lost", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut, Next: 3, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
		}, true, nil, "",
			no + strings.Repeat(", "+put+", "+no, 3) + ", " + put + ", " + probe},
		{"another worker does not know the registration yet", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.StaleWorker, On: []fakek2hr3.Op{fakek2hr3.OpProbe}, Next: 3})
		}, true, nil, "", no + ", " + put + ", " + no},
		{"the store goes down after the registration", func(h *host) {
			h.api.OnRequest(func(r fakek2hr3.Request) {
				if r.Op == fakek2hr3.OpRegister {
					h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second})
				}
			})
		}, true, errSlowNo, "cannot see whether it is a member now", no + ", " + put + ", " + probe},
		{"the second registration is refused", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut, Next: 1, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
			h.api.OnRequest(func(r fakek2hr3.Request) {
				if r.Op == fakek2hr3.OpRegister {
					h.cluster.Revoke(h.token)
				}
			})
		}, true, k2hr3.ErrUnauthorized, "issue a new role token", no + ", " + put + ", " + no + ", PUT/unknown token"},
		{"a no that K2HR3 was wrong about", func(h *host) {
			h.cluster.AddSlave(addr, cuk, "vm-7")
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Next: 1})
		}, false, nil, "", no},
		{"a no that takes as long as without a store", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
		}, false, errSlowNo, "store may be down", no},
		{"a slow K2HR3", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: 5 * time.Second})
		}, true, nil, "", no + ", " + put + ", " + probe},
		{"the probe fails", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.InternalError, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
		}, false, k2hr3.ErrServer, "", probe},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			tt.set(h)
			registered, err := h.Join(t.Context())
			if registered != tt.registered {
				t.Errorf("registered: %v", registered)
			}
			fails := tt.want != nil || tt.words != ""
			if (err != nil) != fails || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.words) || strings.Contains(err.Error(), "password1")) {
				t.Errorf("got %q, want words such as %q and no secret", err, tt.words)
			}
			if got := h.asked(); got != tt.asked {
				t.Errorf("requests: %s\nwant %s", got, tt.asked)
			}
		})
	}
}

// A registration that K2HR3 loses is no trouble of the operator's.
func TestALostRegistrationIsMadeAgainWithinSecondsAndWithoutAWarning(t *testing.T) {
	for lost := range tries {
		inBubble(t, func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut, Next: lost + 1, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
			start := time.Now()
			registered, err := h.Join(t.Context())
			took := time.Since(start)
			if ok := lost+1 < tries; !registered || (err == nil) != ok || took > 16*time.Second {
				t.Errorf("%d are lost: %v, %v after %v", lost+1, registered, err, took)
			}
			if strings.Contains(h.log.String(), "level=WARN") {
				t.Errorf("%d are lost:\n%s", lost+1, h.log.String())
			}
		})
	}
}

// Hosts that have registered at the same moment do not do so again.
func TestHostsThatRegisterAgainPart(t *testing.T) {
	at := map[time.Duration]bool{}
	for range 40 {
		inBubble(t, func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut, Next: 1, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
			start := time.Now()
			if _, err := h.Join(t.Context()); err != nil {
				t.Error(err)
			}
			at[time.Since(start).Round(10*time.Millisecond)] = true
		})
	}
	if len(at) < 15 {
		t.Errorf("40 hosts register again at %d moments", len(at))
	}
}

func TestTheEndOfItsContextEndsARegistration(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := h.Join(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestTheRightThatIsGoodIsToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.StaleWorker, On: []fakek2hr3.Op{fakek2hr3.OpResource}})
		for range 3 {
			if err := h.read(t); err != nil {
				t.Error(err)
			}
			if _, err := h.Join(t.Context()); err != nil { // which has the address tried first again
				t.Error(err)
			}
		}
		if n := h.logged("INFO", "lets this host read by its role token"); n != 1 {
			t.Errorf("told %d times:\n%s", n, h.log.String())
		}
	})
}

func TestTheAddressIsTriedFirstThenTheTokenAndWhatWorkedIsKept(t *testing.T) {
	const byAddress, byToken, byDeadToken = "GET/no token", "GET/user-made token", "GET/unknown token"
	inBubble(t, func(t *testing.T, h *host) {
		step := func(what, want string, outside bool) {
			t.Helper()
			if err := h.read(t); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if got := h.asked(); got != want {
				t.Errorf("%s: asked %s, want %s", what, got, want)
			}
			if h.Outside() != outside {
				t.Errorf("%s: outside: %v", what, h.Outside())
			}
		}
		h.cluster.AddSlave(addr, cuk, "vm-7")
		step("a member", byAddress, false)
		h.cluster.DropSlave(addr, cuk)
		step("no member any more", byAddress+", "+byToken, true)
		step("the token was good", byToken, true)
		h.use(h.cluster.RoleToken("slave", 0))
		step("a rotated token", byToken, true)
		h.cluster.AddSlave(addr, cuk, "vm-7")
		h.cluster.Revoke(h.token)
		step("a member whose token is dead", byDeadToken+", "+byAddress, false)
		step("the address was good", byAddress, false)

		h.cluster.DropSlave(addr, cuk)
		h.use(h.cluster.RoleToken("slave", 0))
		step("by token again", byAddress+", "+byToken, true)
		if _, err := h.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.asked()
		step("after the registration", byAddress, false)
		if n := strings.Count(h.log.String(), "lets this host read by its"); n != 4 {
			t.Errorf("%d words about it in the log, want 4:\n%s", n, h.log.String())
		}
	})
}

func TestATokenFileThatIsOfNoUseDoesNotKeepAHostFromReadingByItsAddress(t *testing.T) {
	for name, spoil := range map[string]func(h *host) error{
		"lost":      func(h *host) error { return os.Remove(h.file) },
		"empty":     func(h *host) error { return os.WriteFile(h.file, nil, 0o600) },
		"no token":  func(h *host) error { return os.WriteFile(h.file, []byte("password1 or so"), 0o600) },
		"a folder":  func(h *host) error { return errors.Join(os.Remove(h.file), os.Mkdir(h.file, 0o700)) },
		"not known": func(h *host) error { h.file = ""; return nil },
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			if err := h.read(t); err != nil { // by the token
				t.Fatal(err)
			}
			noError(t, spoil(h))
			err := h.read(t)
			if !errors.Is(err, k2hr3.ErrNotMember) || strings.Contains(err.Error(), "password1") {
				t.Errorf("no member: %v", err)
			}
			h.cluster.AddSlave(addr, cuk, "vm-7")
			if err := h.read(t); err != nil {
				t.Errorf("a member: %v", err)
			}
		})
	}
}

func TestBothRefusalsAreReportedAndATroubleIsNoReasonToTryTheOtherRight(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.cluster.Revoke(h.token)
		err := h.read(t)
		if !errors.Is(err, k2hr3.ErrNotMember) || !errors.Is(err, k2hr3.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
		says(t, err, "by address and CUK:", "by role token:")
		h.asked()
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.InternalError})
		if err := h.read(t); !errors.Is(err, k2hr3.ErrServer) {
			t.Errorf("got %v", err)
		}
		if got := h.asked(); got != "GET/no token" {
			t.Errorf("asked %s", got)
		}
	})
}

func TestAskPassesOnETagAndWait(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.api.Hold(time.Minute)
		h.cluster.AddSlave(addr, cuk, "vm-7")
		a, err := h.Ask(t.Context(), "", 0)
		if err != nil || a.ETag == "" || a.Held != 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		start := time.Now()
		b, err := h.Ask(t.Context(), a.ETag, 30*time.Second)
		if err != nil || !b.NotModified || b.Held != 30*time.Second || time.Since(start) != 30*time.Second {
			t.Errorf("%+v, %v after %v", b, err, time.Since(start))
		}
	})
}

func TestAskEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Hang})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := h.Ask(ctx, "", 0); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if got := h.asked(); strings.Contains(got, "user-made") {
			t.Errorf("asked %s", got)
		}
	})
}

func TestTheTokenIsDeletedOnceTheHostReadsWithoutIt(t *testing.T) {
	for _, tt := range []struct {
		name    string
		wanted  bool
		byToken bool
		gone    bool
	}{
		{"wanted", true, false, true},
		{"not wanted", false, false, false},
		{"read by the token only", true, true, false},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.ForgetToken = tt.wanted
			noError(t, h.read(t))
			if _, err := os.Stat(h.file); err != nil {
				t.Error("deleted before K2HR3 counted the host as a member")
			}
			if _, err := h.Keep(t.Context(), Identity{}); err != nil {
				t.Fatal(err)
			}
			if tt.byToken {
				h.cluster.DropSlave(addr, cuk)
			}
			for range 2 {
				noError(t, h.read(t))
			}
			if _, err := os.Stat(h.file); errors.Is(err, os.ErrNotExist) != tt.gone {
				t.Errorf("token file: %v", err)
			}
		})
	}
}

// What is deleted is the token, and not a name that leads to it. Where that cannot be, the log says
// where the token still is, and nothing else is lost.
func TestATokenIsDeletedWhereItIs(t *testing.T) {
	const (
		deleted = "has deleted the role token"
		cannot  = "cannot delete it"
	)
	for _, tt := range []struct {
		name string
		lay  func(h *host, real string) error // the token is in real, and h.file is not there
		gone bool
		logs []string
	}{
		{"by a link", func(h *host, real string) error { return os.Symlink(real, h.file) }, true, []string{deleted, "file=REAL"}},
		{"by a link to a link that is relative", func(h *host, real string) error {
			next := filepath.Join(filepath.Dir(real), "next")
			return errors.Join(os.Symlink(filepath.Base(real), next), os.Symlink(next, h.file))
		}, true, []string{deleted, "file=REAL"}},
		{"by a folder that is a link", func(h *host, real string) error {
			dir := filepath.Join(filepath.Dir(h.file), "dir")
			h.file = filepath.Join(dir, filepath.Base(real))
			return os.Symlink(filepath.Dir(real), dir)
		}, true, []string{deleted, "file=REAL"}},
		{"the target is read-only", func(h *host, real string) error {
			readOnly(h.t, filepath.Dir(real))
			return os.Symlink(real, h.file)
		}, false, []string{cannot, "file=REAL", "the token is still in REAL: delete it"}},
		{"it has another name", func(h *host, real string) error { return os.Link(real, h.file) }, false, []string{cannot, "it has 2 names (hard links)", "delete them all"}},
		{"a link to a file that is no token", func(h *host, real string) error {
			return errors.Join(os.WriteFile(real, []byte("root:x:0:0\n"), 0o600), os.Symlink(real, h.file))
		}, false, []string{cannot, "leads to what is no role token"}},
		{"a link to a device", func(h *host, real string) error {
			return os.Symlink(os.DevNull, h.file)
		}, false, []string{cannot, "is not a regular file"}},
		{"a link to nothing", func(h *host, real string) error {
			return os.Symlink(real+".none", h.file)
		}, false, nil},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			if _, err := h.Keep(t.Context(), Identity{}); err != nil {
				t.Fatal(err)
			}
			real := filepath.Join(t.TempDir(), "real")
			noError(t, errors.Join(os.WriteFile(real, []byte(h.token), 0o600), os.Remove(h.file), tt.lay(h, real)))
			h.log.Reset()
			h.ForgetToken = true
			for range 3 {
				noError(t, h.read(t))
			}
			if _, err := os.Stat(real); errors.Is(err, fs.ErrNotExist) != tt.gone {
				t.Errorf("the token's file: %v", err)
			}
			want := make([]string, len(tt.logs))
			for i, words := range tt.logs {
				want[i] = strings.ReplaceAll(words, "REAL", real)
			}
			if n := h.logged(want...); len(want) > 0 && n != 1 || h.logged("no longer needs") != min(1, len(want)) {
				t.Errorf("%q is logged %d times:\n%s", want, n, h.log.String())
			}
		})
	}
}

// readOnly lays a read-only view of a folder over it, which the test's thread alone sees.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread is not fit for other work
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Skipf("cannot have a mount namespace here: %v", err)
	}
	err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount(dir, dir, "", unix.MS_BIND, ""),
		unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	if err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// Once its other names are gone, a token is deleted.
func TestATokenWhoseOtherNamesAreGoneIsDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		other := h.file + ".other"
		noError(t, os.Link(h.file, other))
		h.ForgetToken = true
		if _, err := h.Keep(t.Context(), Identity{}); err != nil {
			t.Fatal(err)
		}
		noError(t, h.read(t))
		noError(t, os.Remove(other))
		noError(t, h.read(t))
		if _, err := os.Stat(h.file); !errors.Is(err, fs.ErrNotExist) || h.logged("cannot delete it") != 1 || h.logged("has deleted the role token") != 1 {
			t.Errorf("%v\n%s", err, h.log.String())
		}
	})
}

func TestATokenThatCannotBeDeletedIsLoggedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.ForgetToken = true
		if _, err := h.Keep(t.Context(), Identity{}); err != nil {
			t.Fatal(err)
		}
		noError(t, errors.Join(os.Remove(h.file), os.MkdirAll(filepath.Join(h.file, "x"), 0o700)))
		for range 3 {
			noError(t, h.read(t))
		}
		if n := strings.Count(h.log.String(), "cannot delete it"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// A K2HR3 that takes long to say that it is there is not asked for more.
func TestKnock(t *testing.T) {
	for name, tt := range map[string]struct {
		takes, most time.Duration
		err         error
	}{
		"at once":  {0, 0, nil},
		"slowly":   {2 * time.Second, 22 * time.Second, nil},
		"too late": {6 * time.Second, 6 * time.Second, ErrBusy},
		"never":    {time.Hour, 2 * time.Minute, k2hr3.ErrTransport},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: tt.takes, On: []fakek2hr3.Op{fakek2hr3.OpRoot}})
			began := time.Now()
			took, err := h.Knock(t.Context())
			if passed := time.Since(began); !errors.Is(err, tt.err) || passed > tt.most || took > passed || took < min(tt.takes, 10*time.Second) {
				t.Errorf("after %v: it took %v, %v", passed, took, err)
			}
		})
	}
}
