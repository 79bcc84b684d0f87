package watcher

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/schedule"
)

// order is what was asked, in one line.
func (h *host) order() string {
	var ops []string
	for _, r := range h.api.Requests() {
		ops = append(ops, string(r.Op))
	}
	return strings.Join(ops, " ")
}

func TestAHostThatIsNoMemberRegistersAndLooksThatItWorked(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.start()
		if got := h.order(); got != "probe probe register probe resource" {
			t.Errorf("requests: %s", got)
		}
		want := []fakek2hr3.Host{{Addr: ownAddr, CUK: ownCUK, Tag: ownAddr, Extra: "openstack-auto-v1"}}
		if got := h.cluster.Slaves(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("members: %+v, want %+v", got, want)
		}
		h.log.want(t, 1, "registered with K2HR3")
	})
}

// Nothing is wrong with a host that is about to register.
func TestNoWarningComesBeforeARegistration(t *testing.T) {
	for name, set := range map[string]func(h *host){
		"a new host":                    func(*host) {},
		"its entry has another address": func(h *host) { h.cluster.AddSlave("10.20.9.9", ownCUK, ownAddr) },
		"the first registration is lost": func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut, Next: 1, On: []fakek2hr3.Op{fakek2hr3.OpRegister}})
		},
		"a worker does not know of it yet": func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.StaleWorker, Next: 3, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
		},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			set(h)
			h.start()
			h.pass(20 * time.Second)
			h.log.want(t, 1, "registered with K2HR3")
			h.log.want(t, 0, "WARN")
		})
	}
}

func TestAMemberIsNotRegisteredAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.removeToken()
		h.cluster.AddSlave(ownAddr, ownCUK, ownAddr)
		h.start()
		if got := h.order(); got != "probe resource" {
			t.Errorf("requests: %s", got)
		}
		h.forget()
		h.pass(time.Hour)
		for range 5 {
			h.askNow()
		}
		if n := len(h.requests(fakek2hr3.OpRegister)); n != 0 {
			t.Errorf("%d registrations", n)
		}
		if n := len(h.requests(fakek2hr3.OpProbe)); n < 5+5 || n > 5+7 {
			t.Errorf("%d looks for membership, want one for each time it was told to and one every ten minutes", n)
		}
		h.wantListed(1, "no file")
	})
}

func TestWithoutARoleTokenTheLogSaysWhatToDoAndOneThatComesIsUsedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.removeToken()
		h.start()
		h.pass(10 * time.Minute)
		h.checkNag("membership unconfirmed", 10*time.Minute)
		h.log.want(t, h.log.count("membership unconfirmed"), "no role token", "/etc/k2hdkc/role-token", "role-token-file")
		h.setToken(h.token)
		h.askNow()
		h.wantListed(1, "no file")
	})
}

func TestAFailedRegistrationDoesNotStopReading(t *testing.T) {
	for _, fault := range []fakek2hr3.Fault{
		{Name: fakek2hr3.InternalError, On: []fakek2hr3.Op{fakek2hr3.OpProbe}},
		{Name: fakek2hr3.Cut, On: []fakek2hr3.Op{fakek2hr3.OpRegister}},
	} {
		onHost(t, string(fault.On[0]), func(t *testing.T, h *host) {
			h.blind = true
			// Listed under another address: readable by the token only.
			h.cluster.AddSlave("10.20.9.9", ownCUK, ownAddr)
			h.api.Fault(fault)
			h.start()
			h.pass(2 * time.Second) // the registration is tried again
			if !h.lists(1) {
				t.Fatal("no file")
			}
			h.join(2)
			h.pass(70 * time.Second)
			h.wantListed(2, "no second file")
			h.pass(time.Hour)
			if n := len(h.requests(fakek2hr3.OpProbe)); n < 12 || n > 120 { // each asks twice
				t.Errorf("%d attempts to join in an hour", n)
			}
			h.checkNag("membership unconfirmed", 61*time.Minute)
			h.api.ClearFaults()
			h.pass(schedule.LongestCheckPause + time.Minute)
			if n := len(h.cluster.Slaves()); n != 2 {
				t.Errorf("%d members, want this host among them", n)
			}
		})
	}
}

// rejoins is how long three looks take from the first doubt on.
const rejoins = schedule.DoubtPause + 2*schedule.MissedPause + 4*time.Second

func TestAHostThatK2HR3ForgotRegistersAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hold  time.Duration
		after time.Duration
	}{
		{"held requests", time.Minute, 3*time.Second + rejoins},
		{"stock K2HR3", 0, 68*time.Second + rejoins},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.blind = true
			h.api.Hold(tt.hold)
			h.applied()
			h.pass(10 * time.Second)
			unchanged := h.untouched()
			h.cluster.DropSlave(ownAddr, ownCUK)
			h.pass(tt.after)
			if len(h.cluster.Slaves()) != 1 {
				t.Error("it is no member again")
			}
			if n := len(h.requests(fakek2hr3.OpRegister)); n != 1 {
				t.Errorf("%d registrations", n)
			}
			h.pass(10 * time.Minute)
			unchanged()
			h.join(2)
			h.pass(68 * time.Second)
			h.wantListed(2, "the next change is not applied")
		})
	}
}

func TestAHostThatIsReadByItsTokenFindsOutThatItIsNoMember(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(h *host)
		lose   func(h *host)
	}{
		{"its entry is under another address", func(*host) {}, func(h *host) {
			h.cluster.AddSlave("10.20.9.9", ownCUK, ownAddr) // so the text stays
			h.cluster.DropSlave(ownAddr, ownCUK)
		}},
		{"its entry is gone from the text", func(h *host) {
			h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Redirect, Status: 401, Next: 1, On: []fakek2hr3.Op{fakek2hr3.OpResource}})
		}, func(h *host) { h.cluster.DropSlave(ownAddr, ownCUK) }},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.blind = true
			tt.before(h)
			h.applied()
			tt.lose(h)
			h.pass(150 * time.Second)
			if !slices.ContainsFunc(h.cluster.Slaves(), func(s fakek2hr3.Host) bool { return s.Addr == ownAddr }) {
				t.Error("it is no member again")
			}
			if n := len(h.requests(fakek2hr3.OpRegister)); n != 1 {
				t.Errorf("%d registrations", n)
			}
		})
	}
}

func TestARegistrationWithoutEffectIsReported(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.ForgetPut})
		h.start()
		h.pass(30 * time.Minute)
		h.checkNag("membership unconfirmed", 30*time.Minute)
		if h.log.count("registered, but not a member", h.cluster.SlaveRole()) == 0 {
			t.Error("the log does not say so")
		}
		// 66 on average, by chance 7 more or less: of 500 runs.
		if n := len(h.requests(fakek2hr3.OpRegister)); n < 30 || n > 115 {
			t.Errorf("%d registrations in half an hour", n)
		}
	})
}
