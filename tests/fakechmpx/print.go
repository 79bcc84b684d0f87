package fakechmpx

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// printer writes the lines of chmpxstatus: a key padded to a common width, then
// its value. It ignores write errors, as a printing tool does.
type printer struct{ w io.Writer }

func (p printer) row(key, format string, values ...any) {
	fmt.Fprintf(p.w, "%-44s = %s\n", key, fmt.Sprintf(format, values...))
}

func (p printer) line(format string, values ...any) { fmt.Fprintf(p.w, format+"\n", values...) }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// WriteStatus writes all that chmpxstatus prints of a running chmpx.
func WriteStatus(w io.Writer, s Snapshot, dir StateDir) {
	p := printer{w}
	p.process(s, dir)
	p.limits(s.Tuning)
	p.row("base msgid", "0x%016x", s.baseMsgID())
	p.line("")
	p.cluster(s)
	p.line("self chmpx = {")
	p.node("  ", "  ", s.Self, 12)
	p.line("}")
	p.line("server chmpxs [ %d ] = {", len(s.Servers))
	for i, e := range s.Servers {
		p.line("  [%d] = {", i)
		p.node("    ", "    ", e, -1)
		p.line("  }")
	}
	p.line("}")
	p.line("slave chmpxs [ 0 ] = {")
	p.line("}")
	p.traffic("server stat")
	p.traffic("slave stat")
	p.row("free chmpx area count", "%d", s.Free)
	p.row("free sock area count", "%d", s.freeSockets())
	p.line("")
	p.queues(s)
	p.line("joining client process = {")
	for i := range s.Clients {
		p.line("  [%d] pid                                    = %d", i, s.PID+1+i)
	}
	p.line("}")
}

func (p printer) process(s Snapshot, dir StateDir) {
	p.row("chmpx process id", "%d", s.PID)
	p.row("process start time", "%d (unix time)", s.Start)
	p.row("chmpx shared memory file path", "%s", dir.Path(s.Group, s.CtlPort))
	p.row("chmpx shared memory file size", "%d (byte)", memorySize(s))
	p.row("chmpx info structure version", "%s", infoVersion)
	p.row("chmpx info structure size", "%d (byte)", infoSize)
	p.row("k2hash file path", "%s", dir.file(s.Group, s.CtlPort, ".k2h"))
	p.row("k2hash full mapping", "%s", yesNo(s.K2Hash.FullMap))
	p.row("k2hash mask bit count", "%d", s.K2Hash.MaskBit)
	p.row("k2hash collision mask bit count", "%d", s.K2Hash.CMaskBit)
	p.row("k2hash maximum element count", "%d", s.K2Hash.MaxElement)
	p.row("random mode", "%s", yesNo(s.Random))
}

func (p printer) limits(t Tuning) {
	p.row("communication history count", "%d", t.MaxHistLog)
	p.row("auto merge", "%s", yesNo(t.AutoMerge))
	p.row("suspend auto merge", "no")
	p.row("merge processing(do merge)", "%s", yesNo(t.DoMerge))
	version := t.SSLMinVer
	if version == "DEFAULT" {
		version = "(default)"
	}
	p.row("SSL/TLS minimum version", "%s", version)
	p.row("NSSDB directory path", "%s", t.NSSDBDir)
	p.row("timeout for merge", "%d (s)", t.MergeTimeout)
	p.row("thread count for socket", "%d", t.SockThreadCnt)
	p.row("thread count for MQ", "%d", t.MQThreadCnt)
	p.row("maximum socket count per chmpx(socket pool)", "%d", t.MaxSockPool)
	p.row("timeout for socket pool", "%d (s)", t.SockPoolTimeout)
	p.row("retry count on socket", "%d", t.RetryCnt)
	p.row("timeout for send/receive on socket", "%d (us)", t.RWTimeout)
	p.row("timeout for connect on socket", "%d (us)", t.ConTimeout)
	p.row("timeout for send/receive on socket", "%d (us)", t.MQRWTimeout) // of the MQ, under the same name
	p.row("maximum MQ count", "%d", t.MaxMQServer+t.MaxMQClient)
	p.row("chmpx process MQ count", "%d", t.MaxMQServer)
	p.row("maximum queue per chmpx process MQ", "%d", t.MaxQPerServerMQ)
	p.row("maximum queue per client process MQ", "%d", t.MaxQPerClientMQ)
	p.row("maximum MQ per client process", "%d", t.MaxMQPerClient)
	p.row("maximum MQ per attach", "%d", t.MQPerAttach)
	p.row("using MQ ACK", "%s", yesNo(t.MQAck))
	p.row("retry count on MQ", "%d", t.MQRetryCnt)
}

func (p printer) cluster(s Snapshot) {
	p.row("chmpx name", "%s", s.Group)
	p.row("configuration file version", "%d", s.FileVersion)
	p.row("configuration file date", "%d (unix time)", s.Date)
	p.row("replication count", "%d", s.Tuning.Replica)
	p.row("maximum chmpx count", "%d", s.Tuning.MaxChmpx)
	p.row("base hash count", "%d", s.Hashes)
	p.row("now operating", "no")
	p.row("last using random chmpxid", "0x%016x", noID)
}

// node writes one node block; names is the indentation of the lines from CUK to
// the peers.
func (p printer) node(in, names string, e Entry, listenCtl int) {
	mode := "server"
	if strings.Contains(e.Status, "[SLAVE]") {
		mode = "slave"
	}
	p.row(in+"chmpxid", "0x%016x", e.ID)
	p.row(in+"hostname", "%s", e.Name)
	p.row(in+"mode", "%s", mode)
	p.row(in+"base hash", "0x%016x", e.Hash)
	p.row(in+"pending hash", "0x%016x", e.Hash)
	p.row(in+"port", "%d", e.Port)
	p.row(in+"control port", "%d", e.CtlPort)
	p.row(names+"cuk", "%s", e.CUK)
	p.row(names+"custom id seed", "%s", e.Seed)
	p.row(names+"endpoints", "%s", hostPorts(e.Endpoints))
	p.row(names+"control endpoints", "%s", hostPorts(e.CtlEndpoints))
	p.row(names+"forward peers", "%s", hostPorts(e.ForwardPeers))
	p.row(names+"reverse peers", "%s", hostPorts(e.ReversePeers))
	p.tls(in, e.TLS)
	p.row(in+"sockets", "%s", numberList(e.Sockets))
	p.row(in+"listen socket", "-1")
	p.row(in+"control socket", "-1")
	p.row(in+"listen control socket", "%d", listenCtl)
	p.row(in+"last status update time", "%d (unix time)", e.Updated)
	p.row(in+"status", "%s", e.Status)
}

func (p printer) tls(in string, t TLS) {
	p.row(in+"ssl", "%s", yesNo(t.On))
	if !t.On {
		return
	}
	p.row(in+"verify client peer", "%s", yesNo(t.VerifyPeer))
	p.row(in+"CA path is", "%s", t.caKind("directory"))
	p.row(in+"CA path", "%s", t.CAPath)
	p.row(in+"server cert path", "%s", t.ServerCert)
	p.row(in+"server private key path", "%s", t.ServerPriKey)
	p.row(in+"slave cert path", "%s", t.SlaveCert)
	p.row(in+"slave private key path", "%s", t.SlavePriKey)
}

// caKind is "file", or dir in the words of the program that prints it.
func (t TLS) caKind(dir string) string {
	if t.CAFile {
		return "file"
	}
	return dir
}

func numberList(numbers []int) string {
	var parts []string
	for _, n := range numbers {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ",")
}

// traffic writes counters. The stand-in carries none.
func (p printer) traffic(title string) {
	p.line("%s = {", title)
	for _, row := range [][2]string{
		{"total send message count", "0"}, {"total receive message count", "0"},
		{"total body size", "0 (bytes)"}, {"minimum body size", "0 (bytes)"}, {"maximum body size", "0 (bytes)"},
		{"total elapsed time", "0ms 0us 0ns (0ns)"}, {"minimum elapsed time", "0ms 0us 0ns (0ns)"},
		{"maximum elapsed time", "0ms 0us 0ns (0ns)"},
	} {
		p.row("    "+row[0], "%s", row[1])
	}
	p.line("}")
}

func (p printer) queues(s Snapshot) {
	own := s.Tuning.MaxMQServer
	p.line("chmpx using MQ [ %d ] = {", own)
	for i := range own {
		p.line("  [%d] = {", i)
		p.row("    msgid", "0x%016x", s.baseMsgID()+uint64(own-1-i))
		p.row("    flag", "[Assigned][Chmpx][Activated]")
		p.row("    pid", "%d", s.PID)
		p.line("  }")
	}
	p.line("}")
	p.line("client process using MQ [ 0 ] = {")
	p.line("}")
	p.line("assigned MQ [ 0 ] = {")
	p.line("}")
	p.row("free MQ", "%d", s.Tuning.MaxMQClient)
	p.row("last random msgid used by chmpx process", "0x%016x", noID)
	p.row("last activated msgid", "0x%016x", noID)
	p.row("last assigned msgid", "0x%016x", noID)
}

func (s Snapshot) baseMsgID() uint64 { return s.Self.ID &^ 0xffffffff }

func (s Snapshot) freeSockets() int {
	free := s.Slots * s.Tuning.MaxSockPool * 2
	for _, e := range s.Servers {
		free -= len(e.Sockets)
	}
	return free
}

// WriteConfig writes what chmpxconftest prints of a file that loaded.
func WriteConfig(w io.Writer, c *Config) {
	p := confPrinter{w}
	p.line("configuration{")
	p.global(c)
	for i, n := range c.Servers {
		p.node("server", i+1, n)
	}
	for i, n := range c.Slaves {
		p.node("slave", i+1, n)
	}
	p.line("}")
}

type confPrinter struct{ w io.Writer }

func (p confPrinter) line(format string, values ...any) { fmt.Fprintf(p.w, format+"\n", values...) }

func (p confPrinter) global(c *Config) {
	t := c.Tuning
	row := func(key string, value any) { p.line("\t%-15s = %v", key, value) }
	deliver := "HASH"
	if c.Random {
		deliver = "RANDOM"
	}
	row("GROUP", c.Group)
	row("REVISION", c.FileVersion)
	row("DATE", c.Date.Unix())
	row("MODE", c.Mode)
	row("DELIVER MODE", deliver)
	row("SELF CTLPORT", c.SelfCtlPort)
	row("SELF CUK", orNone(c.SelfCUK))
	row("CHMPXID TYPE", c.IDType)
	row("MAXCHMPX", t.MaxChmpx)
	row("REPLICA", t.Replica)
	row("MAXMQSERVER", t.MaxMQServer)
	row("MAXMQCLIENT", t.MaxMQClient)
	row("MQPERATTACH", t.MQPerAttach)
	row("MAXQPERSERVERMQ", t.MaxQPerServerMQ)
	row("MAXQPERCLIENTMQ", t.MaxQPerClientMQ)
	row("MAXMQPERCLIENT", t.MaxMQPerClient)
	row("MAXHISTLOG", t.MaxHistLog)
	row("RWTIMEOUT", t.RWTimeout)
	row("RETRYCNT", t.RetryCnt)
	row("CONTIMEOUT", t.ConTimeout)
	row("MQRWTIMEOUT", t.MQRWTimeout)
	row("MQRETRYCNT", t.MQRetryCnt)
	row("MQACK", onOff(t.MQAck))
	row("DOMERGE", onOff(t.DoMerge))
	row("AUTOMERGE", onOff(t.AutoMerge))
	row("MERGETIMEOUT", t.MergeTimeout)
	row("SOCKTHREADCNT", t.SockThreadCnt)
	row("MQTHREADCNT", t.MQThreadCnt)
	row("MAXSOCKPOOL", t.MaxSockPool)
	row("SOCKPOOLTIMEOUT", t.SockPoolTimeout)
	row("K2HFULLMAP", yesNo(c.K2Hash.FullMap))
	row("K2HMASKBIT", c.K2Hash.MaskBit)
	row("K2HCMASKBIT", c.K2Hash.CMaskBit)
	row("K2HMAXELE", c.K2Hash.MaxElement)
	row("SSL_MIN_VER", t.SSLMinVer)
	row("NSSDB_DIR", orNone(t.NSSDBDir))
}

func (p confPrinter) node(kind string, number int, n Node) {
	row := func(key string, value any) { p.line("\t\t%-14s= %v", key, value) }
	p.line("\t%s[%d]{", kind, number)
	row("NAME", n.Name)
	row("PORT", n.Port)
	row("CTLPORT", n.CtlPort)
	if kind == "server" {
		p.list("ENDPOINTS", n.Endpoints, true)
	}
	p.list("CTLENDPOINTS", n.CtlEndpoints, true)
	p.list("FORWARD_PEERS", n.ForwardPeers, false)
	p.list("REVERSE_PEERS", n.ReversePeers, false)
	row("CUK", orNone(n.CUK))
	row("CUSTOM_ID_SEED", orNone(n.Seed))
	row("SSL", yesNo(n.TLS.On))
	if n.TLS.On {
		row("VERIFY_PEER", yesNo(n.TLS.VerifyPeer))
		row("CA PATH TYPE", n.TLS.caKind("dir"))
		row("CA PATH", n.TLS.CAPath)
		row("SERVER CERT", n.TLS.ServerCert)
		row("SERVER PRIKEY", n.TLS.ServerPriKey)
		row("SLAVE CERT", n.TLS.SlaveCert)
		row("SLAVE PRIKEY", n.TLS.SlavePriKey)
	}
	p.line("\t}")
}

// list writes end points, one a line; of peers the port is not shown.
func (p confPrinter) list(key string, list []HostPort, ports bool) {
	if len(list) == 0 {
		p.line("\t\t%-14s= n/a", key)
		return
	}
	p.line("\t\t%-14s= {", key)
	for _, e := range list {
		if ports {
			p.line("\t\t\t%s ( %d )", e.Host, e.Port)
		} else {
			p.line("\t\t\t%s", e.Host)
		}
	}
	p.line("\t\t}")
}

func orNone(s string) string {
	if s == "" {
		return "n/a"
	}
	return s
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
