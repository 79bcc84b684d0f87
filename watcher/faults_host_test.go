package watcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

func timeFaults() []fault {
	step := func(d time.Duration) func(h *host) {
		return func(h *host) { h.offset.Store(int64(d)) }
	}
	row := func(name, wrong string, d time.Duration) fault {
		return fault{name: name, wrong: wrong, does: "asks at once, and goes on at its rhythm", before: (*host).ownClock, strike: step(d),
			sees: 15 * time.Second, asks: 70, says: []string{"the clock jumped"}, once: true}
	}
	return []fault{
		row("a day ahead", "the clock is set a day ahead", 24*time.Hour),
		row("a day back", "the clock is set back by a day", -24*time.Hour),
		row("ten years ahead", "the clock of a board without a battery is set right", 87600*time.Hour),
		row("paused", "the VM is paused, or suspended, for an hour", time.Hour),
	}
}

// foreign does something to the file that somebody else may do.
func foreign(what string) func(h *host) {
	return func(h *host) { h.edit(edits[what]) }
}

func diskFaults() []fault {
	repaired := func(name, what string) fault {
		return fault{name: name, wrong: "somebody has the file " + what, does: "puts the last good one back at once, under the next revision",
			strike: foreign(what), edit: true, sees: 5 * time.Second, writes: 2, asks: 60, says: []string{"restoring the last good one"}, once: true}
	}
	var busy atomic.Bool
	return append([]fault{
		repaired("the file is edited", "edited"),
		repaired("the file is truncated", "truncated"),
		repaired("the file is deleted", "deleted"),
		repaired("the file is replaced", "replaced"),
		{name: "the file is edited all the time", wrong: "another tool writes the file every ten seconds", does: "puts it back each time, a minute apart at most",
			strike: func(h *host) {
				busy.Store(true)
				go func() {
					for busy.Load() {
						if edits["edited"](h.config.File.Path) == nil && busy.Load() {
							h.events <- OutputTouched
						}
						time.Sleep(10 * time.Second)
					}
				}()
			}, heal: func(h *host) { busy.Store(false); h.pass(10 * time.Second) },
			edit: true, late: true, sees: time.Second, writes: -1, within: 2 * time.Minute, asks: 45, says: []string{"restoring the last good one"}},
		{name: "the file is a link", wrong: "somebody puts a symbolic link in the file's place", does: "says that chmpx would not notice its exchange; does not follow it",
			strike: func(h *host) {
				h.edit(func(path string) error {
					other := filepath.Join(filepath.Dir(path), "state", "other.ini")
					b, err := os.ReadFile(path)
					return errors.Join(err, os.WriteFile(other, append([]byte("# other\n"), b...), 0o644), os.Remove(path), os.Symlink(other, path))
				})
			}, heal: func(h *host) {
				h.edit(os.Remove)
				if err := os.Remove(filepath.Join(h.dir, "state", "other.ini")); err != nil {
					h.t.Error(err)
				}
			}, edit: true, late: true, sees: time.Second, writes: -1, within: 2 * time.Minute, asks: 45, says: []string{"symbolic link"}},
		{name: "the file is a directory", wrong: "a container runtime makes a directory where the file should be", does: "says so; puts the file back once that is gone",
			strike: func(h *host) { h.edit(asDirectory) }, heal: func(h *host) { h.edit(os.Remove) },
			edit: true, late: true, sees: time.Second, writes: -1, within: 2 * time.Minute, asks: 45, says: []string{"cannot restore slave.ini"}},
		{name: "the directory vanishes", wrong: "the directory of the file is moved away, and comes back", does: "goes on, says so, and is right when it is back",
			strike: func(h *host) { h.rename(h.dir, h.dir+".away") }, heal: func(h *host) { h.rename(h.dir+".away", h.dir) },
			edit: true, late: true, sees: time.Second, writes: -1, within: 2 * time.Minute, asks: 45, says: []string{"its directory is not there"}},
		{name: "the directory comes back empty", wrong: "the directory of the file is deleted, and made anew", does: "puts the file back",
			strike: func(h *host) { h.rename(h.dir, h.dir+".away") }, heal: func(h *host) {
				if err := errors.Join(os.Mkdir(h.dir, 0o755), os.Mkdir(filepath.Join(h.dir, "state"), 0o755)); err != nil {
					h.t.Error(err)
				}
				h.setToken(h.token)
			}, edit: true, late: true, sees: time.Second, writes: -1, within: 2 * time.Minute, asks: 45, says: []string{"its directory is not there"}},
		{name: "the second opinion is against it", wrong: "chmpxconftest does not take the new file", does: "keeps the file, leaves nothing behind",
			strike: func(h *host) { h.object(func(context.Context) error { return errors.New("chmpxconftest says no") }) },
			heal:   func(h *host) { h.object(nil) }, also: func(h *host) {
				if h.revision() != 2 {
					h.t.Errorf("revision %d: those of the files that were refused are used up", h.revision())
				}
			}, asks: 110, says: []string{"chmpxconftest says no"}, tries: true},
	}, mountFaults()...)
}

func (h *host) rename(from, to string) {
	if err := os.Rename(from, to); err != nil {
		h.t.Error(err)
	}
}

func stateFaults() []fault {
	restart := func(spoil func(h *host) error) func(h *host) {
		return func(h *host) {
			h.stop()
			noError(h.t, spoil(h))
			h.start()
		}
	}
	write := func(text string) func(h *host) {
		return restart(func(h *host) error { return os.WriteFile(h.config.StateFile, []byte(text), 0o600) })
	}
	change := func(f func(s *state)) func(h *host) {
		return restart(func(h *host) error {
			s := h.savedState()
			f(&s)
			b, err := json.Marshal(s)
			return errors.Join(err, os.WriteFile(h.config.StateFile, b, 0o600))
		})
	}
	const starts = "starts without it: asks for the whole text once, and writes nothing that has not changed"
	const told = "cannot use the saved state"
	quick := func(f fault) fault {
		f.sees, f.asks = 5*time.Second, 60
		if strings.HasPrefix(f.does, starts) {
			f.also = (*host).asksOnceForAll
		}
		return f
	}
	return []fault{
		quick(fault{name: "the state is lost", wrong: "the agent starts, and its state is gone", does: starts,
			strike: restart(func(h *host) error { return os.Remove(h.config.StateFile) }), hush: true}),
		quick(fault{name: "the state is empty", wrong: "the agent starts, and its state is empty after a power cut", does: starts, strike: write(""), says: []string{told}, once: true}),
		quick(fault{name: "the state is garbage", wrong: "the agent starts, and its state is garbage", does: starts, strike: write("\x00\xff\x00"), says: []string{told}, once: true}),
		quick(fault{name: "the state is cut", wrong: "the agent starts, and half of its state is there", does: starts, strike: write(`{"version":1,"etag":"W/`), says: []string{told}, once: true}),
		quick(fault{name: "the state is of another version", wrong: "the agent starts after a downgrade", does: starts, strike: change(func(s *state) { s.Version = 99 }), says: []string{told, "version 99"}, once: true}),
		quick(fault{name: "the state is of another origin", wrong: "the agent starts with another K2HR3 or RESOURCE", does: starts, strike: change(func(s *state) { s.Origin = "http://elsewhere" }), hush: true}),
		quick(fault{name: "the state is of another file", wrong: "the agent starts, and slave.ini is not the one its state is of", does: starts, strike: change(func(s *state) { s.Sum = "4711" }), hush: true}),
		quick(fault{name: "the state is a directory", wrong: "the agent starts, and a directory is where its state should be", does: starts + "; says that it cannot remember",
			strike: restart(func(h *host) error {
				return errors.Join(os.Remove(h.config.StateFile), os.Mkdir(h.config.StateFile, 0o755))
			}),
			heal: func(h *host) { os.Remove(h.config.StateFile) }, says: []string{told}, once: true}),
		quick(fault{name: "the state cannot be written", wrong: "the state directory cannot be written", does: "goes on without; says what that costs",
			strike: func(h *host) {
				dir := filepath.Dir(h.config.StateFile)
				noError(h.t, errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)))
			}, heal: func(h *host) {
				dir := filepath.Dir(h.config.StateFile)
				noError(h.t, errors.Join(os.Remove(dir), os.Mkdir(dir, 0o755)))
			}, says: []string{"cannot save the state"}}),
		quick(fault{name: "the agent is killed", wrong: "the agent ends at any moment, and starts again", does: "goes on where it was, writes nothing that has not changed",
			strike: restart(func(*host) error { return nil }), hush: true}),
		quick(fault{name: "the file and the state are lost", wrong: "the agent starts, and both are gone; chmpx runs", does: "puts a file in place with a revision that chmpx is not running",
			strike: restart(func(h *host) error { return errors.Join(os.Remove(h.config.StateFile), os.Remove(h.config.File.Path)) }),
			edit:   true, hush: true, writes: -1}),
	}
}

// asksOnceForAll looks whether K2HR3 was asked once for its text as for one that is not known.
func (h *host) asksOnceForAll() {
	whole := 0
	for _, r := range h.reads() {
		if r.IfNoneMatch == "" {
			whole++
		}
	}
	if whole != 1 {
		h.t.Errorf("%d requests for the whole text, want 1", whole)
	}
}

func chmpxFaults() []fault {
	set := func(f func(c *fakeChmpx)) func(h *host) { return func(h *host) { h.chmpx.set(f) } }
	restarted := func(h *host) {
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = false })
		h.chmpx.start(h.t)
	}
	unit := func(load, active, file string) func(h *host) {
		return func(h *host) { h.unit = &fakeUnit{state: unitState(load, active, file)} }
	}
	// stopped is a chmpx whose unit is in a state in which it is not started.
	stopped := func(name, wrong, load, active, file, why string) fault {
		return fault{name: name, wrong: wrong, does: "replaces the file all the same; does not touch the unit",
			before: unit("loaded", "active", "enabled"), strike: func(h *host) {
				h.chmpx.stop()
				h.unit.set(func(u *fakeUnit) { u.state = unitState(load, active, file) })
			}, heal: func(h *host) {
				h.wantJobs("")
				h.chmpx.start(h.t)
			}, sees: 6 * time.Minute, asks: 50, says: []string{"chmpx's unit is not running; not starting it", why}, once: true}
	}
	// refused is a chmpx that comes up half connected: server 3 does not list the host until heal.
	refused := func(name, does string, heal Heal, clients, restarts int, says ...string) fault {
		return fault{name: name, wrong: "a server that does not list this host yet refuses chmpx, which does not try it again", does: does,
			before: func(h *host) {
				h.config.Heal, h.chmpx.clients = heal, clients
				h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled"), restarted: h.chmpx.begin}
				h.join(3)
				h.chmpx.setRing(1, 3)
			},
			strike: func(h *host) {
				h.refuse(3)
				h.chmpx.start(h.t)
			},
			heal: func(h *host) {
				h.refuse()
				h.pass(90 * time.Second)
				if whole := h.connected() == 2; whole != (clients == 0 || heal == HealServers) {
					h.t.Errorf("connected to all servers: %v", whole)
				}
				if n := h.restarts(); n > restarts || n == 0 && restarts > 0 {
					h.t.Errorf("%d restarts, want %d at most", n, restarts)
				}
			}, late: true, asks: 45, says: says}
	}
	return []fault{
		refused("servers refuse chmpx", "restarts chmpx with pauses of 5 to 60 s while no program has joined it, until it is connected to every server that is up",
			HealIdle, 0, 36, "chmpx is half connected, and no program has joined it; restarting it"),
		refused("servers refuse chmpx, and programs have joined it", "leaves chmpx alone; says who refused it and what helps",
			HealIdle, 3, 0, "WARN", "chmpx is half connected and cannot reach the keys of some servers", "programs have joined it"),
		refused("servers refuse chmpx, and heal is servers", "asks those servers to announce themselves, with pauses of 5 to 60 s; restarts nothing",
			HealServers, 3, 0, "chmpx is half connected; asking the servers that refused it to announce themselves"),
		{name: "chmpx is down", wrong: "chmpx has ended", does: "keeps the file right for its next start; says once that it does not run",
			strike: func(h *host) { h.chmpx.stop() }, heal: func(h *host) { h.chmpx.start(h.t) }, sees: 6 * time.Minute, asks: 50,
			says: []string{"chmpx is not running"}},
		{name: "chmpx is restarted", wrong: "somebody restarts chmpx", does: "sees that it is another process, and runs the file",
			strike: func(h *host) { h.chmpx.start(h.t) }, sees: 5 * time.Second, asks: 45, says: []string{"chmpx was restarted", "pid before=1"}, once: true},
		{name: "chmpx is late", wrong: "chmpx takes a file 20 s later, as with a slow name service", does: "waits for it",
			strike: set(func(c *fakeChmpx) { c.lag = 20 * time.Second }), sees: 5 * time.Second, asks: 45, hush: true},
		{name: "chmpx misses a file", wrong: "chmpx does not notice a replacement", does: "puts the file in place once more",
			strike: set(func(c *fakeChmpx) { c.skip = 1 }), sees: 5 * time.Second, writes: 2, asks: 45, says: []string{"replacing the file once more"}, once: true},
		{name: "chmpx has lost its watch", wrong: "chmpx notices no replacement any more", does: "puts the file in place once more, then says that a restart of chmpx helps",
			strike: set(func(c *fakeChmpx) { c.deaf = true }), heal: restarted, sees: 5 * time.Second, writes: 2, asks: 60,
			says: []string{"chmpx does not load slave.ini", "restart chmpx"}, once: true},
		{name: "chmpxstatus is gone", wrong: "chmpxstatus is not installed any more", does: "keeps the file right at the interval; says what cannot be done without",
			strike: set(func(c *fakeChmpx) { c.missing = true }), heal: set(func(c *fakeChmpx) { c.missing = false }), sees: 6 * time.Minute, asks: 50,
			says: []string{"cannot confirm reloads"}, once: true},
		{name: "chmpxstatus cannot be run", wrong: "chmpxstatus is there, and a library that it needs is not", does: "looks for it once a minute; keeps the file right at the interval; says what cannot be done without, and why",
			strike: set(func(c *fakeChmpx) { c.failing = fmt.Errorf("chmpxstatus %w: exit status 127", daemon.ErrCannotRun) }),
			heal:   set(func(c *fakeChmpx) { c.failing = nil }), sees: 6 * time.Minute, asks: 50,
			says: []string{"WARN", "chmpxstatus cannot be run: cannot confirm reloads", "exit status 127"}, once: true},
		{name: "chmpxstatus hangs", wrong: "chmpxstatus does not return", does: "gives it up after 10 s each time, one at a time; keeps the file right at the interval",
			strike: set(func(c *fakeChmpx) { c.hangs = true }), heal: set(func(c *fakeChmpx) { c.hangs = false }), sees: 6 * time.Minute, asks: 50, writes: -1,
			says: []string{"cannot probe chmpx"}, once: true},
		{name: "the ring knows a server that K2HR3 never will", wrong: "a server is in the ring without being registered", does: "asks for a minute, then at the interval",
			strike: func(h *host) { h.chmpx.setRing(1, 99) }, late: true, asks: 70, says: []string{"chmpx has other servers than slave.ini", "only chmpx has"}, once: true},
		{name: "the ring flaps", wrong: "a server comes into the ring and leaves it every 20 s", does: "asks each time, and spaces its requests",
			strike: func(h *host) {
				for range 30 {
					h.chmpx.setRing(1, 99)
					h.pass(20 * time.Second)
					h.chmpx.setRing(1)
					h.pass(20 * time.Second)
				}
			}, late: true, lasts: time.Minute, asks: 400, says: nil, hush: true},
		{name: "the ring is empty", wrong: "chmpx has lost all servers", does: "keeps the file, which K2HR3 confirms",
			strike: func(h *host) { h.chmpx.setRing() }, late: true, asks: 45, hush: true},
		stopped("the unit is masked", "the operator has masked and stopped chmpx's unit", "masked", "inactive", "masked", "masked"),
		stopped("the unit has failed", "chmpx's unit has failed", "loaded", "failed", "enabled", "failed"),
		stopped("the unit is disabled", "the operator has disabled and stopped chmpx's unit", "loaded", "inactive", "disabled", "disabled"),
		stopped("the unit is stopped", "the operator has stopped chmpx's unit", "loaded", "inactive", "enabled", ""),
		{name: "systemd does not answer", wrong: "systemd's bus does not answer", does: "keeps the file right; says so",
			before: unit("loaded", "active", "enabled"), strike: func(h *host) {
				h.unit.set(func(u *fakeUnit) { u.fails = daemon.ErrTimeout })
			}, sees: 5 * time.Second, asks: 50, says: []string{"chmpx's unit"}},
		{name: "systemd is gone", wrong: "there is no systemd any more", does: "keeps the file right; says so once",
			before: unit("loaded", "active", "enabled"), strike: func(h *host) {
				h.unit.set(func(u *fakeUnit) { u.fails = daemon.ErrNoSystemd })
			}, sees: 5 * time.Second, asks: 45, says: []string{"no systemd here"}, once: true},
	}
}
