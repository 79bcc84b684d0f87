package chmpx

import "strings"

// MaxGroup is the longest GROUP: "/GROUP.0123456789abcdef" names a message
// queue and must fit into 255 bytes.
const MaxGroup = 238

// checkStart finds what a loaded [GLOBAL] does to chmpx at startup and after it.
func (l *loader) checkStart() {
	c := l.cfg
	line := l.global["GROUP"].line
	switch {
	case c.Group == "":
		l.add(Reject, RuleGroup, line, "GROUP", "GROUP is empty: chmpx loads the file, but cannot start, because GROUP names its state file")
	case strings.IndexByte(c.Group, '/') >= 0:
		l.add(Reject, RuleGroup, line, "GROUP", "GROUP %s has a / in it: chmpx loads the file, but cannot start, because GROUP is part of file and queue names", quote(c.Group))
	case len(c.Group) > MaxGroup:
		l.add(Reject, RuleGroup, line, "GROUP", "GROUP has %d bytes: chmpx loads the file, but cannot start, because its queue names have room for a GROUP of %d bytes", len(c.Group), MaxGroup)
	}
	if c.Mode == ModeAuto {
		l.add(Accept, RuleMode, 0, "MODE", "MODE is missing in [GLOBAL]: chmpx becomes a server as soon as it finds itself among the server nodes; set MODE = SLAVE in the slaves' template to rule that out")
	}
	l.checkTables()
	l.checkK2Hash()
}

func (l *loader) checkTables() {
	c := l.cfg
	line := l.global["MAXCHMPX"].line
	need := len(c.Servers) + 1
	switch {
	case c.MaxChmpx == 0:
		l.add(Reject, RuleTableSize, line, "MAXCHMPX", "MAXCHMPX is %s, which chmpx reads as 0: it loads the file, but has no room for any node and crashes at startup; it needs %d or more", quote(l.global["MAXCHMPX"].value), need)
	case c.MaxChmpx < -1:
		l.add(Reject, RuleTableSize, line, "MAXCHMPX", "MAXCHMPX is %d: chmpx loads the file, but cannot make tables of a negative size and does not start; it needs %d or more", c.MaxChmpx, need)
	case c.MaxChmpx < need:
		l.add(Dangerous, RuleTableSize, line, "MAXCHMPX", "MAXCHMPX is %d, but %d server nodes and this host need %d: chmpx starts, overruns its tables and crashes later; raise MAXCHMPX in the template and restart chmpx everywhere", c.MaxChmpx, need-1, need)
	}
	if c.MQPerAttach == 0 {
		l.add(Reject, RuleTableSize, l.global["MQPERATTACH"].line, "MQPERATTACH", "MQPERATTACH is 0: chmpx loads the file, but divides by it at startup and crashes; set 1 or more")
	}
	if c.MaxQPerServerMQ < 1 {
		l.add(Reject, RuleTableSize, l.global["MAXQPERSERVERMQ"].line, "MAXQPERSERVERMQ", "MAXQPERSERVERMQ is %d: chmpx loads the file, but the kernel refuses a queue without room for a message, and it does not start; set 1 or more", c.MaxQPerServerMQ)
	}
	for _, x := range []struct {
		key    string
		n      int
		effect string
	}{
		{"MAXMQSERVER", c.MaxMQServer, "chmpx starts without a queue of its own and serves nobody"},
		{"MAXMQCLIENT", c.MaxMQClient, "chmpx starts without a queue for any client program"},
		{"MAXMQPERCLIENT", c.MaxMQPerClient, "no client program gets a queue"},
		{"MAXQPERCLIENTMQ", c.MaxQPerClientMQ, "the kernel refuses client programs a queue without room for a message"},
	} {
		if x.n < 1 {
			l.add(Dangerous, RuleTableSize, l.global[x.key].line, x.key, "%s is %d: %s; set 1 or more", x.key, x.n, x.effect)
		}
	}
	if c.MQPerAttach < 0 {
		l.add(Dangerous, RuleTableSize, l.global["MQPERATTACH"].line, "MQPERATTACH", "MQPERATTACH is negative (%d); set 1 or more", c.MQPerAttach)
	}
	if c.MaxHistLog < 0 {
		l.add(Dangerous, RuleTableSize, l.global["MAXHISTLOG"].line, "MAXHISTLOG", "MAXHISTLOG is negative (%d); set 0 for no history", c.MaxHistLog)
	}
	if c.RetryCnt < -1 {
		l.add(Dangerous, RuleTableSize, l.global["RETRYCNT"].line, "RETRYCNT", "RETRYCNT is %d: chmpx starts, but every connection to a server fails; -1 means chmpx's default", c.RetryCnt)
	}
}

// checkK2Hash checks the size of chmpx's message store: 32 KiB for each of
// 2^(K2HMASKBIT+K2HCMASKBIT) slots, all written at startup.
func (l *loader) checkK2Hash() {
	c := l.cfg
	const minMask, maxMask, slot, plenty = 2, 28, 32 << 10, 16 << 30
	switch {
	case c.K2HMaskBit < minMask || c.K2HMaskBit > maxMask:
		l.add(Reject, RuleK2Hash, l.global["K2HMASKBIT"].line, "K2HMASKBIT", "K2HMASKBIT is %d: chmpx loads the file, but cannot create its message store and does not start; use %d to %d: 4 is plenty for a slave", c.K2HMaskBit, minMask, maxMask)
	case c.K2HMaxEle <= 0:
		l.add(Reject, RuleK2Hash, l.global["K2HMAXELE"].line, "K2HMAXELE", "K2HMAXELE is %d: chmpx loads the file, but cannot create its message store and does not start; set 1 or more", c.K2HMaxEle)
	case c.K2HCMaskBit < 0 || c.K2HMaskBit+c.K2HCMaskBit > 30:
		l.add(Dangerous, RuleK2Hash, l.global["K2HCMASKBIT"].line, "K2HCMASKBIT", "K2HMASKBIT %d with K2HCMASKBIT %d makes a message store of impossible size", c.K2HMaskBit, c.K2HCMaskBit)
	case slot<<(c.K2HMaskBit+c.K2HCMaskBit) >= plenty:
		l.add(Dangerous, RuleK2Hash, l.global["K2HMASKBIT"].line, "K2HMASKBIT", "K2HMASKBIT %d with K2HCMASKBIT %d makes chmpx write a message store of %d GiB at startup; K2HMASKBIT = 4 is plenty for a slave", c.K2HMaskBit, c.K2HCMaskBit, slot<<(c.K2HMaskBit+c.K2HCMaskBit)>>30)
	}
}
