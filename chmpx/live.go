package chmpx

import "cmp"

// Running is what a chmpx that runs now was started with, and has room for. A
// field that is not known stays zero, and its rules do not apply.
type Running struct {
	Group string
	// MaxChmpx is the MAXCHMPX it has applied, FreeSlots how many entries of its node
	// tables are free. FreeSlots counts only if MaxChmpx is not 0.
	MaxChmpx, FreeSlots int
	// SSL reports whether it was started with TLS on for any node, if SSLKnown.
	SSL, SSLKnown bool
	// Servers are the server nodes it has now.
	Servers []RunningServer
	// Config is the latest configuration that it is known to have applied. It
	// supplies whatever else is not known.
	Config *Config
	// Unseen: nobody has seen it, or what it runs; it is one that may run Config.
	Unseen bool
}

// called is what messages call it.
func (r *Running) called() string {
	if r.Unseen {
		return "a chmpx that runs slave.ini as it is"
	}
	return "the running chmpx"
}

// RunningServer is a server node as the process has it. Its names come from the
// resolver, so control port, CUK and seed tell nodes apart.
type RunningServer struct {
	CtlPort   int
	CUK, Seed string
}

// checkLive finds what a live reload would do to the running process
// (docs/chmpx.md D.5). None of it hurts a fresh start.
func (l *loader) checkLive(r *Running) {
	if r == nil {
		return
	}
	c, was := l.cfg, r.Config
	if was == nil {
		was = &Config{SelfCtlPort: Unset}
	}
	const restart = "restart chmpx to apply it"

	if group := cmp.Or(r.Group, was.Group); group != "" && group != c.Group {
		l.add(Dangerous, RuleLiveGroup, l.global["GROUP"].line, "GROUP", "%s has GROUP %s: it refuses to reload a file with GROUP %s and applies nothing of it; %s", r.called(), quote(group), quote(c.Group), restart)
	}
	if r.Config != nil && was.IDType != c.IDType {
		l.add(Dangerous, RuleLiveIDType, l.global["CHMPXIDTYPE"].line, "CHMPXIDTYPE", "%s has CHMPXIDTYPE %s: it refuses to reload a file with %s and applies nothing of it; %s", r.called(), was.IDType, c.IDType, restart)
	}
	if c.HasSSL() && !r.SSL && (r.SSLKnown || r.Config != nil && !was.HasSSL()) {
		l.add(Dangerous, RuleLiveTLS, l.global["SSL"].line, "SSL", "%s was started without TLS: if a reload switches TLS on, chmpx crashes at the first connection; %s", r.called(), restart)
	}
	l.liveTables(r, was, restart)

	if wasPort := was.SelfCtlPort; wasPort != 0 && wasPort != Unset && wasPort != c.SelfCtlPort && c.SelfCtlPort != Unset {
		l.add(Dangerous, RuleLivePort, l.global["SELFCTLPORT"].line, "SELFCTLPORT", "%s listens on control port %d and keeps it: after a reload with SELFCTLPORT %d, client programs no longer find chmpx; %s", r.called(), wasPort, c.SelfCtlPort, restart)
	}
	if r.Config != nil && was.DeliverMode != c.DeliverMode {
		l.add(Dangerous, RuleLiveMode, l.global["DELIVERMODE"].line, "DELIVERMODE", "%s delivers by %s and keeps doing so after a reload with %s, while other nodes switch; %s", r.called(), was.DeliverMode, c.DeliverMode, restart)
	}
}

func (l *loader) liveTables(r *Running, was *Config, restart string) {
	c := l.cfg
	for _, x := range []struct {
		key      string
		old, new int
	}{
		{"MAXMQSERVER", was.MaxMQServer, c.MaxMQServer},
		{"MAXMQCLIENT", was.MaxMQClient, c.MaxMQClient},
	} {
		if x.old != 0 && x.new > x.old {
			l.add(Dangerous, RuleLiveTables, l.global[x.key].line, x.key, "%s rises from %d to %d: %s takes the new number but not larger tables, and overruns the old ones; %s", x.key, x.old, x.new, r.called(), restart)
		}
	}
	line := l.global["MAXCHMPX"].line
	size := cmp.Or(r.MaxChmpx, was.MaxChmpx)
	if size != 0 && c.MaxChmpx != size {
		l.add(Accept, RuleLiveTables, line, "MAXCHMPX", "MAXCHMPX changes from %d to %d; %s keeps its tables until you restart it", size, c.MaxChmpx, r.called())
	}
	switch {
	case r.MaxChmpx != 0:
		if added := l.newServers(r, was); added > r.FreeSlots {
			l.add(Dangerous, RuleLiveTables, line, "MAXCHMPX", "%d server nodes are new to %s, which has room for %d more: it overruns its tables and crashes later; raise MAXCHMPX and restart chmpx", added, r.called(), r.FreeSlots)
		}
	case size > 0 && len(c.Servers)+1 > size && size < c.MaxChmpx:
		l.add(Dangerous, RuleLiveTables, line, "MAXCHMPX", "%d server nodes and this host need more than the %d entries %s was started with: it overruns its tables and crashes later; restart chmpx", len(c.Servers), size, r.called())
	}
}

// newServers counts the server nodes the process would add.
func (l *loader) newServers(r *Running, was *Config) int {
	has := make(map[RunningServer]int)
	custom := l.cfg.IDType == IDCustom
	id := func(ctlPort int, cuk, seed string) RunningServer {
		if !custom {
			seed = "" // chmpx keeps seeds for that identity type only
		}
		return RunningServer{ctlPort, cuk, seed}
	}
	if r.Servers != nil {
		for _, s := range r.Servers {
			has[id(s.CtlPort, s.CUK, s.Seed)]++
		}
	} else {
		for i := range was.Servers {
			s := &was.Servers[i]
			has[id(s.CtlPort, s.CUK, s.Seed)]++
		}
	}
	added := 0
	for i := range l.cfg.Servers {
		s := &l.cfg.Servers[i]
		k := id(s.CtlPort, s.CUK, s.Seed)
		if has[k] > 0 {
			has[k]--
		} else {
			added++
		}
	}
	return added
}
