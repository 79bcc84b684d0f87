package chmpx

import (
	"context"
	"strings"
	"testing"
)

const good = `[GLOBAL]
FILEVERSION = 7
GROUP = orders
MODE = SLAVE
DELIVERMODE = hash
SELFCTLPORT = 8031
MAXCHMPX = 8
K2HMASKBIT = 4

[SVRNODE]
NAME = 10.20.0.11
PORT = 8020
CTLPORT = 8021

[SLVNODE]
NAME = 10.20.0.31
CTLPORT = 8031
`

func TestGoodFileIsAcceptedWithoutFindings(t *testing.T) {
	r := Judge(context.Background(), []byte(good), shop(), nil)
	if r.Verdict != Accept || len(r.Findings) != 0 {
		t.Errorf("verdict %v, findings %v", r.Verdict, r.Findings)
	}
	if r.Self == nil || r.Self.Name != "10.20.0.31" {
		t.Errorf("self is %+v", r.Self)
	}
}

func TestAFindingSaysWhereItIs(t *testing.T) {
	for f, want := range map[Finding][2]string{
		{Line: 7, Text: "so it is"}: {"7: so it is", "line 7: so it is"},
		{Text: "so it is"}:          {"file: so it is", "so it is"},
	} {
		if f.String() != want[0] || f.InWords() != want[1] {
			t.Errorf("%q and %q, want %q", f.String(), f.InWords(), want)
		}
	}
}

// chmpx starts on no host that has neither an address besides the loopback's nor a
// name in DNS, whatever its entry says. What to do is never to fill in a blank.
func TestAHostWithoutAnAddressIsToldSo(t *testing.T) {
	for _, tt := range []struct {
		name, entry string
		addrs       []string
		says        string
	}{
		{"nothing but the loopback", "127.0.0.1", []string{"127.0.0.1", "::1"}, "bring its network up"},
		{"nothing at all", "10.20.0.31", nil, "bring its network up"},
		{"any name will do", ".*", []string{"127.0.0.1"}, "bring its network up"},
		{"a link-local address, and an address", "10.20.0.31", []string{"127.0.0.1", "fe80::1"}, "give this host an address"},
		{"a link-local address, and a name", "web-1.shop.internal", []string{"fe80::1"}, "give this host an address"},
		{"another address", "10.20.0.31", []string{"10.20.0.9"}, "such as 10.20.0.9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, "NAME = 10.20.0.31", "CUK = vm-7\nNAME = "+tt.entry, 1)
			text = strings.Replace(text, "MAXCHMPX", "SELFCUK = vm-7\nMAXCHMPX", 1)
			r := Judge(t.Context(), []byte(text), Host{Name: "vm-7", Addrs: tt.addrs}, nil)
			if r.Verdict != Reject || !r.Has(RuleSelfMissing) {
				t.Fatalf("got %+v", r)
			}
			said := r.Findings[len(r.Findings)-1].Text
			if !strings.Contains(said, tt.says) || strings.Contains(said, "ADDRESS") {
				t.Errorf("it says: %s", said)
			}
		})
	}
}
