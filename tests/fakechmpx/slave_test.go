package fakechmpx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
)

func load(t *testing.T, text string) *fakechmpx.Config {
	t.Helper()
	c, err := fakechmpx.Load([]byte(text), host)
	fatal.If(t, err)
	return c
}

// table is a slave's view of its server nodes, each as "name state".
func table(s *fakechmpx.Slave) (rows []string) {
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

// ring is a RING of servers, each up or "NAME STATE".
func ring(members ...string) (list []fakechmpx.Member) {
	for _, m := range members {
		name, state, _ := strings.Cut(m, " ")
		list = append(list, fakechmpx.Member{Name: name, Port: 18020, CtlPort: 18021, Seed: "seed-" + name, State: fakechmpx.MemberState(state)})
	}
	return list
}

// TestServersOfASlave: what was measured of the server nodes that a slave knows
// (D.5).
func TestServersOfASlave(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *fakechmpx.Slave) // it has started on server1 and server2
		want []string
	}{
		{"out of service until the ring has them", func(s *fakechmpx.Slave) { s.SetRing(ring(server2)) },
			[]string{server1 + " out", server2 + " up"}},
		{"learnt from the ring", func(s *fakechmpx.Slave) { s.SetRing(ring(server1, server2, server3+" suspended")) },
			[]string{server1 + " up", server2 + " up", server3 + " suspended"}},
		{"and forgotten", func(s *fakechmpx.Slave) {
			s.SetRing(ring(server1, server2, server3))
			s.SetRing(ring(server1, server2))
		},
			[]string{server1 + " up", server2 + " up"}},
		{"one that the file lists no longer stays while it is in the ring", func(s *fakechmpx.Slave) {
			s.SetRing(ring(server1, server2+" down"))
			s.Reload(load(t, revision(2, server1)))
		}, []string{server1 + " up", server2 + " down"}},
		{"and goes with it", func(s *fakechmpx.Slave) {
			s.SetRing(ring(server1, server2))
			s.Reload(load(t, revision(2, server1)))
			s.SetRing(ring(server1))
		}, []string{server1 + " up"}},
		{"or at once where it is not", func(s *fakechmpx.Slave) { s.Reload(load(t, revision(2, server2))) },
			[]string{server2 + " out"}},
		{"another seed is another server", func(s *fakechmpx.Slave) {
			s.SetRing(ring(server1, server2))
			s.Reload(load(t, strings.Replace(revision(2, server1), "seed-", "new-", 1)))
		}, []string{server1 + " up", server2 + " up", server1 + " out"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fakechmpx.NewSlave(load(t, revision(1, server1, server2)), host)
			tt.do(s)
			if diff := cmp.Diff(tt.want, table(s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTablesOfASlave: they keep the size of the start, and overrun (D.5).
func TestTablesOfASlave(t *testing.T) {
	others := strings.ReplaceAll(revision(2, servers(5)...), "203.0.113", "203.0.114")
	wide := strings.Replace(revision(2, servers(8)...), "MAXCHMPX = 8", "MAXCHMPX = 100", 1)
	for name, tt := range map[string]struct {
		first, next string
		want        fakechmpx.Effect
	}{
		"seven servers and this host in eight places": {revision(1, server1), revision(2, servers(7)...), fakechmpx.Reloaded},
		"eight":                  {revision(1, server1), revision(2, servers(8)...), fakechmpx.Crashed},
		"a larger MAXCHMPX":      {revision(1, server1), wide, fakechmpx.Crashed},
		"five in place of five":  {revision(1, servers(5)...), others, fakechmpx.Crashed},
		"a start with eight":     {revision(1, servers(8)...), revision(2, servers(8)...), fakechmpx.Crashed},
		"another seed for seven": {revision(1, servers(7)...), strings.ReplaceAll(revision(2, servers(7)...), "seed-", "new-"), fakechmpx.Crashed},
	} {
		if got := fakechmpx.NewSlave(load(t, tt.first), host).Reload(load(t, tt.next)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	full := fakechmpx.NewSlave(load(t, revision(1, servers(7)...)), host)
	if got := full.SetRing(ring("203.0.113.99")); got != fakechmpx.Crashed {
		t.Errorf("a learnt server without a place: %q", got)
	}
}

func TestAReloadKeepsPortAndConnection(t *testing.T) {
	s := fakechmpx.NewSlave(load(t, revision(1, server1)), host)
	s.SetRing(ring(server1))
	before := s.Snapshot().Servers[0]
	s.Reload(load(t, strings.Replace(revision(2, server1, server2), "PORT = 18020", "PORT = 18099", 1)))
	if now := s.Snapshot().Servers[0]; now.Port != 18020 || len(before.Sockets) == 0 || !cmp.Equal(before.Sockets, now.Sockets) {
		t.Errorf("port %d and sockets %v, want 18020 and %v", now.Port, now.Sockets, before.Sockets)
	}
}
