package fakechmpx_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
)

// refusing is a ring in which some of the servers do not list the slave.
func refusing(names string, members ...string) []fakechmpx.Member {
	list := ring(members...)
	for i := range list {
		list[i].Refuses = strings.Contains(names, list[i].Name)
	}
	return list
}

// announce is UPDATESTATUS at a server of the ring.
func announce(list []fakechmpx.Member, name string) []fakechmpx.Member {
	list = append([]fakechmpx.Member(nil), list...)
	for i := range list {
		if list[i].Name == name {
			list[i].Announced++
		}
	}
	return list
}

// TestHalfConnected: what leaves a slave without some of the servers that are up, what heals that,
// and what does not (J.1 to J.5).
func TestHalfConnected(t *testing.T) {
	all := []string{server1, server2, server3}
	const one, two, three = server1, server2, server3
	for _, tt := range []struct {
		name string
		do   func(s *fakechmpx.Slave)
		want string
	}{
		{"one try for each server", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(two+three, all...))
		}, "up down down"},
		{"nobody lists it", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(one+two+three, all...))
			time.Sleep(time.Minute)
			s.Idle()
		}, "out out out"},
		{"the first to list it makes it half connected", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(one+two+three, all...))
			time.Sleep(time.Second)
			s.SetRing(refusing(one+three, all...))
			time.Sleep(time.Second)
			s.SetRing(ring(all...))
		}, "down up down"},
		{"being listed later heals nothing", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(two, all...))
			s.SetRing(ring(all...))
			time.Sleep(time.Hour)
			s.Idle()
		}, "up down up"},
		{"nor does a reload", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(two, all...))
			s.SetRing(ring(all...))
			s.Reload(load(t, revision(2, one, three)))
			s.Reload(load(t, revision(3, all...)))
		}, "up down up"},
		{"nor the change of another server", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(two, all...))
			s.SetRing(ring(one, two, three+" suspended"))
		}, "up down suspended"},
		{"a server that announces itself is tried anew", func(s *fakechmpx.Slave) {
			list := refusing(two, all...)
			s.SetRing(list)
			s.SetRing(announce(ring(all...), two))
		}, "up up up"},
		{"and refuses it as long as it does not list it", func(s *fakechmpx.Slave) {
			list := refusing(two, all...)
			s.SetRing(list)
			s.SetRing(announce(list, two))
		}, "up down up"},
		{"a server that is restarted", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(two, all...))
			s.SetRing(ring(one, two+" down", three))
			s.SetRing(ring(all...))
		}, "up up up"},
		{"the last one goes", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(two, all...))
			s.SetRing(ring(one+" down", two+" down", three+" down"))
		}, "out out out"},
		{"all come back", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(two, all...))
			s.SetRing(ring(one+" down", two+" down", three+" down"))
			s.SetRing(ring(all...))
		}, "up up up"},
		{"polled too often", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(one+two+three, all...))
			for range 500 {
				s.Looked()
				s.SetRing(ring(all...))
				time.Sleep(20 * time.Millisecond)
			}
		}, "out out out"},
		{"no longer polled so often", func(s *fakechmpx.Slave) {
			s.SetRing(refusing(one+two+three, all...))
			s.Looked()
			s.SetRing(ring(all...))
			time.Sleep(500 * time.Millisecond)
			s.Looked()
		}, "up up up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fakechmpx.NewSlave(load(t, revision(1, all...)), host)
				tt.do(s)
				var got []string
				for i, row := range table(s) {
					state := strings.TrimPrefix(row, all[i]+" ")
					got = append(got, state)
					if connected := len(s.Snapshot().Servers[i].Sockets) != 0; connected != (state == "up" || state == "suspended") {
						t.Errorf("%s: connected %v", row, connected)
					}
				}
				if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
					t.Error(diff)
				}
				again := fakechmpx.NewSlave(load(t, revision(1, all...)), host)
				again.SetRing(ring(all...))
				if rows := strings.Join(table(again), " "); strings.Contains(rows, "down") || strings.Contains(rows, "out") {
					t.Errorf("after a restart: %s", rows)
				}
			})
		})
	}
}

// A chmpx without any server node tries them again by itself, and shows who has joined it.
func TestTheStandinConnectsOnceItIsListed(t *testing.T) {
	b := newBench(t, fakechmpx.BuildT(t))
	set := func(list []fakechmpx.Member) {
		t.Helper()
		fatal.If(t, b.state.SetRing(list...))
	}
	connected := func(want ...int) {
		t.Helper()
		_, err := b.state.Await(b.ctx, group, ctlPort, func(shot fakechmpx.Snapshot) bool {
			var got []int
			for _, e := range shot.Servers {
				got = append(got, len(e.Sockets))
			}
			return cmp.Equal(got, want)
		})
		if err != nil {
			t.Fatalf("not connected as %v: %v", want, err)
		}
	}
	set(refusing(server1+server2, server1, server2))
	if _, err := b.start(revision(1, server1, server2)); err != nil {
		t.Fatal(err)
	}
	connected(0, 0)
	fatal.If(t, b.state.SetClients(2))
	if _, err := b.state.Await(b.ctx, group, ctlPort, func(shot fakechmpx.Snapshot) bool { return shot.Clients == 2 }); err != nil {
		t.Error(err)
	}
	if out, status := b.run(b.programs.Status, "-conf", b.conf); status != 0 || strings.Count(out, "pid      ") < 2 {
		t.Errorf("status %d\n%s", status, out)
	}
	set(refusing(server2, server1, server2))
	connected(1, 0)
	list := ring(server1, server2)
	set(list)
	connected(1, 0)
	set(announce(list, server2))
	connected(1, 1)
}
