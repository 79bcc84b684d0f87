package fakechmpx

import (
	"errors"
	"fmt"
	"strings"
)

// maxGroup is the longest GROUP whose message queue name still fits.
const maxGroup = 238

// ErrCrash marks a configuration at which a fresh chmpx dies of SIGSEGV.
var ErrCrash = errors.New("chmpx crashes")

// CanStart reports what keeps a fresh chmpx from starting on a configuration
// that loaded (C.3, C.5), or nil. A running chmpx survives such a file. It
// returns [ErrCrash] where a start ends in SIGSEGV.
func (c *Config) CanStart(host Host) error {
	if err := c.Tuning.usable(); err != nil {
		return err
	}
	if n := len(c.Group); n == 0 || n > maxGroup || strings.Contains(c.Group, "/") {
		return fmt.Errorf("GROUP %q cannot be part of a file name", c.Group)
	}
	self, ok := host.findSelf(c)
	if !ok {
		return errors.New("this host is not in the slave list")
	}
	if self.CtlPort < 0 {
		return fmt.Errorf("control port %d cannot be listened on", self.CtlPort)
	}
	for _, n := range append([]Node{self}, c.Servers...) {
		if c.idSeed(n) == "" {
			return fmt.Errorf("node %q has no value for CHMPXIDTYPE %s", n.Name, c.IDType)
		}
	}
	return c.K2Hash.usable()
}

// usable says what sizes make the start fail or crash. -1 nodes do neither.
func (t Tuning) usable() error {
	switch {
	case t.MaxChmpx == 0:
		return fmt.Errorf("MAXCHMPX = 0 leaves no room for a node: %w", ErrCrash)
	case t.MaxChmpx < -1:
		return fmt.Errorf("MAXCHMPX = %d is no size for a table", t.MaxChmpx)
	case t.MQPerAttach == 0:
		return fmt.Errorf("MQPERATTACH = 0 is divided by: %w", ErrCrash)
	case t.MaxQPerServerMQ < 1:
		return fmt.Errorf("MAXQPERSERVERMQ = %d leaves no room in a queue", t.MaxQPerServerMQ)
	}
	return nil
}

// usable says what makes it impossible to create the message store. Between 28
// and 60 mask bits nothing was measured.
func (k K2Hash) usable() error {
	const least, most = 2, 28
	if k.MaskBit < least || k.MaskBit > most || k.MaxElement < 1 {
		return fmt.Errorf("K2HMASKBIT = %d, K2HMAXELE = %d: the message store cannot be created", k.MaskBit, k.MaxElement)
	}
	return nil
}

// idSeed is the text a node's id is made of. An empty one makes no id.
func (c *Config) idSeed(n Node) string {
	switch c.IDType {
	case IDCUK:
		return n.CUK
	case IDCustom:
		return n.Seed
	case IDCtlEndpoints:
		return hostPorts(n.CtlEndpoints)
	}
	return fmt.Sprintf("%s:%d:%s", n.Name, n.CtlPort, n.CUK)
}

// used is how many entries of an end point or peer list a chmpx goes by.
const used = 4

// hostPorts writes a list as host:port,host:port, as far as chmpx goes by it.
// Peers without a port have none here either.
func hostPorts(list []HostPort) string {
	var parts []string
	for _, e := range list[:min(len(list), used)] {
		if e.Port == noPort {
			parts = append(parts, e.Host)
			continue
		}
		parts = append(parts, fmt.Sprintf("%s:%d", e.Host, e.Port))
	}
	return strings.Join(parts, ",")
}
