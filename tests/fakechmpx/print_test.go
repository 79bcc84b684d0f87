package fakechmpx_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// printed is a slave of two server nodes with every kind of setting that shows.
const printed = `[GLOBAL]
GROUP = orders
FILEVERSION = 42
DATE = Fri, 21 Nov 2025 10:00:00 +0000
MODE = SLAVE
DELIVERMODE = hash
CHMPXIDTYPE = CUSTOM
MAXCHMPX = 64
REPLICA = 1
MAXMQSERVER = 2
MAXMQCLIENT = 30
MAXHISTLOG = 0
RETRYCNT = 500
RWTIMEOUT = 2000
CONTIMEOUT = 3000
MQRWTIMEOUT = 400
MQACK = no
DOMERGE = on
AUTOMERGE = on
SOCKTHREADCNT = 3
MQTHREADCNT = 4
MAXSOCKPOOL = 5
K2HMASKBIT = 4
SELFCTLPORT = 18031
SELFCUK = vm-7

[SVRNODE]
NAME = db[1-2].shop.test
PORT = 18020
CTLPORT = 18021
CUK = cuk-db
CUSTOM_ID_SEED = seed-db
ENDPOINTS = lb.shop.test:80
FORWARD_PEERS = gw.shop.test

[SLVNODE]
NAME = 198.51.100.5
CTLPORT = 18031
CUK = vm-7
CUSTOM_ID_SEED = seed-vm-7
`

// fixed is the state of a slave whose ring has a server the file does not list.
func fixed(t *testing.T) fakechmpx.Snapshot {
	t.Helper()
	s := fakechmpx.NewSlave(load(t, printed), shopHost())
	s.SetRing([]fakechmpx.Member{
		{Name: "db1.shop.test", Port: 18020, CtlPort: 18021, CUK: "cuk-db", State: fakechmpx.MemberUp},
		{Name: "db5.shop.test", Port: 18040, CtlPort: 18041, CUK: "cuk-db5", Seed: "seed-db5", State: fakechmpx.MemberSuspended},
	})
	shot := s.Snapshot()
	shot.PID, shot.Start = 4711, 1763719200
	shot.Self.Updated = 29589911 << 24
	for i := range shot.Servers {
		if shot.Servers[i].Updated != 0 {
			shot.Servers[i].Updated = 29589912 << 24
		}
	}
	return shot
}

func TestStatusPrintsEverything(t *testing.T) {
	var all, self bytes.Buffer
	fakechmpx.WriteStatus(&all, fixed(t), "/var/lib/antpickax")
	golden(t, "status.golden", all.String())
	fakechmpx.WriteSelf(&self, fixed(t))
	golden(t, "self.golden", self.String())
}

func TestConftestPrintsTheConfiguration(t *testing.T) {
	var out bytes.Buffer
	fakechmpx.WriteConfig(&out, load(t, printed))
	golden(t, "conftest.golden", out.String())
}
