package member

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

const oldAddr = "10.20.0.12"

// self is what K2HR3 knows the host by once it is registered as it is.
func (h *host) self() Identity {
	return Identity{Role: h.Role.String(), CUK: h.CUK.String(), Tag: h.tag, Address: h.addr}
}

// but returns what the host is known by, with a change.
func but(change func(h *host, known *Identity)) func(h *host) Identity {
	return func(h *host) Identity {
		known := h.self()
		change(h, &known)
		return known
	}
}

// registeredAtOldAddr has K2HR3 list the host under its old address, and returns what it is known
// by.
func (h *host) registeredAtOldAddr() Identity {
	h.cluster.AddSlave(oldAddr, cuk, h.tag)
	return but(func(_ *host, k *Identity) { k.Address = oldAddr })(h)
}

// keep sees to the membership, and that no error has a secret in it.
func (h *host) keep(known Identity) (Identity, error) {
	h.t.Helper()
	now, err := h.Keep(h.t.Context(), known)
	if err != nil && strings.Contains(err.Error(), h.token) {
		h.t.Errorf("the error has the role token in it: %v", err)
	}
	if err != nil && now != known {
		h.t.Errorf("after a failure it is known as %+v, want %+v as before", now, known)
	}
	return now, err
}

// moveTo gives the host another address towards K2HR3.
func (h *host) moveTo(addr string) {
	h.addr = addr
	h.Client = h.client(addr)
}

// trail returns the requests since the last call with their sources, such as
// "probe/10.20.0.21".
func (h *host) trail() string {
	var all []string
	for _, r := range h.api.Requests() {
		all = append(all, string(r.Op)+"/"+r.Source)
	}
	h.api.ForgetRequests()
	return strings.Join(all, " ")
}

// members are those of the role, with their tags.
func (h *host) members() string {
	var all []string
	for _, s := range h.cluster.Slaves() {
		all = append(all, s.Addr+"="+s.Tag)
	}
	return strings.Join(all, " ")
}

func (h *host) logged(words ...string) int {
	n := 0
	for line := range strings.Lines(h.log.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

func TestKeepRegistersOnlyForAReason(t *testing.T) {
	const is, no, registers = "HEAD/no token", "HEAD/no token, HEAD/no token", "HEAD/no token, HEAD/no token, PUT/user-made token, HEAD/no token"
	const again = "HEAD/no token, PUT/user-made token, HEAD/no token"
	listed := func(h *host) { h.cluster.AddSlave(addr, cuk, "vm-7.shop.example") }
	another := but(func(_ *host, k *Identity) { k.CUK, k.Tag, k.Address = "vm-6-of-shop", "vm-6.shop.example", oldAddr })
	for _, tt := range []struct {
		name   string
		set    func(h *host)
		known  func(h *host) Identity // nil: the host was never registered
		asked  string
		reason string // in the log
		tag    string // as known afterwards
	}{
		{"never registered", nil, nil, registers, "no member yet", "vm-7.shop.example"},
		{"never registered by the agent, and a member", listed, nil, is, "", "vm-7.shop.example"},
		{"a member as known", listed, (*host).self, is, "", "vm-7.shop.example"},
		{"another role in the state", nil, but(func(_ *host, k *Identity) { k.Role = "yrn:yahoo:::shop:role:invoices/slave" }), registers, "no member yet", "vm-7.shop.example"},
		{"another CUK in the state", nil, but(func(_ *host, k *Identity) { k.CUK = "vm-6-of-shop" }), no + ", DELETE/no token, PUT/user-made token, HEAD/no token", "no member yet", "vm-7.shop.example"},
		{"another CUK in the state, and a member already", listed, another, is, "", "vm-7.shop.example"},
		{"another CUK in the state, and no full name", func(h *host) { h.tag = "" }, another, registers, "no member yet", addr},
		{"another fixed tag", func(h *host) { listed(h); h.FixedTag = "seven" }, (*host).self, again, "its tag has changed from vm-7.shop.example to seven", "seven"},
		{"the same fixed tag", func(h *host) { listed(h); h.FixedTag, h.tag = "vm-7.shop.example", "other" }, but(func(h *host, k *Identity) { k.Tag = h.FixedTag }), is, "", "vm-7.shop.example"},
		{"the full name resolves at last", listed, but(func(_ *host, k *Identity) { k.Tag = addr }), again, "its tag has changed from " + addr + " to vm-7.shop.example", "vm-7.shop.example"},
		{"another full name", func(h *host) { listed(h); h.tag = "seven.shop.example" }, but(func(_ *host, k *Identity) { k.Tag = "vm-7.shop.example" }), again, "to seven.shop.example", "seven.shop.example"},
		{"the full name resolves no longer", func(h *host) { listed(h); h.tag = "" }, but(func(_ *host, k *Identity) { k.Tag = "vm-7.shop.example" }), is, "", "vm-7.shop.example"},
		{"the full name never resolved", func(h *host) { listed(h); h.tag = "" }, but(func(_ *host, k *Identity) { k.Tag = addr }), is, "", addr},
		{"nothing is remembered of the tag", listed, but(func(_ *host, k *Identity) { k.Tag = "" }), is, "", "vm-7.shop.example"},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			if tt.set != nil {
				tt.set(h)
			}
			var known Identity
			if tt.known != nil {
				known = tt.known(h)
			}
			now, err := h.keep(known)
			if err != nil {
				t.Fatal(err)
			}
			want := Identity{Role: h.Role.String(), CUK: cuk, Tag: tt.tag, Address: addr}
			if now != want {
				t.Errorf("known as %+v, want %+v", now, want)
			}
			if got := h.asked(); got != tt.asked {
				t.Errorf("requests: %s\nwant %s", got, tt.asked)
			}
			n := 0
			if tt.reason != "" {
				n = 1
			}
			if got := h.logged("registered with K2HR3", "reason=", tt.reason); got != n {
				t.Errorf("%d words in the log with %q, want %d:\n%s", got, tt.reason, n, h.log.String())
			}
			if got := h.members(); tt.reason != "" && got != addr+"="+tt.tag {
				t.Errorf("members: %s", got)
			}
			if n := h.logged("WARN"); n != 0 {
				t.Errorf("%d warnings:\n%s", n, h.log.String())
			}

			h.asked()
			if next, err := h.keep(now); next != now || err != nil {
				t.Errorf("once more: %+v, %v", next, err)
			}
			if got := h.asked(); got != is {
				t.Errorf("once more: %s", got)
			}
		})
	}
}

// Of a row's steps, x: K2HR3 misses the host; p: it does, and cannot be pinged;
// s: it does, as slowly as without its store; i: its probe fails; dot: it is a
// member. What comes of each is m: ErrMissing, R: registered, e: another error,
// dot: nothing to do.
func TestThreeMissesInARowAreAReason(t *testing.T) {
	for _, tt := range []struct{ steps, want string }{
		{"x", "m"},
		{"xx", "mm"},
		{"xxx", "mmR"},
		{"xx.xx", "mm.mm"},
		{"xx.xxx", "mm.mmR"},
		{"x.x.x.x.x", "m.m.m.m.m"},
		{"xxpx", "mmeR"},
		{"xxppp.xx", "mmeee.mm"},
		{"xixx", "memR"},
		{"ssssssss", "eeeeeeee"},
		{"xxsss.xx", "mmeee.mm"},
		{"xxxxxx", "mmRmmR"},
	} {
		onHost(t, tt.steps, func(t *testing.T, h *host) {
			got, known := "", h.self()
			for _, step := range tt.steps {
				h.api.ClearFaults()
				h.cluster.DropSlave(addr, cuk)
				switch step {
				case '.':
					h.cluster.AddSlave(addr, cuk, h.tag)
				case 'p':
					h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.InternalError, On: []fakek2hr3.Op{fakek2hr3.OpRoot}})
				case 's':
					h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second})
				case 'i':
					h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.InternalError, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
				}
				before := h.registrations
				_, err := h.keep(known)
				switch {
				case h.registrations != before && err == nil:
					got += "R"
				case errors.Is(err, ErrMissing):
					got += "m"
				case err != nil:
					got += "e"
				default:
					got += "."
				}
			}
			if got != tt.want {
				t.Errorf("got %s, want %s\n%s", got, tt.want, h.log.String())
			}
		})
	}
}

func TestWhatIsSaidOfAMissTellsBothReasonsAndAsksForPatience(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		_, err := h.keep(h.self())
		says(t, err, "no longer a member", h.Role.String(), cuk, "removed", "store is down", "asks again")
	})
}

// unusable makes every connection from an old address fail as the kernel does.
func (h *host) unusable(netip.Addr) (*k2hr3.Client, error) {
	api, _ := k2hr3.ParseAPI("http://k2hr3.shop.example:18080")
	return k2hr3.New(k2hr3.Config{API: api, Logger: h.logger, Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("bind: cannot assign requested address")}
		},
	}})
}

func TestAHostWithAnotherAddressLeavesUnderTheOldOneFirst(t *testing.T) {
	const probes, joins = "probe/" + addr + " probe/" + addr, "register/" + addr + " probe/" + addr
	const leaves = "leave/" + oldAddr
	for _, tt := range []struct {
		name    string
		set     func(h *host)
		trail   string
		members string
		stays   bool // the old address, and the log says so
	}{
		{"which it still has", nil, probes + " " + leaves + " " + joins, addr + "=vm-7.shop.example", false},
		{"which is not listed any more", func(h *host) { h.cluster.DropSlave(oldAddr, cuk) },
			probes + " " + leaves + " " + joins, addr + "=vm-7.shop.example", false},
		{"which it has lost", func(h *host) { h.ClientFrom = h.unusable },
			probes + " " + joins, oldAddr + "=vm-7.shop.example " + addr + "=vm-7.shop.example", true},
		{"which no client can be made for", func(h *host) {
			h.ClientFrom = func(netip.Addr) (*k2hr3.Client, error) { return nil, errors.New("no such client") }
		}, probes + " " + joins, oldAddr + "=vm-7.shop.example " + addr + "=vm-7.shop.example", true},
		{"and K2HR3's store is down for that", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second, On: []fakek2hr3.Op{fakek2hr3.OpLeave}})
		}, probes + " " + leaves + " " + joins, oldAddr + "=vm-7.shop.example " + addr + "=vm-7.shop.example", true},
		{"and K2HR3 fails at that", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut, On: []fakek2hr3.Op{fakek2hr3.OpLeave}})
		}, probes + strings.Repeat(" "+leaves, 4) + " " + joins, oldAddr + "=vm-7.shop.example " + addr + "=vm-7.shop.example", true},
		{"and its tag is its address", func(h *host) { h.tag = "" },
			probes + " " + leaves + " " + joins, addr + "=" + addr, false},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			known := h.registeredAtOldAddr()
			if tt.set != nil {
				tt.set(h)
			}
			if h.tag == "" {
				known.Tag = oldAddr
			}
			now, err := h.keep(known)
			if err != nil || now.Address != addr {
				t.Fatalf("%+v, %v", now, err)
			}
			if got := h.trail(); got != tt.trail {
				t.Errorf("requests: %s\nwant %s", got, tt.trail)
			}
			if got := h.members(); got != tt.members {
				t.Errorf("members: %s, want %s", got, tt.members)
			}
			if n := h.logged("registered with K2HR3", "its address has changed from "+oldAddr+" to "+addr); n != 1 {
				t.Errorf("the log does not say the reason:\n%s", h.log.String())
			}
			stays := h.logged("WARN", "the old address stays", oldAddr, cuk, known.Role, "administrator")
			if (stays == 1) != tt.stays || h.logged("WARN") != stays {
				t.Errorf("the log:\n%s", h.log.String())
			}
			left := !tt.stays && tt.name != "which is not listed any more"
			if (h.logged("this host has left the role under its old address", oldAddr) == 1) != left {
				t.Errorf("the log:\n%s", h.log.String())
			}
		})
	}
}

func TestAnAddressThatIsNoneInTheStateIsNoReasonToFail(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		known := h.self()
		known.Address = "somewhere"
		if now, err := h.keep(known); err != nil || now != h.self() {
			t.Errorf("%+v, %v", now, err)
		}
	})
}

// A host that has moved and cannot register is not to fill the log, nor to ask
// K2HR3 again and again to take out what is out.
func TestWhatTheOldAddressLeavesBehindIsDoneAndToldOnce(t *testing.T) {
	for name, lose := range map[string]bool{"the old address can be used": false, "the old address is lost": true} {
		onHost(t, name, func(t *testing.T, h *host) {
			known := h.registeredAtOldAddr()
			if lose {
				h.ClientFrom = h.unusable
			}
			h.cluster.Revoke(h.token)
			for range 50 {
				if _, err := h.keep(known); !errors.Is(err, k2hr3.ErrUnauthorized) {
					t.Fatalf("%v", err)
				}
			}
			if n := h.logged("old address"); n != 1 {
				t.Errorf("the old address is logged %d times", n)
			}
			if n := strings.Count(h.trail(), "leave/"); n > 1 {
				t.Errorf("K2HR3 was asked %d times to take it out", n)
			}
			h.use(h.cluster.RoleToken("slave", 0))
			if now, err := h.keep(known); err != nil || now.Address != addr {
				t.Errorf("with a good token: %+v, %v", now, err)
			}
		})
	}
}

func TestAHostThatCannotRegisterUnderItsNewAddressDoesNotLeaveUnderTheOldOne(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(h *host)
		want error
	}{
		"no role token":     {func(h *host) { h.file = "" }, ErrNoToken},
		"an unfit address":  {func(h *host) { h.moveTo("2001:db8::12") }, ErrUnfit},
		"no token in it":    {func(h *host) { h.write("pass word\n") }, nil},
		"the probe fails":   {func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.InternalError}) }, k2hr3.ErrServer},
		"the store is down": {func(h *host) { h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second}) }, errSlowNo},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			known := h.registeredAtOldAddr()
			tt.set(h)
			if _, err := h.keep(known); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := h.members(); got != oldAddr+"=vm-7.shop.example" {
				t.Errorf("members: %s", got)
			}
		})
	}
}

// An image with the original's state must not touch the original.
func TestACloneLeavesTheOriginalAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.cluster.AddSlave(oldAddr, "vm-6-of-shop", "vm-6.shop.example")
		original := Identity{Role: h.Role.String(), CUK: "vm-6-of-shop", Tag: "vm-6.shop.example", Address: oldAddr}
		h.ClientFrom = h.unusable
		now, err := h.keep(original)
		if err != nil || now != h.self() {
			t.Errorf("%+v, %v", now, err)
		}
		if got := h.members(); got != oldAddr+"=vm-6.shop.example "+addr+"=vm-7.shop.example" {
			t.Errorf("members: %s", got)
		}
		// It would have an administrator remove the original.
		if n := h.logged("WARN"); n != 0 {
			t.Errorf("%d warnings:\n%s", n, h.log.String())
		}
		h.trail()
		if _, err := h.Leave(t.Context(), original); err != nil {
			t.Error(err)
		}
		if got := h.trail(); got != "leave/"+addr {
			t.Errorf("requests: %s", got)
		}
		if got := h.members(); got != oldAddr+"=vm-6.shop.example" {
			t.Errorf("members after it has left: %s", got)
		}
	})
}

// Which addresses these are is k2hr3.CanLeave's matter.
func TestAnAddressThatK2HR3CouldNeverRemoveIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.moveTo("2001:db8::12")
		_, err := h.keep(Identity{})
		if !errors.Is(err, ErrUnfit) {
			t.Fatalf("got %v", err)
		}
		says(t, err, "2001:db8::12", "never remove", "IPv4")
		if got := h.asked(); strings.Contains(got, "PUT") {
			t.Errorf("requests: %s", got)
		}
		h.moveTo("2001:db8::12:f")
		if _, err := h.keep(Identity{}); err != nil || len(h.cluster.Slaves()) != 1 {
			t.Errorf("%v; members: %s", err, h.members())
		}
	})
}

func TestAMemberUnderAnUnfitAddressIsLeftAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.moveTo("2001:db8::12")
		h.cluster.AddSlave(h.addr, cuk, h.tag)
		if now, err := h.keep(Identity{}); err != nil || now != h.self() {
			t.Errorf("%+v, %v", now, err)
		}
	})
}

func TestAFullNameThatIsNoTagIsNotUsed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.tag = "vm[7].shop.example"
		if now, err := h.keep(Identity{}); err != nil || now.Tag != h.addr {
			t.Errorf("%+v, %v, want the address for a tag", now, err)
		}
	})
}

// A host that is called localhost is so on every host.
func TestNoHostIsRegisteredAsLocalhost(t *testing.T) {
	for _, name := range []string{
		"localhost", "localhost.localdomain", "localhost4", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback",
		"LocalHost.", "localhost.shop.example", "vm-7.localhost",
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			h.tag = name
			now, err := h.keep(Identity{})
			if err != nil || now.Tag != h.addr || h.members() != h.addr+"="+h.addr {
				t.Errorf("%+v, %v, members %s, want the address for a tag", now, err, h.members())
			}
			// An agent before this one may have registered it so.
			h.cluster.AddSlave(h.addr, cuk, name)
			known := now
			known.Tag = name
			now, err = h.keep(known)
			if err != nil || now.Tag != h.addr || h.members() != h.addr+"="+h.addr {
				t.Errorf("%+v, %v, members %s, want it registered anew", now, err, h.members())
			}
			h.FixedTag = name
			if _, err := h.keep(Identity{}); err == nil && !strings.Contains(h.members(), h.addr+"="+h.addr) {
				t.Errorf("members %s", h.members())
			}
		})
	}
}

func TestANameThatIsNoLongerTheHostsIsNotKept(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		known, err := h.keep(Identity{})
		if err != nil {
			t.Fatal(err)
		}
		h.tag = "" // nothing resolves
		mine := true
		h.MayBeNamed = func(_ context.Context, name string) bool { return mine && name == known.Tag }
		if now, err := h.keep(known); err != nil || now != known {
			t.Errorf("%+v, %v while nobody can tell", now, err)
		}
		mine = false
		now, err := h.keep(known)
		if err != nil || now.Tag != h.addr || h.members() != h.addr+"="+h.addr {
			t.Errorf("%+v, %v, members %s, want the address", now, err, h.members())
		}
	})
}

func TestRenamedIsAskedOnlyWhereTheTagIsTheHostsName(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		if h.Renamed() {
			t.Error("without anybody to say so")
		}
		h.NameChanged = func() bool { return true }
		if !h.Renamed() {
			t.Error("not renamed")
		}
		h.FixedTag = "vm-7"
		if h.Renamed() {
			t.Error("renamed under a tag that the operator has given")
		}
	})
}

func TestMovedComparesWithWhatIsKnown(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		known := h.self()
		if h.Moved(t.Context(), known) {
			t.Error("moved from where it is")
		}
		if h.Moved(t.Context(), Identity{}) {
			t.Error("moved from nowhere")
		}
		h.moveTo(oldAddr)
		if !h.Moved(t.Context(), known) {
			t.Error("not moved")
		}
		h.addrErr = errors.New("no route")
		if h.Moved(t.Context(), known) {
			t.Error("moved to nowhere")
		}
		if len(h.api.Requests()) != 0 {
			t.Error("it asked K2HR3")
		}
	})
}

func TestLeaveTakesTheHostOutUnderBothItsAddresses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		set     func(h *host)
		known   func(h *host) Identity
		trail   string
		left    bool
		members string
		warned  bool
	}{
		{"as known", nil, (*host).self, "leave/" + addr, true, oldAddr + "=old", false},
		{"never known", nil, func(*host) Identity { return Identity{} }, "leave/" + addr, true, oldAddr + "=old", false},
		{"known under an old address", nil, but(func(_ *host, k *Identity) { k.Address = oldAddr }), "leave/" + oldAddr + " leave/" + addr, true, "", false},
		{"known under an address it has lost", func(h *host) { h.ClientFrom = h.unusable }, but(func(_ *host, k *Identity) { k.Address = oldAddr }), "leave/" + addr, true, oldAddr + "=old", true},
		{"no member any more", func(h *host) { h.cluster.DropSlave(addr, cuk) }, (*host).self, "leave/" + addr, false, oldAddr + "=old", false},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.cluster.AddSlave(addr, cuk, h.tag)
			h.cluster.AddSlave(oldAddr, cuk, "old")
			if tt.set != nil {
				tt.set(h)
			}
			left, err := h.Leave(t.Context(), tt.known(h))
			if left != tt.left || err != nil {
				t.Errorf("%v, %v", left, err)
			}
			if got := h.trail(); got != tt.trail {
				t.Errorf("requests: %s, want %s", got, tt.trail)
			}
			if got := h.members(); got != tt.members {
				t.Errorf("members: %q, want %q", got, tt.members)
			}
			if warned := h.logged("WARN", oldAddr) == 1; warned != tt.warned {
				t.Errorf("the log:\n%s", h.log.String())
			}
		})
	}
}

func TestALeaveThatFailsSaysWhatIsLeftAndHowToCleanUp(t *testing.T) {
	for name, fault := range map[string]fakek2hr3.Fault{
		"500":       {Name: fakek2hr3.InternalError},
		"no answer": {Name: fakek2hr3.Cut},
		"hang":      {Name: fakek2hr3.Hang},
		"a gateway": {Name: fakek2hr3.BadGateway},
		"a page":    {Name: fakek2hr3.Redirect, Status: 403},
		// as K2HR3 says no, but for the time and the body
		"the store is down": {Name: fakek2hr3.BackendDown, Delay: 14 * time.Second},
		"a gateway's no":    {Name: fakek2hr3.WrongJSON, Status: 403, Body: `{"message":"forbidden by gateway"}`},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			h.cluster.AddSlave(addr, cuk, h.tag)
			h.api.Fault(fault)
			left, err := h.Leave(t.Context(), h.self())
			if left || err == nil {
				t.Fatalf("%v, %v", left, err)
			}
			says(t, err, cuk, h.Role.String(), "may still be listed", "unregister again", "remove the host from the role")
			if strings.Contains(h.asked(), "user-made") {
				t.Error("the token was sent")
			}
		})
	}
}

func TestATokenThatIsDeletedIsLoggedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.ForgetToken = true
		if _, err := h.keep(Identity{}); err != nil {
			t.Fatal(err)
		}
		for range 5 { // the file is named by the configuration, whether it is there or not
			noError(t, h.read(t))
		}
		if n := h.logged("no longer needs"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		h.use(h.cluster.RoleToken("slave", 0))
		if err := h.read(t); err != nil || h.logged("no longer needs") != 2 {
			t.Errorf("another one: %v\n%s", err, h.log.String())
		}
	})
}

func TestACUKThatHasChangedIsTakenOutWhereItWasRegistered(t *testing.T) {
	for _, tt := range []struct {
		name    string
		former  string // the address the host was registered from under its CUK before
		listed  bool   // under the new one already
		fault   fakek2hr3.FaultName
		members string
		fails   bool
	}{
		{"at this address", addr, false, "", addr + "=vm-7.shop.example", false},
		{"at this address, and a member already", addr, true, "", addr + "=vm-7.shop.example", false},
		{"by the host that this one is a copy of", oldAddr, false, "", oldAddr + "=former " + addr + "=vm-7.shop.example", false},
		{"by the host that this one, a member, is a copy of", oldAddr, true, "", oldAddr + "=former " + addr + "=vm-7.shop.example", false},
		{"and K2HR3 cannot be asked to", addr, true, fakek2hr3.Hang, addr + "=former " + addr + "=vm-7.shop.example", true},
		{"and K2HR3's store is down", addr, true, fakek2hr3.BackendDown, addr + "=former " + addr + "=vm-7.shop.example", true},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.cluster.AddSlave(tt.former, "former", "former")
			if tt.listed {
				h.cluster.AddSlave(addr, cuk, "vm-7.shop.example")
			}
			if tt.fault != "" {
				h.api.Fault(fakek2hr3.Fault{Name: tt.fault, Delay: 14 * time.Second, On: []fakek2hr3.Op{fakek2hr3.OpLeave}})
			}
			known := Identity{Role: h.Role.String(), CUK: "former", Tag: "former", Address: tt.former}
			now, err := h.keep(known)
			if (err != nil) != tt.fails {
				t.Fatal(err)
			}
			if want := h.self(); !tt.fails && now != want || tt.fails && now != known {
				t.Errorf("known as %+v", now)
			}
			if got := h.members(); got != tt.members {
				t.Errorf("members %q, want %q", got, tt.members)
			}
			if tt.former == oldAddr && strings.Contains(h.asked(), "DELETE") {
				t.Error("something was taken out")
			}
		})
	}
}

func TestNothingIsTakenOutBeforeTheHostCanRegisterAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.cluster.AddSlave(addr, "former", "former")
		h.file = ""
		_, err := h.keep(Identity{Role: h.Role.String(), CUK: "former", Tag: "former", Address: addr})
		if !errors.Is(err, ErrNoToken) || h.members() != addr+"=former" {
			t.Errorf("%v, members %s", err, h.members())
		}
	})
}
