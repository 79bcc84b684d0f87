package e2e

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

// BenchmarkRingToConfirmed is the time from the moment at which chmpx learns from the ring of a
// server that joins or leaves to the moment at which it runs the slave.ini with that change, by a
// K2HR3 that does not hold requests: the agent as it is released, with its defaults, as a slave by
// itself. Changes come at random moments, two seconds apart or more.
func BenchmarkRingToConfirmed(b *testing.B) {
	s := newSite(b, 3)
	h := newHost(b, s)
	state := fakechmpx.StateDir(h.path("chmpx"))
	must(b, os.Mkdir(string(state), 0o755))
	programs := fakechmpx.BuildT(b)
	ring := func() {
		var ring []fakechmpx.Member
		for i, m := range s.Servers() {
			ring = append(ring, fakechmpx.Member{Name: m.Tag, Port: 8020, CtlPort: 8021, CUK: m.CUK, Seed: name("kv", i)})
		}
		must(b, state.SetRing(ring...))
	}
	ring()
	bin, err := realagent.Build(b.TempDir(), realagent.Release()...)
	must(b, err)
	cmd := h.command(b.Context())
	cmd.Path, cmd.Args = bin, append([]string{bin, "run", "--log-format", "json"}, s.args("--status-command", programs.Status)...)
	cmd.Env = append(cmd.Env, state.Env())
	p := h.startCommand(cmd)
	p.says(realagent.Replaced, "")
	running, err := fakechmpx.Start(b.Context(), programs, h.output(), fakechmpx.WithState(state))
	must(b, err)
	p.says(realagent.Confirmed, "")

	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		time.Sleep(2*time.Second + rand.N(time.Second))
		shot, err := state.Read("orders", fakek2hr3.SlaveCtlPort)
		must(b, err)
		if n%2 == 0 {
			s.Join(addr(3), id("kv", 3), name("kv", 3))
		} else {
			s.Leave(addr(3), id("kv", 3))
		}
		ring()
		begin := time.Now()
		_, err = state.Await(deadline(b), "orders", fakek2hr3.SlaveCtlPort, func(now fakechmpx.Snapshot) bool { return now.FileVersion > shot.FileVersion })
		must(b, err)
		took = append(took, time.Since(begin))
	}
	report(b, "confirmed", took)
	p.end()
	_, err = running.Stop(deadline(b))
	must(b, err)
}
