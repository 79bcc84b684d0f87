package watcher

import (
	"os"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// tokenOnly brings the host to where it reads by its token alone: its entry is
// under another address, as behind a gateway that has changed its own.
func tokenOnly(h *host) {
	h.cluster.AddSlave("10.20.9.9", ownCUK, ownAddr)
	h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
}

// newToken is what an operator does about a token.
func newToken(h *host) {
	h.setToken(h.cluster.RoleToken("slave", 0))
	h.askNow() // the agent watches the file
}

func tokenFaults() []fault {
	healed := func(h *host) { h.api.ClearFaults(); newToken(h) }
	write := func(text string) func(h *host) {
		return func(h *host) {
			noError(h.t, os.WriteFile(h.tokenFile(), []byte(text), 0o600))
		}
	}
	return []fault{
		{name: "the token expires", wrong: "the role token of a member expires", does: "reads by address and CUK, which do not expire",
			strike: func(h *host) { on(fakek2hr3.Fault{Name: fakek2hr3.TokensExpired})(h) }, sees: 5 * time.Second, asks: 45, hush: true},
		{name: "the token is revoked", wrong: "the role token of a member is revoked", does: "reads by address and CUK",
			strike: func(h *host) { h.cluster.Revoke(h.token) }, sees: 5 * time.Second, asks: 45, hush: true},
		{name: "the token is deleted after the registration", wrong: "somebody deletes the role token of a member", does: "reads by address and CUK",
			strike: func(h *host) { h.removeToken() }, sees: 5 * time.Second, asks: 45, hush: true},
		{name: "the only right is revoked", wrong: "the role token is revoked of a host that K2HR3 does not know by its address", does: "keeps the file and the token; says that a new one is wanted; uses that at once",
			before: tokenOnly, strike: func(h *host) { h.cluster.Revoke(h.token) }, heal: healed, within: 5 * time.Second,
			asks: 430, puts: 1, says: []string{silent, "role token"}},
		{name: "the only right is deleted", wrong: "the role token is deleted of a host that K2HR3 does not know by its address", does: "keeps the file; says what to do; uses a new one at once",
			before: tokenOnly, strike: func(h *host) { h.removeToken() }, heal: healed, within: 5 * time.Second,
			asks: 270, puts: 1, says: []string{"membership unconfirmed", "no role token", "role-token-file"}},
		{name: "the token file is garbage", wrong: "the token file of such a host has something else in it", does: "keeps the file; says so without showing it",
			before: tokenOnly, strike: write("correct horse battery staple\n"), heal: func(h *host) {
				for _, line := range h.log.all() {
					if strings.Contains(line, "horse") {
						h.t.Errorf("the log shows it: %s", line)
					}
				}
				healed(h)
			}, within: 5 * time.Second, asks: 270, puts: 1, says: []string{silent, "role token contains a blank"}},
		{name: "the token file is empty", wrong: "the token file of such a host is empty", does: "keeps the file; says so",
			before: tokenOnly, strike: write("\n"), heal: healed, within: 5 * time.Second, asks: 250, puts: 1, says: []string{silent, "role token is empty"}},
		{name: "a user token", wrong: "the token file of such a host has a user token in it", does: "keeps the file; says so, and does not send it",
			before: tokenOnly, strike: write("U=0123456789abcdef\n"), heal: healed, within: 5 * time.Second, asks: 240, puts: 1, says: []string{silent, "user token"}},
		{name: "a digit of the token is missing", wrong: "the token file of such a host has a token of 63 digits in it", does: "keeps the file; says so, and does not send it",
			before: tokenOnly, strike: func(h *host) { write(h.token[:63] + "\n")(h) }, heal: healed, within: 5 * time.Second, asks: 240, puts: 1, says: []string{silent, "role token has 63 digits"}},
		{name: "the token is rotated", wrong: "the role token of such a host is replaced, the old one is revoked", does: "uses the new one at once",
			before: tokenOnly, strike: func(h *host) { h.cluster.Revoke(h.token); newToken(h) }, heal: (*host).clear, within: 6 * time.Minute,
			sees: 5 * time.Second, asks: 170, puts: 1, says: []string{"membership unconfirmed"}},
	}
}

func (h *host) clear() { h.api.ClearFaults() }

const secondAddr = "10.20.0.22"

// twoAddresses are those of a chmpx that knows both.
func twoAddresses(h *host) {
	h.chmpx.local = []string{ownAddr, secondAddr, "127.0.0.1", "vm-7.shop.example"}
}

func identityFaults() []fault {
	forgotten := func(h *host) { h.cluster.DropSlave(ownAddr, ownCUK) }
	name := func(s string) func(h *host) { return func(h *host) { h.name.Store(&s) } }
	return []fault{
		{name: "forgotten by K2HR3", wrong: "K2HR3 removes the host, because the cloud has deleted one of its ports", does: "looks three times, then registers anew",
			strike: forgotten, sees: 50 * time.Second, asks: 60, puts: 1, says: []string{"registered with K2HR3", "missed it 3 times"}, once: true},
		{name: "forgotten without anything to notice it by", wrong: "the same, and the host reads by its token and is still in the text", does: "notices at the next look for its membership, every ten minutes",
			before: func(h *host) { h.cluster.AddSlave("10.20.9.9", ownCUK, ownAddr) },
			strike: forgotten, sees: 5 * time.Second, asks: 60, puts: 1, says: []string{"registered with K2HR3", "missed it 3 times"}, once: true},
		{name: "forgotten without a token", wrong: "K2HR3 removes the host, and it has no role token any more", does: "keeps the file; says what to do; registers as soon as there is a token",
			strike: func(h *host) { h.removeToken(); forgotten(h) }, heal: newToken, within: 5 * time.Second, asks: 290, puts: 1,
			says: []string{"membership unconfirmed", "no role token", "/etc/k2hdkc/role-token"}},
		{name: "registrations have no effect", wrong: "K2HR3 forgets the host, takes its registration and does not count it as a member", does: "keeps the file; says so; tries again with growing pauses up to five minutes",
			strike: func(h *host) { forgotten(h); on(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut})(h) }, within: 6 * time.Minute, asks: 500, puts: -1,
			says: []string{"membership unconfirmed", "registered, but not a member"}},
		{name: "a registration is lost", wrong: "K2HR3 forgets the host, and loses its first registration, as it does with a few of many at the same time", does: "looks whether it had an effect, and registers again within seconds, without a warning",
			strike: func(h *host) {
				forgotten(h)
				h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut, Next: 1, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
			}, sees: 2 * time.Minute, writes: -1, asks: 60, puts: 2, says: []string{"registered with K2HR3", "missed it 3 times"}, once: true,
			also: func(h *host) { h.log.want(h.t, 0, "registered, but not a member") }},
		{name: "another worker does not know the registration", wrong: "K2HR3 forgets the host, and for two seconds one of its workers does not know the new registration that another one took", does: "looks again, and does not register twice",
			strike: func(h *host) {
				forgotten(h)
				h.api.OnRequest(func(r fakek2hr3.Request) {
					if r.Op == fakek2hr3.OpRegister {
						h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.StaleWorker, Next: 1, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
					}
				})
			}, sees: 2 * time.Minute, writes: -1, asks: 60, puts: 1, says: []string{"registered with K2HR3", "missed it 3 times"}, once: true,
			also: func(h *host) { h.log.want(h.t, 0, "registered, but not a member") }},
		{name: "removed once and again", wrong: "somebody removes the host each time it has registered", does: "registers anew after three looks each time, 40 s apart at least",
			strike: func(h *host) {
				for range 5 {
					forgotten(h)
					h.pass(time.Minute)
				}
			}, sees: 50 * time.Second, lasts: 25 * time.Minute, asks: 100, puts: -1, says: []string{"registered with K2HR3"}},
		{name: "the role is deleted", wrong: "an administrator deletes the role, with its members and tokens", does: "keeps the file; is a member again once the role is back and there is a token",
			strike: func(h *host) { h.cluster.SetRole(false) }, heal: func(h *host) { h.cluster.SetRole(true); newToken(h) }, within: 5 * time.Second,
			asks: 450, puts: 1, says: []string{silent}},
		{name: "the role is recreated", wrong: "an administrator makes the role anew: its members and tokens are gone", does: "keeps the file; says that a new role token is wanted",
			strike: func(h *host) { h.cluster.SetRole(false); h.cluster.SetRole(true) }, heal: newToken, within: 5 * time.Second,
			asks: 430, puts: 1, says: []string{"membership unconfirmed", "issue a new role token"}},
		{name: "the policy is removed", wrong: "the role may not read the RESOURCE any more", does: "keeps the file; says what to look at",
			strike: func(h *host) { h.cluster.SetPolicy(false) }, heal: func(h *host) { h.cluster.SetPolicy(true) }, asks: 220, says: []string{silent, "policy"}},
		{name: "the RESOURCE is removed", wrong: "the RESOURCE is deleted", does: "keeps the file; says what to look at",
			strike: func(h *host) { h.cluster.SetResource(false) }, heal: func(h *host) { h.cluster.SetResource(true) }, asks: 120, says: []string{silent, "missing in K2HR3"}},
		{name: "registered elsewhere with the same CUK", wrong: "another host registers with this one's CUK", does: "is not disturbed",
			strike: func(h *host) { h.cluster.AddSlave("10.20.9.9", ownCUK, "copy.shop.example") }, sees: 5 * time.Second, asks: 45, hush: true},
		{name: "another address", wrong: "the host reaches K2HR3 from another address, and has the old one too", does: "leaves the role under the old address, and registers under the new one",
			before: twoAddresses, strike: func(h *host) { h.moveTo(secondAddr) }, sees: 10 * time.Second, asks: 50, puts: 1, writes: -1,
			also: func(h *host) { h.onlyMember(secondAddr) }, says: []string{"registered with K2HR3", "its address has changed"}, once: true},
		{name: "another address, the old one is lost", wrong: "the host gets another address, and the old one is gone", does: "registers under the new one; says that the old one stays until somebody removes it",
			before: twoAddresses, strike: func(h *host) { lost := ownAddr; h.lost.Store(&lost); h.moveTo(secondAddr) }, sees: 15 * time.Second,
			asks: 50, puts: 1, writes: -1, says: []string{"the old address stays in the role", "administrator"}, once: true},
		{name: "another address and no token", wrong: "the host gets another address, and has no role token any more", does: "keeps the file, and its old entry; registers as soon as there is a token",
			before: twoAddresses, strike: func(h *host) { h.removeToken(); h.moveTo(secondAddr) }, heal: newToken, within: 5 * time.Second,
			asks: 290, puts: 1, says: []string{"membership unconfirmed", "no role token"}},
		{name: "another address and a dead token", wrong: "the host gets another address, and its role token is revoked", does: "keeps the file; tells once that it has left the old address",
			before: twoAddresses, strike: func(h *host) { h.cluster.Revoke(h.token); h.moveTo(secondAddr) }, heal: newToken, within: 5 * time.Second,
			asks: 420, puts: 1, says: []string{"this host has left the role under its old address"}, once: true},
		{name: "an IPv6 address that K2HR3 cannot remove", wrong: "the host reaches K2HR3 from an IPv6 address that K2HR3 could register and never remove", does: "does not register under it; reads by its token; says why",
			strike: func(h *host) { h.moveTo("2001:db8::12") }, heal: func(h *host) { h.moveTo(ownAddr) }, sees: 5 * time.Second,
			asks: 90, says: []string{"cannot be registered", "IPv4"}},
		{name: "the full name resolves at last", wrong: "the name service learns the host's full name after it has registered by its address", does: "registers under its name, within ten minutes",
			before: twoAddresses, strike: name("vm-7.shop.example"), sees: 5 * time.Second, writes: 2, asks: 50, puts: 1,
			says: []string{"registered with K2HR3", "its tag has changed"}, once: true},
		{name: "the full name resolves no longer", wrong: "the name service is down", does: "keeps the name",
			before: func(h *host) { twoAddresses(h); name("vm-7.shop.example")(h) }, strike: name(""), sees: 5 * time.Second, asks: 50, hush: true},
		{name: "the host is renamed", wrong: "the host gets another name that resolves", does: "registers under that, within half a minute",
			before: func(h *host) { twoAddresses(h); name("vm-7.shop.example")(h) },
			strike: func(h *host) { named(h, "vm-8.shop.example"); name("vm-8.shop.example")(h); h.renamed.Store(true) },
			sees:   15 * time.Second, writes: -1, asks: 50, puts: 1, also: tagged("vm-8.shop.example"),
			says: []string{"registered with K2HR3", "its tag has changed from vm-7.shop.example to vm-8.shop.example"}, once: true},
		{name: "the host is renamed to localhost", wrong: "the host gets the name localhost, and its old one is nobody's", does: "registers under its address, within half a minute",
			before: func(h *host) { twoAddresses(h); name("vm-7.shop.example")(h) },
			strike: func(h *host) { name("localhost")(h); h.unnamed.Store(true); h.renamed.Store(true) },
			sees:   15 * time.Second, writes: -1, asks: 50, puts: 1, also: tagged(ownAddr),
			says: []string{"registered with K2HR3", "its tag has changed from vm-7.shop.example to " + ownAddr}, once: true},
		{name: "the host is renamed, and the new name does not resolve", wrong: "the host gets another name that nobody knows, and its old one resolves still", does: "keeps the old one",
			before: func(h *host) { twoAddresses(h); name("vm-7.shop.example")(h) },
			strike: func(h *host) { name("")(h); h.renamed.Store(true) },
			sees:   5 * time.Second, asks: 50, also: tagged("vm-7.shop.example"), hush: true},
		{name: "a copy of the host", wrong: "an image of the host, with its slave.ini and state, starts as another VM", does: "registers as itself, gets its own SELFCUK, and leaves the original alone",
			strike: func(h *host) { h.becomeCopy(secondAddr, secondAddr) }, heal: func(h *host) { h.chmpx.start(h.t) }, sees: 70 * time.Second, writes: -1,
			asks: 70, puts: 1, also: (*host).isCopy, says: []string{"registered with K2HR3", "no member yet"}, once: true},
		{name: "a copy that is a member already", wrong: "the same, and another tool has registered the copy", does: "gets its own SELFCUK, and is not registered again",
			strike: func(h *host) {
				h.cluster.AddSlave(secondAddr, copyCUK, secondAddr)
				h.becomeCopy(secondAddr, secondAddr)
			}, heal: func(h *host) { h.chmpx.start(h.t) }, sees: 70 * time.Second, writes: -1, asks: 60, also: (*host).isCopy, says: []string{"chmpx is not running"}},
		{name: "another CUK under the same address", wrong: "the host is built anew, with its address, slave.ini and state", does: "takes out who it was, registers as itself, and gets its own SELFCUK",
			strike: func(h *host) { h.becomeCopy(ownAddr, ownAddr) }, heal: func(h *host) { h.chmpx.start(h.t) }, sees: 70 * time.Second, writes: -1,
			asks: 70, puts: 1, also: (*host).isNew, says: []string{"this host has left the role under its former CUK"}, once: true},
	}
}

// named gives the host one more name that its chmpx knows.
func named(h *host, name string) {
	h.chmpx.set(func(c *fakeChmpx) { c.local = append(slices.Clone(c.local), name) })
}

// tagged looks for the tag that the host is registered under.
func tagged(tag string) func(h *host) {
	return func(h *host) {
		for _, s := range h.cluster.Slaves() {
			if s.Addr == ownAddr && s.Tag != tag {
				h.t.Errorf("registered under %s, want %s", s.Tag, tag)
			}
		}
	}
}

const copyCUK = "vm-8-of-shop"

// becomeCopy starts the agent as that of another VM with this one's disk.
func (h *host) becomeCopy(addr, local string) {
	h.stop()
	h.chmpx.stop()
	h.chmpx.local = []string{local, "127.0.0.1"}
	h.config.InstanceID = copyCUK
	h.config.Origin = "http://k2hr3 orders " + copyCUK
	h.addr = addr
	h.start()
}

// isNew: it goes by its own CUK and by no other.
func (h *host) isNew() { h.goesByItsCUK(false) }

// isCopy: it goes by its own CUK, and the original by its.
func (h *host) isCopy() { h.goesByItsCUK(true) }

func (h *host) goesByItsCUK(original bool) {
	if !strings.Contains(h.file(), "SELFCUK             = "+copyCUK+"\n") {
		h.t.Errorf("the file has not its CUK:\n%s", h.file())
	}
	if got := slices.ContainsFunc(h.cluster.Slaves(), func(s fakek2hr3.Host) bool { return s.CUK == ownCUK && (s.Addr == ownAddr || !original) }); got != original {
		h.t.Errorf("the original is a member: %v, want %v: %+v", got, original, h.cluster.Slaves())
	}
}

func (h *host) onlyMember(addr string) {
	for _, s := range h.cluster.Slaves() {
		if s.Addr != addr {
			h.t.Errorf("%s stays in the role", s.Addr)
		}
	}
}
