package chmpx

import "slices"

// Unset is the value of a port that is not set: chmpx keeps ports in 16 signed
// bits and uses -1 for that, so 65535 in the file means "unset" too.
const Unset = -1

// Mode is what chmpx runs as.
type Mode string

// The modes. ModeAuto is a file without MODE: chmpx becomes a server if it
// finds itself among the server nodes, else a slave.
const (
	ModeAuto   Mode = ""
	ModeServer Mode = "SERVER"
	ModeSlave  Mode = "SLAVE"
)

// DeliverMode is how messages are spread over the servers.
type DeliverMode string

// The deliver modes.
const (
	DeliverHash   DeliverMode = "hash"
	DeliverRandom DeliverMode = "random"
)

// IDType says what chmpx builds a node's identity from.
type IDType string

// The identity types.
const (
	IDName         IDType = "NAME"
	IDCUK          IDType = "CUK"
	IDCtlEndpoints IDType = "CTLENDPOINTS"
	IDCustom       IDType = "CUSTOM"
)

// Config is a configuration as chmpx holds it after the load: defaults filled
// in, values clamped, nodes expanded, merged and sorted.
type Config struct {
	Group       string
	FileVersion int
	// Mode is MODE as written. Server reports whether chmpx runs as a server: MODE
	// is SERVER, or it is missing and Judge found this host among the server nodes.
	Mode        Mode
	Server      bool
	DeliverMode DeliverMode
	IDType      IDType
	// SelfCtlPort is Unset if this host's entry may have any control port.
	SelfCtlPort int
	SelfCUK     string

	MaxChmpx, Replica                  int
	MaxMQServer, MaxMQClient           int
	MQPerAttach, MaxMQPerClient        int
	MaxQPerServerMQ, MaxQPerClientMQ   int
	MaxHistLog                         int
	RetryCnt, RWTimeout, ConTimeout    int // timeouts in µs
	MQRetryCnt, MQRWTimeout            int // µs
	MQAck                              bool
	DoMerge, AutoMerge                 bool
	MergeTimeout                       int // seconds
	SockThreadCnt, MQThreadCnt         int
	MaxSockPool, SockPoolTimeout       int // pool timeout in seconds
	SSLMinVer, NSSDBDir                string
	K2HFullMap                         bool
	K2HMaskBit, K2HCMaskBit, K2HMaxEle int

	// Servers and Slaves are sorted by name, port, control port and CUK.
	Servers, Slaves []Node
}

// HasSSL reports whether a server node of the configuration uses TLS.
func (c *Config) HasSSL() bool {
	return slices.ContainsFunc(c.Servers, func(n Node) bool { return n.SSL })
}

// Node is one server or slave node.
type Node struct {
	// Name of a server is a host name or an address. Name of a slave is as
	// written: a pattern or a POSIX extended regular expression.
	Name      string
	CUK, Seed string
	// Port is Unset for a slave. Ports are as chmpx stores them: one above 32767 in
	// the file is negative here, and of no use to chmpx.
	Port, CtlPort int
	Endpoints     []HostPort
	CtlEndpoints  []HostPort
	ForwardPeers  []HostPort
	ReversePeers  []HostPort

	SSL, VerifyPeer           bool
	CAFile                    bool // CAPath is a file, not a directory
	CAPath                    string
	ServerCert, ServerPrivKey string
	SlaveCert, SlavePrivKey   string

	// Line is where its section begins, the first one if several were merged.
	Line int
}

// HostPort is one element of an end point or peer list; Port may be Unset.
type HostPort struct {
	Host string
	Port int
}

// TLSFiles returns the paths that the configuration names for TLS, all of which chmpx looks for at
// each load, and those of them that chmpx as a slave reads certificates from (docs/flavours.md 6).
func (c *Config) TLSFiles() (all, used []string) {
	add := func(list *[]string, paths ...string) {
		for _, path := range paths {
			if path != "" && !slices.Contains(*list, path) {
				*list = append(*list, path)
			}
		}
	}
	for _, nodes := range [][]Node{c.Servers, c.Slaves} {
		for i := range nodes {
			n := &nodes[i]
			add(&all, n.CAPath, n.ServerCert, n.ServerPrivKey, n.SlaveCert, n.SlavePrivKey)
			add(&used, n.CAPath, n.SlaveCert)
		}
	}
	return all, used
}
