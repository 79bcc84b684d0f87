package chmpx

import (
	"os"
	"strings"
)

// maxPath is the length from which on chmpx refuses a path.
const maxPath = 1024

// tlsState is what the TLS rules need to know across the file.
type tlsState struct {
	global            Node // what [GLOBAL] has for nodes that say nothing else
	anySSL, anyVerify bool // of the server nodes
}

// pathKind asks the file system.
func pathKind(path string) PathKind {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return NoPath
	case info.IsDir():
		return Directory
	case info.Mode().IsRegular():
		return RegularFile
	}
	return OtherPath
}

// unsetPath reports the ways to say "no path".
func unsetPath(s string) bool { return s == "" || strings.EqualFold(s, "NULL") }

var sslVersions = []string{"DEFAULT", "SSLV2", "SSLV3", "TLSV1.0", "TLSV1.1", "TLSV1.2", "TLSV1.3"}

// whose names a node in a message, or a section.
type whose struct {
	kind string
	n    *Node
}

func (w whose) String() string {
	if w.n == nil {
		return w.kind
	}
	return w.kind + " node " + quote(w.n.Name)
}

func (l *loader) loadGlobalTLS() {
	globalSection := whose{kind: "[GLOBAL]"}
	n := &l.tls.global
	n.SSL = l.bool("SSL", false)
	n.VerifyPeer = l.bool("SSL_VERIFY_PEER", false)
	if n.VerifyPeer && !n.SSL {
		l.needsSSL("SSL_VERIFY_PEER")
		n.VerifyPeer = false
	}
	n.CAPath, n.CAFile = l.caPath(l.global["CAPATH"], globalSection)
	n.ServerCert = l.certFile(l.global["SERVER_CERT"], "SERVER_CERT", globalSection)
	n.ServerPrivKey = l.certFile(l.global["SERVER_PRIKEY"], "SERVER_PRIKEY", globalSection)
	if !n.SSL {
		for _, key := range []string{"SERVER_CERT", "SERVER_PRIKEY"} {
			if !unsetPath(l.global[key].value) {
				l.needsSSL(key)
			}
		}
		n.ServerCert, n.ServerPrivKey = "", "" // one finding is enough
	}
	n.SlaveCert = l.certFile(l.global["SLAVE_CERT"], "SLAVE_CERT", globalSection)
	n.SlavePrivKey = l.certFile(l.global["SLAVE_PRIKEY"], "SLAVE_PRIKEY", globalSection)
	l.loadSSLMinVer()
	l.loadNSSDB()
}

func (l *loader) needsSSL(key string) {
	l.add(Reject, RuleTLS, l.global[key].line, key, "%s is set in [GLOBAL] while SSL is off there: chmpx cannot load the file and exits; set SSL = on in [GLOBAL] or remove %s", key, key)
}

func (l *loader) loadSSLMinVer() {
	l.cfg.SSLMinVer = "DEFAULT"
	e := l.global["SSL_MIN_VER"]
	if e.value == "" {
		return
	}
	for _, v := range sslVersions {
		if !strings.EqualFold(e.value, v) {
			continue
		}
		l.cfg.SSLMinVer = v
		if v != "DEFAULT" && !l.tls.global.SSL {
			l.needsSSL("SSL_MIN_VER")
		}
		return
	}
	l.badValue(e, "SSL_MIN_VER", strings.Join(sslVersions, ", "))
}

func (l *loader) loadNSSDB() {
	e := l.global["NSSDB_DIR"]
	if e.line == 0 {
		return
	}
	switch {
	case e.value == "" || l.paths(e.value) != Directory:
		l.add(Reject, RuleTLSFile, e.line, "NSSDB_DIR", "NSSDB_DIR is %s, which is not a directory on this host: chmpx cannot load the file and exits; unlike the other paths, this one cannot be empty or NULL", quote(e.value))
	case !l.tls.global.SSL:
		l.needsSSL("NSSDB_DIR")
	case len(e.value) >= maxPath:
		l.pathTooLong(e, "NSSDB_DIR")
	default:
		l.cfg.NSSDBDir = e.value
	}
}

func (l *loader) pathTooLong(e entry, key string) {
	l.add(Reject, RuleTLSFile, e.line, key, "%s has %d bytes: chmpx takes paths of at most %d bytes; it cannot load the file and exits", key, len(e.value), maxPath-1)
}

// caPath reads a CAPATH, which may be a directory or a file.
func (l *loader) caPath(e entry, where whose) (path string, isFile bool) {
	if unsetPath(e.value) {
		return "", false
	}
	switch l.paths(e.value) {
	case Directory:
	case RegularFile:
		isFile = true
	default:
		l.add(Reject, RuleTLSFile, e.line, "CAPATH", "CAPATH %s of %s is not a directory or a file on this host: chmpx cannot load the file and exits; install it first", quote(e.value), where)
	}
	if len(e.value) >= maxPath {
		l.pathTooLong(e, "CAPATH")
	}
	return e.value, isFile
}

// caPathOf reads the CAPATH of a node, which is that of [GLOBAL] where it has none.
func (l *loader) caPathOf(b *block, where whose) (path string, isFile bool) {
	if e := b.v[keyCAPath]; e.line != 0 {
		return l.caPath(e, where)
	}
	return l.tls.global.CAPath, l.tls.global.CAFile
}

// certFile reads the path of a certificate or private key.
func (l *loader) certFile(e entry, key string, where whose) string {
	if unsetPath(e.value) {
		return ""
	}
	if l.paths(e.value) != RegularFile {
		l.noSuchFile(e, key, where)
	}
	if len(e.value) >= maxPath {
		l.pathTooLong(e, key)
	}
	return e.value
}

// certFileOf reads such a path of a node, which is that of [GLOBAL] where it has none.
func (l *loader) certFileOf(b *block, k nodeKey, global string, where whose) string {
	if e := b.v[k]; e.line != 0 {
		return l.certFile(e, k.String(), where)
	}
	return global
}

func (l *loader) noSuchFile(e entry, key string, where whose) {
	l.add(Reject, RuleTLSFile, e.line, key, "%s %s of %s is not a file on this host: chmpx cannot load the file and exits; install it first", key, quote(e.value), where)
}

// serverTLS reads the TLS keys of a server node.
func (l *loader) serverTLS(b *block, n *Node) {
	t := &l.tls
	where := whose{"server", n}
	n.SSL = l.boolEntry(b.v[keySSL], "SSL", t.global.SSL)
	n.VerifyPeer = l.boolEntry(b.v[keyVerifyPeer], "SSL_VERIFY_PEER", t.global.VerifyPeer)
	t.anySSL = t.anySSL || n.SSL
	t.anyVerify = t.anyVerify || n.VerifyPeer
	if n.VerifyPeer && !n.SSL {
		l.add(Reject, RuleTLS, lineOf(b, keyVerifyPeer), "SSL_VERIFY_PEER", "%s has SSL_VERIFY_PEER on but SSL off: chmpx cannot load the file and exits", where)
	}

	n.CAPath, n.CAFile = l.caPathOf(b, where)
	n.ServerCert = l.certFileOf(b, keyServerCert, t.global.ServerCert, where)
	n.ServerPrivKey = l.certFileOf(b, keyServerPrivKey, t.global.ServerPrivKey, where)
	n.SlaveCert = l.certFileOf(b, keySlaveCert, t.global.SlaveCert, where)
	n.SlavePrivKey = l.certFileOf(b, keySlavePrivKey, t.global.SlavePrivKey, where)

	for _, x := range []struct {
		k     nodeKey
		value string
	}{{keyServerCert, n.ServerCert}, {keyServerPrivKey, n.ServerPrivKey}} {
		switch {
		case n.SSL && x.value == "":
			l.add(Reject, RuleTLS, lineOf(b, x.k), x.k.String(), "%s has SSL on but no %s: chmpx cannot load the file and exits, on a slave too; set %s here or in [GLOBAL]", where, x.k, x.k)
		case !n.SSL && x.value != "":
			l.add(Reject, RuleTLS, lineOf(b, x.k), x.k.String(), "%s has SSL off but a %s: chmpx cannot load the file and exits; set %s = NULL or SSL = on here", where, x.k, x.k)
		}
	}
	if (n.SlaveCert == "") != (n.SlavePrivKey == "") {
		l.add(Reject, RuleTLS, lineOf(b, keySlaveCert), "SLAVE_CERT", "%s has only one of SLAVE_CERT and SLAVE_PRIKEY: chmpx cannot load the file and exits; set both or neither", where)
	}
}

// slaveTLS reads the TLS keys of a slave node, once all server nodes are read.
func (l *loader) slaveTLS(b *block, n *Node) {
	t := &l.tls
	where := whose{"slave", n}
	n.VerifyPeer = t.anyVerify
	n.CAPath, n.CAFile = l.caPathOf(b, where)
	if n.CAPath != "" && !t.anySSL {
		l.add(Reject, RuleTLS, lineOf(b, keyCAPath), "CAPATH", "%s has a CAPATH, but no server node has SSL on: chmpx cannot load the file and exits", where)
	}
	n.SlaveCert = l.certFileOf(b, keySlaveCert, t.global.SlaveCert, where)
	n.SlavePrivKey = t.global.SlavePrivKey
	if e := b.v[keySlavePrivKey]; e.line != 0 {
		n.SlavePrivKey = ""
		if !unsetPath(e.value) {
			n.SlavePrivKey = e.value
			if n.SlaveCert != "" && l.paths(e.value) != RegularFile {
				l.noSuchFile(e, "SLAVE_PRIKEY", where)
			}
			if len(e.value) >= maxPath {
				l.pathTooLong(e, "SLAVE_PRIKEY")
			}
		}
	}
	if n.SlaveCert != "" && n.SlavePrivKey == "" {
		l.add(Reject, RuleTLS, lineOf(b, keySlaveCert), "SLAVE_PRIKEY", "%s has a SLAVE_CERT but no SLAVE_PRIKEY: chmpx cannot load the file and exits", where)
	}
	l.slaveCertRule(t.anyVerify, n, where, lineOf(b, keySlaveCert))
}

// checkNodeTLS applies the rules that need to know all server nodes.
func (l *loader) checkNodeTLS() {
	t := &l.tls
	for i := range l.cfg.Servers {
		n := &l.cfg.Servers[i]
		where := whose{"server", n}
		if !t.anySSL && n.CAPath != "" {
			l.add(Reject, RuleTLS, n.Line, "CAPATH", "%s has a CAPATH, but no server node has SSL on: chmpx cannot load the file and exits", where)
		}
		l.slaveCertRule(t.anyVerify, n, where, n.Line)
	}
}

// slaveCertRule checks that with peer verification every node has a client
// certificate, and without it none.
func (l *loader) slaveCertRule(verify bool, n *Node, where whose, line int) {
	switch {
	case verify && n.SlaveCert == "":
		l.add(Reject, RuleTLS, line, "SLAVE_CERT", "%s has no SLAVE_CERT, but a server node has SSL_VERIFY_PEER on: chmpx cannot load the file and exits; set SLAVE_CERT and SLAVE_PRIKEY in [GLOBAL]", where)
	case !verify && n.SlaveCert != "":
		l.add(Reject, RuleTLS, line, "SLAVE_CERT", "%s has a SLAVE_CERT, but no server node has SSL_VERIFY_PEER on: chmpx cannot load the file and exits", where)
	}
}

// lineOf is the line of a node's key, or else the line where the node begins.
func lineOf(b *block, k nodeKey) int {
	if line := b.v[k].line; line != 0 {
		return line
	}
	return b.line
}
