package chmpx

import "strings"

// MaxGroup is the longest GROUP: "/GROUP.0123456789abcdef" names a message
// queue and must fit into 255 bytes.
const MaxGroup = 238

// checkStart looks at what a loaded [GLOBAL] does to the start and to the
// running process.
func (l *loader) checkStart() {
	c := l.cfg
	line := l.global["GROUP"].line
	switch {
	case c.Group == "":
		l.add(Reject, RuleGroup, line, "GROUP", "GROUP is empty: chmpx loads the file, but can't start, because GROUP names its state file")
	case strings.IndexByte(c.Group, '/') >= 0:
		l.add(Reject, RuleGroup, line, "GROUP", "GROUP %s has a / in it: chmpx loads the file, but can't start, because GROUP is part of file and queue names", quote(c.Group))
	case len(c.Group) > MaxGroup:
		l.add(Reject, RuleGroup, line, "GROUP", "GROUP has %d bytes: chmpx loads the file, but can't start, because its queue names take GROUPs of up to %d bytes", len(c.Group), MaxGroup)
	}
	if c.Mode == ModeAuto {
		l.add(Accept, RuleMode, 0, "MODE", "MODE is missing in [GLOBAL]: chmpx becomes a server as soon as it finds itself among the server nodes; MODE = SLAVE on a slave's template rules that out")
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
		l.add(Reject, RuleTableSize, line, "MAXCHMPX", "MAXCHMPX is %s, which chmpx reads as 0: it loads the file, but has no room for any node and crashes at the start; it needs %d or more", quote(l.global["MAXCHMPX"].value), need)
	case c.MaxChmpx < -1:
		l.add(Reject, RuleTableSize, line, "MAXCHMPX", "MAXCHMPX is %d: chmpx loads the file, but can't make tables of a negative size and does not start; it needs %d or more", c.MaxChmpx, need)
	case c.MaxChmpx < need:
		l.add(Dangerous, RuleTableSize, line, "MAXCHMPX", "MAXCHMPX is %d, but %d server nodes and this host need %d: chmpx starts, overruns its tables and crashes later; raise MAXCHMPX in the template and restart chmpx everywhere", c.MaxChmpx, need-1, need)
	}
	if c.MQPerAttach == 0 {
		l.add(Reject, RuleTableSize, l.global["MQPERATTACH"].line, "MQPERATTACH", "MQPERATTACH is 0: chmpx loads the file, but divides by it at the start and crashes; set 1 or more")
	}
	if c.MaxQPerServerMQ < 1 {
		l.add(Reject, RuleTableSize, l.global["MAXQPERSERVERMQ"].line, "MAXQPERSERVERMQ", "MAXQPERSERVERMQ is %d: chmpx loads the file, but the system refuses a queue without room for a message, and it does not start; set 1 or more", c.MaxQPerServerMQ)
	}
	for _, x := range []struct {
		key    string
		n      int
		effect string
	}{
		{"MAXMQSERVER", c.MaxMQServer, "chmpx starts without a queue of its own and serves nobody"},
		{"MAXMQCLIENT", c.MaxMQClient, "chmpx starts without a queue for any client program"},
		{"MAXMQPERCLIENT", c.MaxMQPerClient, "no client program gets a queue"},
		{"MAXQPERCLIENTMQ", c.MaxQPerClientMQ, "the system refuses client programs a queue without room for a message"},
	} {
		if x.n < 1 {
			l.add(Dangerous, RuleTableSize, l.global[x.key].line, x.key, "%s is %d: %s; set 1 or more", x.key, x.n, x.effect)
		}
	}
	if c.MQPerAttach < 0 {
		l.add(Dangerous, RuleTableSize, l.global["MQPERATTACH"].line, "MQPERATTACH", "MQPERATTACH is %d; set 1 or more", c.MQPerAttach)
	}
	if c.MaxHistLog < 0 {
		l.add(Dangerous, RuleTableSize, l.global["MAXHISTLOG"].line, "MAXHISTLOG", "MAXHISTLOG is %d; set 0 to have no history", c.MaxHistLog)
	}
	if c.RetryCnt < -1 {
		l.add(Dangerous, RuleTableSize, l.global["RETRYCNT"].line, "RETRYCNT", "RETRYCNT is %d: chmpx starts, but every connection to a server fails; -1 stands for the built-in number", c.RetryCnt)
	}
}

// checkK2Hash looks at the size of chmpx's message store: 32 KiB for each of
// 2^(K2HMASKBIT+K2HCMASKBIT) slots, written out at the start.
func (l *loader) checkK2Hash() {
	c := l.cfg
	const minMask, maxMask, slot, plenty = 2, 28, 32 << 10, 16 << 30
	switch {
	case c.K2HMaskBit < minMask || c.K2HMaskBit > maxMask:
		l.add(Reject, RuleK2Hash, l.global["K2HMASKBIT"].line, "K2HMASKBIT", "K2HMASKBIT is %d: chmpx loads the file, but can't create its message store and does not start; it takes %d to %d, and 4 is plenty for a slave", c.K2HMaskBit, minMask, maxMask)
	case c.K2HMaxEle <= 0:
		l.add(Reject, RuleK2Hash, l.global["K2HMAXELE"].line, "K2HMAXELE", "K2HMAXELE is %d: chmpx loads the file, but can't create its message store and does not start; set 1 or more", c.K2HMaxEle)
	case c.K2HCMaskBit < 0 || c.K2HMaskBit+c.K2HCMaskBit > 30:
		l.add(Dangerous, RuleK2Hash, l.global["K2HCMASKBIT"].line, "K2HCMASKBIT", "K2HMASKBIT %d with K2HCMASKBIT %d makes a message store of impossible size", c.K2HMaskBit, c.K2HCMaskBit)
	case slot<<(c.K2HMaskBit+c.K2HCMaskBit) >= plenty:
		l.add(Dangerous, RuleK2Hash, l.global["K2HMASKBIT"].line, "K2HMASKBIT", "K2HMASKBIT %d with K2HCMASKBIT %d makes chmpx write a message store of %d GiB at the start; K2HMASKBIT = 4 is plenty for a slave", c.K2HMaskBit, c.K2HCMaskBit, slot<<(c.K2HMaskBit+c.K2HCMaskBit)>>30)
	}
}
