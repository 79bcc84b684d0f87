package chmpx

import (
	"maps"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx/ini"
)

// nodeKey numbers the keys of a node section.
type nodeKey int

const (
	keyName nodeKey = iota
	keyPort
	keyCtlPort
	keyCUK
	keySeed
	keyEndpoints
	keyCtlEndpoints
	keyForward
	keyReverse
	keySSL
	keyVerifyPeer
	keyCAPath
	keyServerCert
	keyServerPrivKey
	keySlaveCert
	keySlavePrivKey
	numNodeKeys
	noNodeKey nodeKey = -1 // as slices.Index has it
)

var nodeKeyNames = [numNodeKeys]string{
	"NAME", "PORT", "CTLPORT", "CUK", "CUSTOM_ID_SEED", "ENDPOINTS", "CTLENDPOINTS",
	"FORWARD_PEERS", "REVERSE_PEERS", "SSL", "SSL_VERIFY_PEER", "CAPATH",
	"SERVER_CERT", "SERVER_PRIKEY", "SLAVE_CERT", "SLAVE_PRIKEY",
}

func (k nodeKey) String() string { return nodeKeyNames[k] }

// nodeKeyOf returns the node key of that name. chmpx reads fewer of them in
// SLVNODE, as loadSlaves knows; the others do no harm there.
func nodeKeyOf(s string) nodeKey {
	return nodeKey(slices.Index(nodeKeyNames[:], s))
}

var globalKeyNames = map[string]bool{
	"GROUP": true, "FILEVERSION": true, "MODE": true, "DELIVERMODE": true, "CHMPXIDTYPE": true,
	"DATE": true, "SELFCTLPORT": true, "SELFCUK": true, "PORT": true, "CTLPORT": true,
	"MAXCHMPX": true, "REPLICA": true, "MAXMQSERVER": true, "MAXMQCLIENT": true,
	"MQPERATTACH": true, "MAXMQPERCLIENT": true, "MAXQPERSERVERMQ": true, "MAXQPERCLIENTMQ": true,
	"MAXHISTLOG": true, "RETRYCNT": true, "RWTIMEOUT": true, "CONTIMEOUT": true,
	"MQRETRYCNT": true, "MQRWTIMEOUT": true, "MQACK": true, "DOMERGE": true, "AUTOMERGE": true,
	"MERGETIMEOUT": true, "SOCKTHREADCNT": true, "MQTHREADCNT": true, "MAXSOCKPOOL": true,
	"SOCKPOOLTIMEOUT": true, "K2HFULLMAP": true, "K2HMASKBIT": true, "K2HCMASKBIT": true,
	"K2HMAXELE": true, "SSL": true, "SSL_VERIFY_PEER": true, "SSL_MIN_VER": true,
	"NSSDB_DIR": true, "CAPATH": true, "SERVER_CERT": true, "SERVER_PRIKEY": true,
	"SLAVE_CERT": true, "SLAVE_PRIKEY": true,
}

func isGlobalKey(s string) bool { return globalKeyNames[s] }

// knownIn reports whether chmpx reads the key in the section.
func knownIn(section, key string) bool {
	switch section {
	case ini.Global:
		return isGlobalKey(key)
	case ini.SvrNode, ini.SlvNode:
		return nodeKeyOf(key) != noNodeKey
	}
	return false
}

// beginsKnownKey reports whether s is a key of the section or the beginning of one.
func beginsKnownKey(section, s string) bool {
	names := nodeKeyNames[:]
	if section == ini.Global {
		names = slices.Collect(maps.Keys(globalKeyNames))
	}
	return s != "" && slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, s) })
}
