package fakechmpx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

// table is a slave's view of its server nodes, each as "name state".
func table(s *fakechmpx.Slave) []string {
	var rows []string
	for _, e := range s.Snapshot().Servers {
		state := e.Status
		for text, word := range map[string]string{
			"[SERVICE IN][UP][n/a][Nothing][NoSuspend]": "up", "[SERVICE OUT][DOWN]": "out",
			"[SERVICE IN][DOWN]": "down", "[Suspend]": "suspended",
		} {
			if strings.Contains(e.Status, text) {
				state = word
			}
		}
		rows = append(rows, fmt.Sprintf("%s %s", e.Name, state))
	}
	return rows
}

func checkTable(t *testing.T, s *fakechmpx.Slave, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, table(s)); diff != "" {
		t.Error(diff)
	}
}

func member(name string, state fakechmpx.MemberState) fakechmpx.Member {
	return fakechmpx.Member{Name: name, Port: 18020, CtlPort: 18021, Seed: "seed-" + name, State: state}
}

const server3 = "db3.shop.test"

func newSlave(t *testing.T, servers ...string) *fakechmpx.Slave {
	t.Helper()
	return fakechmpx.NewSlave(load(t, revision(1, servers...)), shopHost())
}

func TestServersOfTheFileAreOutOfServiceUntilTheRingHasThem(t *testing.T) {
	s := newSlave(t, server1, server2)
	checkTable(t, s, server1+" out", server2+" out")
	s.SetRing([]fakechmpx.Member{member(server2, fakechmpx.MemberUp)})
	checkTable(t, s, server1+" out", server2+" up")
}

func TestServersAreLearntFromTheRingAndForgotten(t *testing.T) {
	s := newSlave(t, server1)
	s.SetRing([]fakechmpx.Member{member(server1, ""), member(server3, fakechmpx.MemberUp)})
	checkTable(t, s, server1+" up", server3+" up")
	if free := s.Snapshot().Free; free != 5 {
		t.Errorf("%d slots are free, want 5: a learnt server takes one too", free)
	}
	s.SetRing([]fakechmpx.Member{member(server1, fakechmpx.MemberUp)})
	checkTable(t, s, server1+" up")
}

func TestServerRemovedFromTheFileStaysWhileInTheRing(t *testing.T) {
	s := newSlave(t, server1, server2)
	s.SetRing([]fakechmpx.Member{member(server1, ""), member(server2, fakechmpx.MemberDown)})
	s.Reload(load(t, revision(2, server1)))
	checkTable(t, s, server1+" up", server2+" down")
	s.SetRing([]fakechmpx.Member{member(server1, "")})
	checkTable(t, s, server1+" up")
}

func TestServerRemovedFromTheFileGoesWhenOutOfService(t *testing.T) {
	s := newSlave(t, server1, server2)
	s.Reload(load(t, revision(2, server2)))
	checkTable(t, s, server2+" out")
}

func TestConnectionsSurviveAReload(t *testing.T) {
	s := newSlave(t, server1)
	s.SetRing([]fakechmpx.Member{member(server1, "")})
	before := s.Snapshot().Servers[0].Sockets
	s.Reload(load(t, revision(2, server1, server2)))
	if diff := cmp.Diff(before, s.Snapshot().Servers[0].Sockets); diff != "" || len(before) == 0 {
		t.Errorf("the sockets of %s: %v: %s", server1, before, diff)
	}
}

func TestPortOfAKnownServerIsNotTakenOver(t *testing.T) {
	s := newSlave(t, server1)
	moved := load(t, strings.Replace(revision(2, server1), "PORT = 18020", "PORT = 18099", 1))
	if got := s.Reload(moved); got != fakechmpx.Reloaded {
		t.Fatalf("%q, want %q", got, fakechmpx.Reloaded)
	}
	if port := s.Snapshot().Servers[0].Port; port != 18020 {
		t.Errorf("port %d, want 18020", port)
	}
}

func TestChangedSeedIsAnotherServer(t *testing.T) {
	s := newSlave(t, server1)
	s.SetRing([]fakechmpx.Member{member(server1, "")})
	s.Reload(load(t, strings.Replace(revision(2, server1), "seed-db1", "new-db1", 1)))
	checkTable(t, s, server1+" up", server1+" out")
}

func TestTablesKeepTheirFirstSize(t *testing.T) {
	s := newSlave(t, server1)
	wide := strings.Replace(revision(2, server1), "MAXCHMPX = 8", "MAXCHMPX = 100", 1)
	s.Reload(load(t, wide))
	if shot := s.Snapshot(); shot.Tuning.MaxChmpx != 100 || shot.Free != 6 {
		t.Errorf("MAXCHMPX %d with %d slots free, want 100 with 6", shot.Tuning.MaxChmpx, shot.Free)
	}
}

func servers(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("db%d.shop.test", i+1))
	}
	return names
}

func TestMoreServersThanSlotsCrash(t *testing.T) {
	full := newSlave(t, server1)
	if got := full.Reload(load(t, revision(2, servers(7)...))); got != fakechmpx.Reloaded {
		t.Fatalf("7 servers and the own node in 8 slots: %q", got)
	}
	if got := full.Reload(load(t, revision(3, servers(8)...))); got != fakechmpx.Crashed || !full.Overrun() {
		t.Errorf("8 servers and the own node in 8 slots: %q, want %q", got, fakechmpx.Crashed)
	}
	started := newSlave(t, servers(8)...)
	if !started.Overrun() {
		t.Error("a start with more servers than slots is not marked as overrun")
	}
	ring := newSlave(t, servers(7)...)
	if got := ring.SetRing([]fakechmpx.Member{member("db9.shop.test", "")}); got != fakechmpx.Crashed {
		t.Errorf("a learnt server without a slot: %q, want %q", got, fakechmpx.Crashed)
	}
}

func TestNewServersNeedSlotsBesideTheOldOnes(t *testing.T) {
	s := newSlave(t, servers(5)...)
	others := strings.ReplaceAll(revision(2, servers(5)...), "db", "dc")
	if got := s.Reload(load(t, others)); got != fakechmpx.Crashed {
		t.Errorf("5 servers for 5 others in 8 slots: %q, want %q", got, fakechmpx.Crashed)
	}
}

func TestAbsorbedChangeIsNeverApplied(t *testing.T) {
	s := newSlave(t, server1)
	next := load(t, revision(2, server1, server2))
	if got := s.Absorb(next); got != fakechmpx.Absorbed {
		t.Fatalf("%q, want %q", got, fakechmpx.Absorbed)
	}
	if got := s.Reload(next); got != fakechmpx.Unchanged {
		t.Errorf("the event after it: %q, want %q", got, fakechmpx.Unchanged)
	}
	if version := s.Snapshot().FileVersion; version != 1 {
		t.Errorf("FILEVERSION %d is in force, want 1", version)
	}
	if got := s.Reload(load(t, revision(3, server1, server2))); got != fakechmpx.Reloaded {
		t.Errorf("the next file: %q, want %q", got, fakechmpx.Reloaded)
	}
}
