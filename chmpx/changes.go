package chmpx

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// change says what a value was and is.
func change(old, new string) string {
	return cmp.Or(clip(old), "(none)") + " → " + cmp.Or(clip(new), "(none)")
}

// label names the node: NAME:CTLPORT, and the seed or CUK if there is one.
func (n *Node) label() string {
	s := clip(n.Name) + ":" + strconv.Itoa(n.CtlPort)
	if id := cmp.Or(n.Seed, n.CUK); id != "" && id != n.Name {
		s += " (" + clip(id) + ")"
	}
	return s
}

// Changes lists in words what chmpx would find different between old and new
// (docs/chmpx.md D.3), values first, then servers, then slaves. An empty list
// means that chmpx would take no notice: it does not compare DATE, SELFCUK, the
// K2H values, comments and the order of anything.
func Changes(old, new *Config) []string {
	changes := changedValues(old, new)
	changes = append(changes, changedNodes("server", old.Servers, new.Servers)...)
	return append(changes, changedNodes("slave", old.Slaves, new.Slaves)...)
}

// ChangesBesidesVersion is Changes without FILEVERSION: what differs apart from
// the stamp.
func ChangesBesidesVersion(old, new *Config) []string {
	restamped := *old
	restamped.FileVersion = new.FileVersion
	return Changes(&restamped, new)
}

func changedValues(old, new *Config) (changes []string) {
	add := func(key string, was, is any) {
		if was != is {
			changes = append(changes, key+" "+change(text(was), text(is)))
		}
	}
	add("GROUP", old.Group, new.Group)
	add("FILEVERSION", old.FileVersion, new.FileVersion)
	add("MODE", modeText(old), modeText(new))
	add("DELIVERMODE", old.DeliverMode, new.DeliverMode)
	add("CHMPXIDTYPE", old.IDType, new.IDType)
	add("SELFCTLPORT", portText(old.SelfCtlPort), portText(new.SelfCtlPort))
	add("MAXCHMPX", old.MaxChmpx, new.MaxChmpx)
	add("REPLICA", old.Replica, new.Replica)
	add("MAXMQSERVER", old.MaxMQServer, new.MaxMQServer)
	add("MAXMQCLIENT", old.MaxMQClient, new.MaxMQClient)
	add("MQPERATTACH", old.MQPerAttach, new.MQPerAttach)
	add("MAXMQPERCLIENT", old.MaxMQPerClient, new.MaxMQPerClient)
	add("MAXQPERSERVERMQ", old.MaxQPerServerMQ, new.MaxQPerServerMQ)
	add("MAXQPERCLIENTMQ", old.MaxQPerClientMQ, new.MaxQPerClientMQ)
	add("MAXHISTLOG", old.MaxHistLog, new.MaxHistLog)
	add("RETRYCNT", old.RetryCnt, new.RetryCnt)
	add("RWTIMEOUT", old.RWTimeout, new.RWTimeout)
	add("CONTIMEOUT", old.ConTimeout, new.ConTimeout)
	add("MQRETRYCNT", old.MQRetryCnt, new.MQRetryCnt)
	add("MQRWTIMEOUT", old.MQRWTimeout, new.MQRWTimeout)
	add("MERGETIMEOUT", old.MergeTimeout, new.MergeTimeout)
	add("SOCKTHREADCNT", old.SockThreadCnt, new.SockThreadCnt)
	add("MQTHREADCNT", old.MQThreadCnt, new.MQThreadCnt)
	add("MAXSOCKPOOL", old.MaxSockPool, new.MaxSockPool)
	add("SOCKPOOLTIMEOUT", old.SockPoolTimeout, new.SockPoolTimeout)
	add("MQACK", old.MQAck, new.MQAck)
	add("DOMERGE", old.DoMerge, new.DoMerge)
	add("AUTOMERGE", old.AutoMerge, new.AutoMerge)
	add("SSL_MIN_VER", old.SSLMinVer, new.SSLMinVer)
	add("NSSDB_DIR", old.NSSDBDir, new.NSSDBDir)
	return changes
}

func text(v any) string {
	switch v {
	case true:
		return "on"
	case false:
		return "off"
	}
	return fmt.Sprint(v)
}

// modeText is the mode chmpx compares: what it runs as, not what is written.
func modeText(c *Config) Mode {
	if c.Server {
		return ModeServer
	}
	return ModeSlave
}

func portText(p int) string {
	if p == Unset {
		return ""
	}
	return strconv.Itoa(p)
}

// nodeID identifies a node across two configurations.
type nodeID struct {
	name    string
	ctlPort int
	cuk     string
	seed    string
}

func (n *Node) id() nodeID { return nodeID{n.Name, n.CtlPort, n.CUK, n.Seed} }

// changedNodes compares two lists as chmpx does: a node with another CUK or seed
// is another node.
func changedNodes(kind string, old, new []Node) (changes []string) {
	before := make(map[nodeID][]*Node, len(old))
	for i := range old {
		before[old[i].id()] = append(before[old[i].id()], &old[i])
	}
	for i := range new {
		n := &new[i]
		was := before[n.id()]
		if len(was) == 0 {
			changes = append(changes, kind+" joined "+n.label())
			continue
		}
		before[n.id()] = was[1:]
		changes = append(changes, changedNode(kind, was[0], n)...)
	}
	for i := range old {
		n := &old[i]
		if rest := before[n.id()]; len(rest) > 0 && rest[0] == n {
			before[n.id()] = rest[1:]
			changes = append(changes, kind+" left "+n.label())
		}
	}
	return changes
}

func changedNode(kind string, old, new *Node) (changes []string) {
	add := func(key, was, is string) {
		if was != is {
			changes = append(changes, kind+" "+new.label()+" "+key+" "+change(was, is))
		}
	}
	add("PORT", portText(old.Port), portText(new.Port))
	add("ENDPOINTS", hostPortText(old.Endpoints), hostPortText(new.Endpoints))
	add("CTLENDPOINTS", hostPortText(old.CtlEndpoints), hostPortText(new.CtlEndpoints))
	add("FORWARD_PEERS", hostPortText(old.ForwardPeers), hostPortText(new.ForwardPeers))
	add("REVERSE_PEERS", hostPortText(old.ReversePeers), hostPortText(new.ReversePeers))
	add("SSL", text(old.SSL), text(new.SSL))
	add("SSL_VERIFY_PEER", text(old.VerifyPeer), text(new.VerifyPeer))
	add("CAPATH", caText(old), caText(new))
	add("SERVER_CERT", old.ServerCert, new.ServerCert)
	add("SERVER_PRIKEY", old.ServerPrivKey, new.ServerPrivKey)
	add("SLAVE_CERT", old.SlaveCert, new.SlaveCert)
	add("SLAVE_PRIKEY", old.SlavePrivKey, new.SlavePrivKey)
	return changes
}

func caText(n *Node) string {
	switch {
	case n.CAPath == "":
		return ""
	case n.CAFile:
		return n.CAPath + " (file)"
	}
	return n.CAPath + " (directory)"
}

func hostPortText(list []HostPort) string {
	var texts []string
	for _, hp := range list {
		text := hp.Host
		if hp.Port != Unset {
			text += ":" + strconv.Itoa(hp.Port)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",")
}
