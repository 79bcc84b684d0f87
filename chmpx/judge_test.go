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

// What is said first is what the rest follows from, in `check`, in the log and by doctor. A note
// from which nothing follows stays behind what is grave.
func TestACauseComesBeforeWhatFollowsFromIt(t *testing.T) {
	for _, tt := range []struct {
		name, old, new string
		line           int
		says           string
		then           string // what follows
	}{
		{"a byte order mark", "[GLOBAL]", "\ufeff[GLOBAL]", 1, "UTF-8 byte order mark", "GROUP is missing"},
		{"a NUL in a value", "= hash", "= ha\x00sh", 5, "NUL byte", `DELIVERMODE is "ha"`},
		{"a control character in a value", "= hash", "= hash\x1b", 5, "control character", `DELIVERMODE is "hash`},
		{"a control character before a header", "[GLOBAL]", "\x01[GLOBAL]", 1, `does not take this line ("\x01[GLOBAL]")`, "GROUP is missing"},
		{"a no-break space before a header", "[GLOBAL]", "\u00a0[GLOBAL]", 1, `does not take this line ("\u00a0[GLOBAL]")`, "GROUP is missing"},
		{"a header that is not closed", "[GLOBAL]", "[GLOBAL", 1, "does not take this line", "GROUP is missing"},
		{"a server's header that is not closed", "[SVRNODE]", "[SVRNODE", 10, "that is [SVRNODE]", "no server nodes"},
		{"a comment behind a slave's header", "[SLVNODE]", "[SLVNODE] # first", 15, "that is [SLVNODE]", "no slave nodes"},
		{"a header in lower case", "[GLOBAL]", "[global]", 1, "you probably mean [GLOBAL]", "GROUP is missing"},
		{"a server's header in lower case", "[SVRNODE]", "[svrnode]", 10, "you probably mean [SVRNODE]", "no server nodes"},
		{"a header with an S", "[GLOBAL]", "[GLOBALS]", 1, "does not know the section [GLOBALS]", "GROUP is missing"},
		{"no header", "[GLOBAL]", "# GLOBAL", 2, "before the first section header", "GROUP is missing"},
		{"INCLUDE", "GROUP = orders", "INCLUDE = orders.ini", 3, "has no INCLUDE", "GROUP is missing"},
		{"CR alone behind a value", "FILEVERSION = 7\nGROUP", "FILEVERSION = 7\rGROUP", 2, "a CR within it", "GROUP is missing"},
		{"CR alone behind a header", "[SVRNODE]\n", "[SVRNODE]\r", 10, "a CR within it", "no server nodes"},
		{"CR alone", "\n", "\r", 0, "CR alone", ""},
		{"a key in lower case", "GROUP", "group", 3, "you probably mean GROUP", "GROUP is missing"},
		{"a node's key in lower case", "PORT = 8020\nCTLPORT", "PORT = 8020\nCtlPort", 13, "you probably mean CTLPORT", "has no CTLPORT"},
		{"a quote that is not closed", "= orders", `= "orders`, 3, "a quote that is not closed", "GROUP is missing"},
		{"a text that is cut off", "NAME = 10.20.0.31\nCTLPORT = 8031\n", "NAME", 16, "cut off", "has no CTLPORT"},
		{"a note from which nothing follows", "DELIVERMODE = hash", "DELIVERMODE = haha\nReplica = 1", 5, `DELIVERMODE is "haha"`, ""},
		{"a section of somebody else's", "GROUP = orders\n", "[REGION]\nGRUPPE = orders\n[GLOBAL]\n", 0, "GROUP is missing", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.ReplaceAll(good, tt.old, tt.new)
			r := Judge(t.Context(), []byte(text), shop(), nil)
			r.Weigh("chmpxconftest", "it says no") // which knows no cause
			if f := r.Findings[0]; r.Verdict != Reject || f.Line != tt.line || !strings.Contains(f.Text, tt.says) {
				t.Fatalf("%v, and first %v", r.Verdict, r.Findings)
			}
			if why := r.Why(); !strings.HasPrefix(why, r.Findings[0].InWords()) || !strings.Contains(why, tt.then) {
				t.Errorf("it says: %s", why)
			}
		})
	}
}
