package fakechmpx

import (
	"cmp"
	"reflect"
	"slices"
	"time"
)

// Mode is what a chmpx process is to its cluster.
type Mode string

// The two modes.
const (
	ModeSlave  Mode = "SLAVE"
	ModeServer Mode = "SERVER"
)

// The values of CHMPXIDTYPE.
const (
	IDName         = "NAME"
	IDCUK          = "CUK"
	IDCtlEndpoints = "CTLENDPOINTS"
	IDCustom       = "CUSTOM"
)

// Tuning is everything of GLOBAL that chmpx compares at a reload besides the
// identity of the cluster. Timeouts are in the file's own units.
type Tuning struct {
	MaxChmpx, Replica                int
	MaxMQServer, MaxMQClient         int
	MQPerAttach, MaxMQPerClient      int
	MaxQPerServerMQ, MaxQPerClientMQ int
	MaxHistLog                       int
	RetryCnt, RWTimeout, ConTimeout  int
	MQRetryCnt, MQRWTimeout          int
	MQAck, DoMerge, AutoMerge        bool
	MergeTimeout                     int
	SockThreadCnt, MQThreadCnt       int
	MaxSockPool, SockPoolTimeout     int
	SSLMinVer, NSSDBDir              string
}

// K2Hash is the shape of chmpx's message store. Reloads do not compare it.
type K2Hash struct {
	FullMap                       bool
	MaskBit, CMaskBit, MaxElement int
}

// HostPort is one end point or peer. A port is noPort where none is given.
type HostPort struct {
	Host string
	Port int
}

// TLS is a node's part of the TLS settings. Paths are empty when unset.
type TLS struct {
	On, VerifyPeer           bool
	CAPath                   string
	CAFile                   bool // it is no directory
	ServerCert, ServerPriKey string
	SlaveCert, SlavePriKey   string
}

// Node is a SVRNODE or SLVNODE after expansion and inheritance.
type Node struct {
	Name          string
	Port, CtlPort int // -1: unset
	CUK           string
	Seed          string // CUSTOM_ID_SEED
	Endpoints     []HostPort
	CtlEndpoints  []HostPort
	ForwardPeers  []HostPort
	ReversePeers  []HostPort
	TLS           TLS
}

// Config is a file that loaded.
type Config struct {
	Group       string
	FileVersion int
	Date        time.Time // not compared
	Mode        Mode      // as in force, not as written
	Random      bool      // DELIVERMODE
	SelfCtlPort int       // -1: unset
	SelfCUK     string    // not compared
	IDType      string
	Tuning      Tuning
	K2Hash      K2Hash // not compared
	Servers     []Node // sorted
	Slaves      []Node // sorted
}

// Equal reports whether a reload from c to other is "no change" to chmpx (D.3).
func (c *Config) Equal(other *Config) bool {
	return reflect.DeepEqual(c.compared(), other.compared())
}

func (c *Config) compared() Config {
	k := *c
	k.Date = time.Time{}
	k.SelfCUK = ""
	k.K2Hash = K2Hash{}
	return k
}

// sortNodes brings nodes into chmpx's order. Of neighbours in the order of the
// texts that are one node by name, control port and CUK the first one stays.
func sortNodes(nodes []Node) []Node {
	nodes = slices.CompactFunc(nodes, func(a, b Node) bool {
		return a.Name == b.Name && a.CtlPort == b.CtlPort && a.CUK == b.CUK
	})
	slices.SortStableFunc(nodes, func(a, b Node) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Port, b.Port),
			cmp.Compare(a.CtlPort, b.CtlPort),
			cmp.Compare(a.CUK, b.CUK))
	})
	return nodes
}
