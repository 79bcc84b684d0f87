package fakechmpx

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// Load is one load of a file as chmpx does it at start, at every reload and at
// every control connection (C.1, C.2). An error means that a running chmpx would
// have ended itself.
func Load(b []byte, host Host) (*Config, error) {
	doc := parse(b)
	c := &Config{}
	l := loader{host: host, config: c}
	for _, step := range []func(document) error{
		l.identity, l.tuning, l.globalTLS, l.servers, l.slaves, l.mutualTLS, l.mode,
	} {
		if err := step(doc); err != nil {
			return nil, err
		}
	}
	return c, nil
}

type loader struct {
	host   Host
	config *Config
	tls    TLS // of GLOBAL
}

func (l *loader) identity(doc document) error {
	g, c := doc.global, l.config
	for _, key := range []string{"GROUP", "FILEVERSION", "DELIVERMODE"} {
		if !g.has(key) {
			return fmt.Errorf("%s is missing in GLOBAL", key)
		}
	}
	c.Group = g["GROUP"]
	c.FileVersion = number(g["FILEVERSION"])
	c.Date = date(g["DATE"])
	switch strings.ToUpper(g["DELIVERMODE"]) {
	case "RANDOM":
		c.Random = true
	case "HASH":
	default:
		return unknown("DELIVERMODE", g)
	}
	if err := l.idType(g); err != nil {
		return err
	}
	c.SelfCtlPort = noPort
	if g.has("SELFCTLPORT") {
		c.SelfCtlPort = port(g["SELFCTLPORT"])
	}
	c.SelfCUK = g["SELFCUK"]
	return nil
}

func (l *loader) idType(g keys) error {
	if !g.has("CHMPXIDTYPE") {
		l.config.IDType = IDName
		return nil
	}
	switch t := strings.ToUpper(g["CHMPXIDTYPE"]); t {
	case IDName, IDCUK, IDCtlEndpoints, IDCustom:
		l.config.IDType = t
	case "CTLEPS":
		l.config.IDType = IDCtlEndpoints
	default:
		return unknown("CHMPXIDTYPE", g)
	}
	return nil
}

// date reads DATE without its zone, as chmpx does. What it makes of other text
// is arbitrary; here that is no date.
func date(s string) time.Time {
	t, err := mail.ParseDate(s)
	if err != nil {
		return time.Unix(0, 0).UTC()
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

func unknown(key string, k keys) error {
	return fmt.Errorf("%s has the unknown value %q", key, k[key])
}

// tuning reads the sizes, times, threads and merge flags (B.2).
func (l *loader) tuning(doc document) error {
	g := doc.global
	t := &l.config.Tuning
	for _, n := range []struct {
		key         string
		to          *int
		normal, max int // max 0: no limit
	}{
		{"MAXCHMPX", &t.MaxChmpx, 1024, 32768},
		{"REPLICA", &t.Replica, 0, 0},
		{"MAXMQSERVER", &t.MaxMQServer, 1, 128},
		{"MAXMQCLIENT", &t.MaxMQClient, 8192, 32640},
		{"MQPERATTACH", &t.MQPerAttach, 1, 128},
		{"MAXMQPERCLIENT", &t.MaxMQPerClient, 1, 128},
		{"MAXQPERSERVERMQ", &t.MaxQPerServerMQ, 8, 128},
		{"MAXQPERCLIENTMQ", &t.MaxQPerClientMQ, 1, 128},
		{"MAXHISTLOG", &t.MaxHistLog, 8192, 32768},
		{"RETRYCNT", &t.RetryCnt, -1, 0},
		{"MQRETRYCNT", &t.MQRetryCnt, 3, 0},
		{"SOCKTHREADCNT", &t.SockThreadCnt, 0, 0},
		{"MQTHREADCNT", &t.MQThreadCnt, 0, 0},
		{"MAXSOCKPOOL", &t.MaxSockPool, 1, 0},
		{"SOCKPOOLTIMEOUT", &t.SockPoolTimeout, 60, 0},
		{"K2HMASKBIT", &l.config.K2Hash.MaskBit, 8, 0},
		{"K2HCMASKBIT", &l.config.K2Hash.CMaskBit, 4, 0},
		{"K2HMAXELE", &l.config.K2Hash.MaxElement, 32, 0},
	} {
		*n.to = n.normal
		if g.has(n.key) {
			*n.to = number(g[n.key])
		}
		if n.max > 0 {
			*n.to = min(*n.to, n.max)
		}
	}
	for key, to := range map[string]*int{
		"RWTIMEOUT": &t.RWTimeout, "CONTIMEOUT": &t.ConTimeout,
		"MQRWTIMEOUT": &t.MQRWTimeout, "MERGETIMEOUT": &t.MergeTimeout,
	} {
		*to = max(number(g[key]), 0)
	}
	if err := l.limits(); err != nil {
		return err
	}
	if err := l.flags(g); err != nil {
		return err
	}
	l.settle()
	return nil
}

func (l *loader) limits() error {
	t := l.config.Tuning
	switch {
	case t.SockThreadCnt < 0:
		return errors.New("SOCKTHREADCNT is below 0")
	case t.MQThreadCnt < 0:
		return errors.New("MQTHREADCNT is below 0")
	case t.MaxSockPool < 1:
		return errors.New("MAXSOCKPOOL is below 1")
	case t.SockPoolTimeout < 0:
		return errors.New("SOCKPOOLTIMEOUT is below 0")
	}
	return nil
}

func (l *loader) flags(g keys) error {
	t := &l.config.Tuning
	t.MQAck, l.config.K2Hash.FullMap = true, true
	return booleans(g, map[string]*bool{
		"MQACK":           &t.MQAck,
		"DOMERGE":         &t.DoMerge,
		"AUTOMERGE":       &t.AutoMerge,
		"K2HFULLMAP":      &l.config.K2Hash.FullMap,
		"SSL":             &l.tls.On,
		"SSL_VERIFY_PEER": &l.tls.VerifyPeer,
	})
}

// booleans sets the flags whose key is present.
func booleans(k keys, flags map[string]*bool) error {
	for key, to := range flags {
		if !k.has(key) {
			continue
		}
		value, ok := boolean(k[key])
		if !ok {
			return fmt.Errorf("%s = %q is neither on, yes, off nor no", key, k[key])
		}
		*to = value
	}
	return nil
}

// settle applies what the delivery mode forces.
func (l *loader) settle() {
	t := &l.config.Tuning
	if l.config.Random {
		t.Replica, t.AutoMerge, t.DoMerge = 0, true, false
		return
	}
	if t.Replica > 0 {
		t.Replica = max(min(t.Replica, t.MaxChmpx), 0)
	}
	t.AutoMerge = t.AutoMerge && t.DoMerge
}

func (l *loader) servers(doc document) error {
	for _, block := range doc.servers {
		node, err := l.server(block, doc.global)
		if err != nil {
			return fmt.Errorf("SVRNODE %q: %w", block["NAME"], err)
		}
		names, err := expandNames(block["NAME"])
		if err != nil {
			return fmt.Errorf("SVRNODE: %w", err)
		}
		for _, name := range names {
			node.Name, _, _ = strings.Cut(name, "%") // an IPv6 zone
			l.config.Servers = append(l.config.Servers, node)
		}
	}
	if len(l.config.Servers) == 0 {
		return errors.New("there is no SVRNODE")
	}
	l.config.Servers = sortNodes(l.config.Servers)
	return nil
}

func (l *loader) server(block, global keys) (Node, error) {
	n, err := l.node(block, global, l.clientPaths)
	if err != nil {
		return n, err
	}
	if n.Port, err = nodePort("PORT", block, global); err != nil {
		return n, err
	}
	if err := l.wanted(block, map[string][]string{
		IDCUK: {"CUK"}, IDCustom: {"CUSTOM_ID_SEED"}, IDCtlEndpoints: {"ENDPOINTS", "CTLENDPOINTS"},
	}); err != nil {
		return n, err
	}
	n.Endpoints = endpoints(block["ENDPOINTS"], n.Port)
	n.TLS.On, n.TLS.VerifyPeer = l.tls.On, l.tls.VerifyPeer
	if err := booleans(block, map[string]*bool{
		"SSL": &n.TLS.On, "SSL_VERIFY_PEER": &n.TLS.VerifyPeer,
	}); err != nil {
		return n, err
	}
	n.TLS.ServerCert, n.TLS.ServerPriKey = l.tls.ServerCert, l.tls.ServerPriKey
	if err := l.paths(block, map[string]*string{
		"SERVER_CERT": &n.TLS.ServerCert, "SERVER_PRIKEY": &n.TLS.ServerPriKey,
	}, isFile); err != nil {
		return n, err
	}
	return n, serverTLS(n.TLS)
}

func serverTLS(t TLS) error {
	switch {
	case t.On && (t.ServerCert == "" || t.ServerPriKey == ""):
		return errors.New("SSL is on without SERVER_CERT and SERVER_PRIKEY")
	case !t.On && (t.ServerCert != "" || t.ServerPriKey != ""):
		return errors.New("SERVER_CERT or SERVER_PRIKEY is set while SSL is off")
	case !t.On && t.VerifyPeer:
		return errors.New("SSL_VERIFY_PEER is on while SSL is off")
	}
	return nil
}

func (l *loader) slaves(doc document) error {
	for _, block := range doc.slaves {
		node, err := l.slave(block, doc.global)
		if err != nil {
			return fmt.Errorf("SLVNODE %q: %w", block["NAME"], err)
		}
		l.config.Slaves = append(l.config.Slaves, node)
	}
	if len(l.config.Slaves) == 0 {
		return errors.New("there is no SLVNODE")
	}
	l.config.Slaves = sortNodes(l.config.Slaves)
	return nil
}

func (l *loader) slave(block, global keys) (Node, error) {
	n, err := l.node(block, global, l.slavePaths)
	if err != nil {
		return n, err
	}
	n.Name, n.Port = block["NAME"], noPort
	return n, l.wanted(block, map[string][]string{
		IDCUK: {"CUK"}, IDCtlEndpoints: {"CTLENDPOINTS"},
	})
}

// node reads what server and slave nodes share, and their client paths by way of
// paths.
func (l *loader) node(block, global keys, paths func(keys, *TLS) error) (Node, error) {
	ctl, err := nodePort("CTLPORT", block, global)
	if err != nil {
		return Node{}, err
	}
	n := Node{
		CtlPort:      ctl,
		CUK:          block["CUK"],
		Seed:         block["CUSTOM_ID_SEED"],
		CtlEndpoints: endpoints(block["CTLENDPOINTS"], ctl),
		ForwardPeers: peers(block["FORWARD_PEERS"]),
		ReversePeers: peers(block["REVERSE_PEERS"]),
		TLS: TLS{
			CAPath: l.tls.CAPath, CAFile: l.tls.CAFile,
			SlaveCert: l.tls.SlaveCert, SlavePriKey: l.tls.SlavePriKey,
		},
	}
	return n, paths(block, &n.TLS)
}

// wanted demands the keys the id type needs. An empty value will do.
func (l *loader) wanted(block keys, byType map[string][]string) error {
	for _, key := range byType[l.config.IDType] {
		if !block.has(key) {
			return fmt.Errorf("CHMPXIDTYPE %s needs %s", l.config.IDType, key)
		}
	}
	return nil
}

// nodePort reads a port of a node, or of GLOBAL when the node has none.
func nodePort(key string, block, global keys) (int, error) {
	if block.has(key) {
		return port(block[key]), nil
	}
	if p := port(global[key]); global.has(key) && p != noPort {
		return p, nil
	}
	return 0, fmt.Errorf("%s is missing, in the node and in GLOBAL", key)
}

// mode decides between slave and server (C.3, step 1).
func (l *loader) mode(doc document) error {
	inServers := l.host.amServer(l.config)
	if !doc.global.has("MODE") {
		l.config.Mode = ModeSlave
		if inServers {
			l.config.Mode = ModeServer
		}
		return nil
	}
	l.config.Mode = Mode(strings.ToUpper(doc.global["MODE"]))
	switch {
	case l.config.Mode == ModeSlave && inServers:
		return errors.New("MODE is SLAVE, but this host is in the server list")
	case l.config.Mode == ModeServer && !inServers:
		return errors.New("MODE is SERVER, but this host is not in the server list")
	case l.config.Mode != ModeSlave && l.config.Mode != ModeServer:
		return unknown("MODE", doc.global)
	}
	return nil
}
