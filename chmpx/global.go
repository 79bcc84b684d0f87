package chmpx

import "strings"

// Defaults and limits of chmpx 1.0.113 (docs/chmpx.md B.2).
const (
	limitChmpx    = 32768
	limitServerMQ = 128
	limitClientMQ = 32640
	limitHistLog  = 32768
)

// loadGlobal reads [GLOBAL].
func (l *loader) loadGlobal() {
	c := l.cfg
	l.required("GROUP", "give the cluster's name")
	l.required("FILEVERSION", "give any number")
	c.Group = l.global["GROUP"].value
	c.FileVersion = l.number("FILEVERSION", 0)
	l.loadModes()

	l.number("SELFCTLPORT", Unset) // for what is odd about it
	c.SelfCtlPort = l.globalPort("SELFCTLPORT")
	c.SelfCUK = l.global["SELFCUK"].value

	c.MaxChmpx = l.atMost("MAXCHMPX", 1024, limitChmpx)
	c.Replica = l.number("REPLICA", 0)
	if c.DeliverMode == DeliverRandom {
		c.Replica = 0
	} else if l.global["REPLICA"].line != 0 && c.Replica > c.MaxChmpx {
		l.clamped("REPLICA", c.MaxChmpx)
		c.Replica = c.MaxChmpx
	}
	c.MaxMQServer = l.atMost("MAXMQSERVER", 1, limitServerMQ)
	c.MaxMQClient = l.atMost("MAXMQCLIENT", 8192, limitClientMQ)
	c.MQPerAttach = l.atMost("MQPERATTACH", 1, limitServerMQ)
	c.MaxMQPerClient = l.atMost("MAXMQPERCLIENT", 1, limitServerMQ)
	c.MaxQPerServerMQ = l.atMost("MAXQPERSERVERMQ", 8, limitServerMQ)
	c.MaxQPerClientMQ = l.atMost("MAXQPERCLIENTMQ", 1, limitServerMQ)
	c.MaxHistLog = l.atMost("MAXHISTLOG", 8192, limitHistLog)

	c.RetryCnt = l.number("RETRYCNT", -1)
	c.MQRetryCnt = l.number("MQRETRYCNT", 3)
	c.RWTimeout = max(0, l.number("RWTIMEOUT", 0))
	c.ConTimeout = max(0, l.number("CONTIMEOUT", 0))
	c.MQRWTimeout = max(0, l.number("MQRWTIMEOUT", 0))
	c.MergeTimeout = max(0, l.number("MERGETIMEOUT", 0))
	c.MQAck = l.bool("MQACK", true)
	c.AutoMerge = l.bool("AUTOMERGE", false)
	c.DoMerge = l.bool("DOMERGE", false)

	c.SockThreadCnt = l.atLeast("SOCKTHREADCNT", 0, 0)
	c.MQThreadCnt = l.atLeast("MQTHREADCNT", 0, 0)
	c.MaxSockPool = l.atLeast("MAXSOCKPOOL", 1, 1)
	c.SockPoolTimeout = l.atLeast("SOCKPOOLTIMEOUT", 60, 0)

	c.K2HFullMap = l.bool("K2HFULLMAP", true)
	c.K2HMaskBit = l.number("K2HMASKBIT", 8)
	c.K2HCMaskBit = l.number("K2HCMASKBIT", 4)
	c.K2HMaxEle = l.number("K2HMAXELE", 32)
	l.loadGlobalTLS()
}

func (l *loader) required(key, mend string) {
	if l.global[key].line == 0 {
		l.add(Reject, RuleRequiredKey, 0, key, "%s is missing in [GLOBAL]: chmpx cannot load the file and exits; %s", key, mend)
	}
}

func (l *loader) loadModes() {
	c := l.cfg
	if e := l.global["MODE"]; e.line != 0 {
		switch {
		case strings.EqualFold(e.value, "server"):
			c.Mode, c.Server = ModeServer, true
		case strings.EqualFold(e.value, "slave"):
			c.Mode = ModeSlave
		default:
			l.badValue(e, "MODE", "SLAVE or SERVER")
		}
	}

	switch e := l.global["DELIVERMODE"]; {
	case e.line == 0:
		l.required("DELIVERMODE", "give hash or random, as on the server nodes")
	case strings.EqualFold(e.value, "random"):
		c.DeliverMode = DeliverRandom
	case strings.EqualFold(e.value, "hash"):
		c.DeliverMode = DeliverHash
	default:
		l.badValue(e, "DELIVERMODE", "hash or random")
	}

	c.IDType = IDName
	if e := l.global["CHMPXIDTYPE"]; e.line != 0 {
		switch strings.ToUpper(e.value) {
		case "NAME":
		case "CUK":
			c.IDType = IDCUK
		case "CTLENDPOINTS", "CTLEPS":
			c.IDType = IDCtlEndpoints
		case "CUSTOM":
			c.IDType = IDCustom
		default:
			l.badValue(e, "CHMPXIDTYPE", "NAME, CUK, CTLENDPOINTS or CUSTOM")
		}
	}
}

// settleMerge makes the merge flags agree, as the load does last.
func (l *loader) settleMerge() {
	c := l.cfg
	switch {
	case c.DeliverMode == DeliverRandom:
		c.AutoMerge, c.DoMerge = true, false
	case !c.DoMerge:
		c.AutoMerge = false
	}
}

func (l *loader) badValue(e entry, key, want string) {
	l.add(Reject, RuleBadValue, e.line, key, "%s is %s, but chmpx takes only %s: it cannot load the file and exits", key, quote(e.value), want)
}

// number reads a number of [GLOBAL]. What is not a number counts as what C's
// atoi makes of it.
func (l *loader) number(key string, absent int) int {
	e := l.global[key]
	if e.line == 0 {
		return absent
	}
	n := atoi(e.value)
	if !plainNumber(e.value) {
		l.add(Accept, RuleNumber, e.line, key, "%s is %s, which chmpx reads as %d", key, quote(e.value), n)
	}
	return n
}

func (l *loader) atMost(key string, absent, most int) int {
	n := l.number(key, absent)
	if n > most {
		l.clamped(key, most)
		return most
	}
	return n
}

func (l *loader) clamped(key string, n int) {
	l.add(Accept, RuleClamped, l.global[key].line, key, "%s is above the limit of chmpx, which uses %d instead", key, n)
}

func (l *loader) atLeast(key string, absent, least int) int {
	n := l.number(key, absent)
	if n < least {
		l.add(Reject, RuleBadValue, l.global[key].line, key, "%s is %s, which chmpx reads as %d, but it has to be at least %d: chmpx cannot load the file and exits", key, quote(l.global[key].value), n, least)
	}
	return n
}

func (l *loader) bool(key string, absent bool) bool {
	return l.boolEntry(l.global[key], key, absent)
}

func (l *loader) boolEntry(e entry, key string, absent bool) bool {
	switch {
	case e.line == 0:
		return absent
	case strings.EqualFold(e.value, "on"), strings.EqualFold(e.value, "yes"):
		return true
	case strings.EqualFold(e.value, "off"), strings.EqualFold(e.value, "no"):
		return false
	}
	l.badValue(e, key, "on, yes, off and no")
	return absent
}

// globalPort reads a port of [GLOBAL], Unset if it is absent.
func (l *loader) globalPort(key string) int {
	if e := l.global[key]; e.line != 0 {
		return port(e.value)
	}
	return Unset
}
