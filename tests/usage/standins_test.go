package usage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// standins is a cluster of which only K2HR3's answers and the ring exist. The servers' ports are
// open, at addresses of the bridge.
type standins struct {
	w        *walk
	k2hr3    *fakek2hr3.Server
	cluster  *fakek2hr3.Cluster
	programs fakechmpx.Programs

	mu    sync.Mutex
	ring  []fakechmpx.Member
	addrs map[string]string // of the servers, by name
	made  int               // servers so far
	rooms map[*vm]*room
}

// room is what one slave has of the ring.
type room struct {
	refused  map[string]bool // the servers that do not list it yet, by name
	admitted bool
}

// sees is how long after a slave is let in the first of the servers looks at K2HR3 and lists it;
// the next ones do a little later each.
const sees = time.Second

func newStandins(w *walk) *standins {
	w.Helper()
	c := &standins{w: w, k2hr3: fakek2hr3.New(), addrs: map[string]string{}, rooms: map[*vm]*room{}}
	var err error
	c.programs, err = fakechmpx.BuildStandin(programs)
	must(w.T, err)
	must(w.T, c.programs.UseState(fakechmpx.StateDir(memory)))
	c.k2hr3.Hold(time.Minute)
	server := fakek2hr3.NewHTTPServer(c.k2hr3)
	go server.Serve(c.w.net.listen(k2hr3Addr, 80))
	w.Cleanup(func() { server.Close() })
	return c
}

func (c *standins) group() { c.cluster = c.k2hr3.AddCluster("shop", clusterName) }

func (c *standins) options(dir string) []string {
	token := filepath.Join(dir, "role-token")
	must(c.w.T, os.WriteFile(token, []byte(c.cluster.RoleToken("slave", 0)+"\n"), 0o600))
	return []string{"--api-uri", "http://" + k2hr3Name, "--role", c.cluster.SlaveRole(), "--role-token-file", token}
}

func (c *standins) launch(names ...string) {
	c.w.Helper()
	for _, name := range names {
		c.joinRing(c.newServer(name))
	}
	for _, name := range names {
		c.attach(name)
	}
}

// newServer makes a server with a CUK and an address that no other had.
func (c *standins) newServer(name string) fakechmpx.Member {
	c.made++
	addr := fmt.Sprintf("10.20.2.%d", c.made)
	c.w.net.run(c.w.net.bridge, "ip", "addr", "add", addr+"/16", "dev", "br0")
	l := c.w.net.listen(addr, fakek2hr3.ServerPort)
	c.w.Cleanup(func() { l.Close() })
	full := name + "." + domain
	c.w.net.name(full, addr)
	c.addrs[name] = addr
	return fakechmpx.Member{Name: full, Port: fakek2hr3.ServerPort, CtlPort: fakek2hr3.ServerCtlPort, CUK: fmt.Sprintf("b51d%04d", c.made), Seed: full}
}

func (c *standins) member(name string) fakechmpx.Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.ring, func(m fakechmpx.Member) bool { return m.Name == name+"."+domain })
	return c.ring[i]
}

func (c *standins) joinRing(m fakechmpx.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring = append(c.ring, m)
	c.tell()
}

// tell has every slave learn how the ring is.
func (c *standins) tell() {
	for v, r := range c.rooms {
		members := slices.Clone(c.ring)
		for i := range members {
			members[i].Refuses = !r.admitted || r.refused[members[i].Name]
		}
		must(c.w.T, c.state(v).SetRing(members...))
	}
}

func (c *standins) state(v *vm) fakechmpx.StateDir { return fakechmpx.StateDir(v.path(memory)) }

func (c *standins) destroy(names ...string) {
	c.w.Helper()
	for _, name := range names {
		m := c.member(name)
		c.mu.Lock()
		c.ring = slices.DeleteFunc(c.ring, func(o fakechmpx.Member) bool { return o.CUK == m.CUK })
		c.tell()
		c.mu.Unlock()
		c.cluster.Leave(c.addrs[name], m.CUK)
	}
}

func (c *standins) detach(name string) { c.cluster.Leave(c.addrs[name], c.member(name).CUK) }

func (c *standins) attach(name string) {
	m := c.member(name)
	c.cluster.Join(c.addrs[name], m.CUK, m.Name)
}

func (c *standins) listed() (cuks []string) {
	for _, h := range c.cluster.Servers() {
		cuks = append(cuks, h.CUK)
	}
	return cuks
}

func (c *standins) restore(name string) {
	c.destroy(name)
	c.launch(name)
}

func (c *standins) plug(v *vm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms[v] = &room{refused: map[string]bool{}}
	c.tell()
}

// admit opens the network for a slave. The servers list it one after the other.
func (c *standins) admit(v *vm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rooms[v]
	for i, m := range c.ring {
		r.refused[m.Name] = true
		time.AfterFunc(time.Duration(1+2*i)*sees, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.w.Context().Err() == nil {
				delete(r.refused, m.Name)
				c.tell()
			}
		})
	}
	r.admitted = true
	c.tell()
}

func (c *standins) chmpx(ctx context.Context, v *vm) (p *fakechmpx.Process, err error) {
	err = v.host.Do(func() (err error) {
		p, err = fakechmpx.Start(ctx, c.programs, slaveINI)
		return err
	})
	return p, err
}

// check is what chmpxlinetool's check goes by, as far as this slave sees it.
func (c *standins) check(v *vm) string {
	c.w.Helper()
	shot, err := c.state(v).Read(clusterName, fakek2hr3.SlaveCtlPort)
	must(c.w.T, err)
	for _, s := range shot.Servers {
		if len(s.Sockets) == 0 || !strings.Contains(s.Status, "[SERVICE IN][UP]") {
			c.w.Errorf("%s: %s, connections %v", s.Name, s.Status, s.Sockets)
		}
	}
	return fmt.Sprintf("%d of %d servers are SERVICE IN, UP and connected", len(shot.Servers), len(shot.Servers))
}

func (c *standins) keys(v *vm) string {
	c.w.Helper()
	app := c.application(v)
	app.begin()
	until(c.w.T, "operations", func() bool { all, _ := app.done(); return all >= 12 })
	all, failed := app.done()
	if failed != 0 {
		c.w.Errorf("%d of %d operations failed", failed, all)
	}
	return "chmpx has a server for every key"
}

func (c *standins) application(v *vm) application { return &dropped{c: c, vm: v} }

// dropped counts which of an application's operations chmpx would have dropped: those of keys
// neither of whose servers it is connected to (J.4).
type dropped struct {
	c  *standins
	vm *vm

	mu          sync.Mutex
	all, failed int
}

func (d *dropped) begin() {
	must(d.c.w.T, d.c.state(d.vm).SetClients(1))
	ctx := d.c.w.Context()
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for key := 0; ; key++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				d.operation(key)
			}
		}
	}()
}

func (d *dropped) operation(key int) {
	shot, err := d.c.state(d.vm).Read(clusterName, fakek2hr3.SlaveCtlPort)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all++
	if err != nil || !reaches(shot, key) {
		d.failed++
	}
}

// reaches reports whether chmpx is connected to the owner of a key, or to a replica.
func reaches(shot fakechmpx.Snapshot, key int) bool {
	servers := slices.DeleteFunc(slices.Clone(shot.Servers), func(e fakechmpx.Entry) bool { return !strings.Contains(e.Status, "[SERVICE IN]") })
	for i := range min(1+shot.Tuning.Replica, len(servers)) {
		if len(servers[(key+i)%len(servers)].Sockets) != 0 {
			return true
		}
	}
	return false
}

func (d *dropped) done() (all, failed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all, d.failed
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
