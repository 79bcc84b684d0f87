package chmpx

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
	if c.Tuning.MaxChmpx <= 0 {
		return fmt.Errorf("MAXCHMPX = %d leaves no room for a node: %w", c.Tuning.MaxChmpx, ErrCrash)
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

// usable draws a line where none was measured: 60 mask bits fail, 4 do.
func (k K2Hash) usable() error {
	const most = 28
	if k.MaskBit < 0 || k.MaskBit > most || k.CMaskBit < 0 || k.CMaskBit > most {
		return fmt.Errorf("K2HMASKBIT = %d, K2HCMASKBIT = %d: the message store cannot be created", k.MaskBit, k.CMaskBit)
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

// hostPorts writes a list as host:port,host:port; peers have no port.
func hostPorts(list []HostPort) string {
	var parts []string
	for _, e := range list {
		if e.Port == noPort {
			parts = append(parts, e.Host)
			continue
		}
		parts = append(parts, fmt.Sprintf("%s:%d", e.Host, e.Port))
	}
	return strings.Join(parts, ",")
}
