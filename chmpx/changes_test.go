package chmpx

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const cluster = `[GLOBAL]
FILEVERSION = 3
DATE = Mon, 02 Mar 2026 09:12:44 +0000
GROUP = orders
MODE = SLAVE
DELIVERMODE = hash
CHMPXIDTYPE = CUSTOM
SELFCTLPORT = 8031
SELFCUK = cuk-31
RWTIMEOUT = 10000
DOMERGE = on
K2HMASKBIT = 4
PORT = 8020
CTLPORT = 8021
[SVRNODE]
NAME = 10.20.0.11
CUK = cuk-11
CUSTOM_ID_SEED = db-1
[SVRNODE]
NAME = 10.20.0.12
CUK = cuk-12
CUSTOM_ID_SEED = db-2
ENDPOINTS = 203.0.113.12
[SLVNODE]
NAME = 10.20.0.31
CTLPORT = 8031
CUK = cuk-31
CUSTOM_ID_SEED = web-1
`

// changeCase is a change of the file cluster, and what chmpx sees of it.
type changeCase struct {
	name     string
	old, new string // replaced in the file; old "" appends new
	want     []string
}

func changeCases() []changeCase {
	const server3 = "[SVRNODE]\nNAME = 10.20.0.13\nCUK = cuk-13\nCUSTOM_ID_SEED = db-3\n"
	const slave2 = "[SLVNODE]\nNAME = 10.20.0.32\nCTLPORT = 8031\nCUK = cuk-32\nCUSTOM_ID_SEED = web-2\n"
	return []changeCase{
		{"nothing", "", "", nil},
		{"DATE is not compared", "02 Mar", "03 Mar", nil},
		{"SELFCUK is not compared", "SELFCUK = cuk-31", "SELFCUK = cuk-3", nil},
		{"K2H values are not compared", "K2HMASKBIT = 4", "K2HMASKBIT = 5\nK2HFULLMAP = off", nil},
		{"comments are not compared", "", "# hello\n", nil},
		{"unknown keys are not compared", "DOMERGE", "COLOUR = blue\nDOMERGE", nil},
		{"quotes are not compared", "GROUP = orders", "GROUP = 'orders'", nil},
		{"a default spelt out is none", "DOMERGE", "MQACK = on\nMAXCHMPX = 1024\nDOMERGE", nil},
		{"the order of nodes is not compared", "[SVRNODE]\nNAME = 10.20.0.11\nCUK = cuk-11\nCUSTOM_ID_SEED = db-1\n[SVRNODE]\nNAME = 10.20.0.12\nCUK = cuk-12\nCUSTOM_ID_SEED = db-2\nENDPOINTS = 203.0.113.12\n",
			"[SVRNODE]\nNAME = 10.20.0.12\nCUK = cuk-12\nCUSTOM_ID_SEED = db-2\nENDPOINTS = 203.0.113.12\n[SVRNODE]\nNAME = 10.20.0.11\nCUK = cuk-11\nCUSTOM_ID_SEED = db-1\n", nil},
		{"a port spelt out is none", "NAME = 10.20.0.11\n", "NAME = 10.20.0.11\nPORT = 8020\n", nil},
		{"MODE left out comes to the same", "MODE = SLAVE\n", "", nil},

		{"the stamp", "FILEVERSION = 3", "FILEVERSION = 4", []string{"FILEVERSION 3 → 4"}},
		{"a timeout", "RWTIMEOUT = 10000", "RWTIMEOUT = 20000", []string{"RWTIMEOUT 10000 → 20000"}},
		{"a flag", "DOMERGE = on", "DOMERGE = off", []string{"DOMERGE on → off"}},
		{"GROUP", "GROUP = orders", "GROUP = bills", []string{"GROUP orders → bills"}},
		{"the identity type", "CHMPXIDTYPE = CUSTOM", "CHMPXIDTYPE = CUK", []string{"CHMPXIDTYPE CUSTOM → CUK"}},
		{"the own control port taken out", "SELFCTLPORT = 8031\n", "", []string{"SELFCTLPORT 8031 → (none)"}},
		{"DELIVERMODE drags the merge flags along", "DELIVERMODE = hash", "DELIVERMODE = random",
			[]string{"DELIVERMODE hash → random", "DOMERGE on → off", "AUTOMERGE off → on"}},

		{"a server joins", "", server3, []string{"server joined 10.20.0.13:8021 (db-3)"}},
		{"a server leaves", "[SVRNODE]\nNAME = 10.20.0.11\nCUK = cuk-11\nCUSTOM_ID_SEED = db-1\n", "", []string{"server left 10.20.0.11:8021 (db-1)"}},
		{"another CUK is another server", "CUK = cuk-11", "CUK = cuk-99", []string{"server joined 10.20.0.11:8021 (db-1)", "server left 10.20.0.11:8021 (db-1)"}},
		{"a server's port", "NAME = 10.20.0.11\n", "NAME = 10.20.0.11\nPORT = 8120\n", []string{"server 10.20.0.11:8021 (db-1) PORT 8020 → 8120"}},
		{"a server's end points", "ENDPOINTS = 203.0.113.12", "ENDPOINTS = 203.0.113.12:9000,e2", []string{"server 10.20.0.12:8021 (db-2) ENDPOINTS 203.0.113.12:8020 → 203.0.113.12:9000,e2:8020"}},
		{"a server's peers", "ENDPOINTS = 203.0.113.12", "ENDPOINTS = 203.0.113.12\nFORWARD_PEERS = 203.0.113.1", []string{"server 10.20.0.12:8021 (db-2) FORWARD_PEERS (none) → 203.0.113.1"}},
		{"a fifth end point, which is never used", "ENDPOINTS = 203.0.113.12", "ENDPOINTS = 203.0.113.12,e2,e3,e4,e5", []string{"server 10.20.0.12:8021 (db-2) ENDPOINTS 203.0.113.12:8020 → 203.0.113.12:8020,e2:8020,e3:8020,e4:8020,e5:8020"}},
		{"a slave's peers", "CUSTOM_ID_SEED = web-1", "CUSTOM_ID_SEED = web-1\nREVERSE_PEERS = gw-1", []string{"slave 10.20.0.31:8031 (web-1) REVERSE_PEERS (none) → gw-1"}},
		{"a peer's port, which says nothing", "CUSTOM_ID_SEED = web-1", "CUSTOM_ID_SEED = web-1\nREVERSE_PEERS = gw-1:99", []string{"slave 10.20.0.31:8031 (web-1) REVERSE_PEERS (none) → gw-1:99"}},
		{"a default taken out of use", "CTLPORT = 8021\n[SVRNODE]\nNAME = 10.20.0.11\n", "CTLPORT = 8021\n[SVRNODE]\nNAME = 10.20.0.11\nCTLPORT = 8021\n", nil},
		{"a slave joins", "", slave2, []string{"slave joined 10.20.0.32:8031 (web-2)"}},
		{"a default for all", "PORT = 8020", "PORT = 9020", []string{
			"server 10.20.0.11:8021 (db-1) PORT 8020 → 9020",
			"server 10.20.0.12:8021 (db-2) PORT 8020 → 9020",
			"server 10.20.0.12:8021 (db-2) ENDPOINTS 203.0.113.12:8020 → 203.0.113.12:9020",
		}},
	}
}

// text is the file after the change.
func (c changeCase) text(t *testing.T) string {
	t.Helper()
	if c.old == "" {
		return cluster + c.new
	}
	text := strings.Replace(cluster, c.old, c.new, 1)
	if text == cluster {
		t.Fatalf("%q is not in the file", c.old)
	}
	return text
}

func TestChanges(t *testing.T) {
	for _, c := range changeCases() {
		t.Run(c.name, func(t *testing.T) {
			before, after := mustLoad(t, cluster), mustLoad(t, c.text(t))
			got := Changes(before, after)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if back := Changes(after, before); len(back) != len(got) {
				t.Errorf("%d changes there, %d back: %v", len(got), len(back), back)
			}
		})
	}
}

func TestOnlyTheStampDiffers(t *testing.T) {
	before := mustLoad(t, cluster)
	stamped := mustLoad(t, strings.Replace(cluster, "FILEVERSION = 3", "FILEVERSION = 4", 1))
	if got := ChangesBesidesVersion(before, stamped); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	both := mustLoad(t, strings.NewReplacer("FILEVERSION = 3", "FILEVERSION = 4", "10.20.0.11", "10.20.0.14").Replace(cluster))
	if got := ChangesBesidesVersion(before, both); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, findings := Load([]byte(text), shopPaths)
	if c == nil {
		t.Fatalf("does not load: %v", findings)
	}
	return c
}
