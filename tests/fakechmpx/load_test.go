package fakechmpx_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

// plain is the smallest useful file of a slave; the cases change it.
const plain = `[GLOBAL]
GROUP = orders
FILEVERSION = 4
MODE = SLAVE
DELIVERMODE = hash
MAXCHMPX = 12
K2HMASKBIT = 4
SELFCTLPORT = 18031

[SVRNODE]
NAME = 203.0.113.7
PORT = 18020
CTLPORT = 18021

[SLVNODE]
NAME = localhost
CTLPORT = 18031
`

// shopHost is a slave VM of the tenant shop with a working resolver and some TLS files.
func shopHost() fakechmpx.Host {
	known := map[string][]string{
		"shop1.test":    {"198.51.100.5"},
		"198.51.100.5":  {"shop1.test"},
		"db1.shop.test": {"203.0.113.7"},
		"203.0.113.7":   {"db1.shop.test"},
	}
	files := fstest.MapFS{"tls/ca.pem": {}, "tls/cert.pem": {}, "tls/key.pem": {}, "tls/nss/cert9.db": {}}
	return fakechmpx.Host{
		Names:  []string{"127.0.0.1", "::1", "198.51.100.5", "shop1.test"},
		Lookup: func(name string) []string { return known[name] },
		Stat: func(path string) (fs.FileInfo, error) {
			return fs.Stat(files, strings.TrimPrefix(path, "/"))
		},
	}
}

// edit replaces the first of each pair by the second, which must be there.
func edit(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("there is no %q to replace", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

const (
	accept  = "accept"
	reject  = "reject"   // the load fails
	noStart = "no start" // loads, a fresh start fails
	crashes = "crashes"  // loads, a fresh start dies of SIGSEGV
)

func judge(text string, host fakechmpx.Host) (verdict string, err error) {
	c, err := fakechmpx.Load([]byte(text), host)
	if err != nil {
		return reject, err
	}
	err = c.CanStart(host)
	switch {
	case errors.Is(err, fakechmpx.ErrCrash):
		return crashes, err
	case err != nil:
		return noStart, err
	}
	return accept, nil
}

type verdictCase struct {
	rule string
	want string
	edit []string // pairs for edit
}

func checkVerdicts(t *testing.T, text string, cases []verdictCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			got, err := judge(edit(t, text, c.edit...), shopHost())
			if got != c.want {
				t.Errorf("%s (%v), want %s", got, err, c.want)
			}
		})
	}
}

func TestLineGrammarVerdicts(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	checkVerdicts(t, plain, []verdictCase{
		{"the plain file is fine", accept, nil},
		{"CR is white space at a line's end", accept, []string{"orders\n", "orders\r\n", "SLAVE\n", "SLAVE\r\n"}},
		{"no newline at the end of the file", accept, []string{"NAME = localhost\nCTLPORT = 18031\n", "NAME = localhost\nCTLPORT = 18031"}},
		{"a byte order mark hides the first header", reject, []string{"[GLOBAL]", "\uFEFF[GLOBAL]"}},
		{"a byte order mark before a comment does no harm", accept, []string{"[GLOBAL]", "\uFEFF# orders\n[GLOBAL]"}},
		{"sections are upper case", reject, []string{"[SLVNODE]", "[slvnode]"}},
		{"a header has no blanks inside", reject, []string{"[GLOBAL]", "[ GLOBAL ]"}},
		{"a header has no comment after it", reject, []string{"[SVRNODE]", "[SVRNODE] # database"}},
		{"a header may be indented", accept, []string{"[GLOBAL]", "\t [GLOBAL] \t"}},
		{"lines before any header are ignored", accept, []string{"[GLOBAL]", "MODE = nonsense\n[GLOBAL]"}},
		{"an unknown section is skipped", accept, []string{"[SLVNODE]", "[K2HDKC]\nMODE = nonsense\n[SLVNODE]"}},
		{"a line in brackets is an unknown header", reject, []string{"MODE = SLAVE", "[a] = [b]\nMODE = SLAVE"}},
		{"GLOBAL may come twice, the later wins", reject, []string{"[SVRNODE]", "[GLOBAL]\nMODE = neither\n[SVRNODE]"}},
		{"keys are upper case", reject, []string{"GROUP", "Group"}},
		{"enumerated values are in any case", accept, []string{"SLAVE", "sLaVe", "hash", "HasH"}},
		{"a colon does not separate", reject, []string{"MODE = SLAVE", "MODE : SLAVE", "GROUP = orders", "GROUP : orders"}},
		{"unknown keys are ignored", accept, []string{"MODE", "COLOUR = green\nMODE"}},
		{"a key counts in its own section only", accept, []string{"NAME = 203", "MODE = nonsense\nNAME = 203"}},
		{"a duplicate key's last value counts", reject, []string{"MODE = SLAVE", "MODE = SLAVE\nMODE = BOTH"}},
		{"a line without = is a key with an empty value", reject, []string{"MODE = SLAVE", "MODE"}},
		{"an empty key is dropped", accept, []string{"MODE", "= 5\nMODE"}},
		{"a blank and a hash start a comment", accept, []string{"SLAVE", "SLAVE # of shop"}},
		{"a hash inside a word does not", reject, []string{"SLAVE", "SLAVE#of shop"}},
		{"a hash that begins a value does not", reject, []string{"SLAVE", "# SLAVE"}},
		{"a hash right after a quoted part does not", reject, []string{"SLAVE", `"SLAVE"#of shop`}},
		{"a semicolon starts no comment", reject, []string{"SLAVE", "SLAVE ; of shop"}},
		{"an indented hash comments the line", accept, []string{"MODE", " \t# MODE = nonsense\nMODE"}},
		{"single quotes", accept, []string{"SLAVE", "'SLAVE'"}},
		{"double quotes", accept, []string{"SLAVE", `"SLAVE"`}},
		{"parts in quotes are joined", accept, []string{"SLAVE", `S'LA'"V"E`}},
		{"blanks inside the quotes are trimmed too", accept, []string{"SLAVE", `" SLAVE	"`}},
		{"keys are unquoted as well", accept, []string{"GROUP", `"GRO"UP`}},
		{"an open quote drops the line", reject, []string{"= orders", `= "orders`}},
		{"an open quote drops an optional key without harm", accept, []string{"MAXCHMPX = 12", "MAXCHMPX = '0"}},
		{"a backslash is removed", accept, []string{"SLAVE", `SL\AVE`}},
		{"a dangling backslash drops the line", reject, []string{"= orders", `= orders\`}},
		{"a backslash does not continue a line", accept, []string{"MAXCHMPX = 12", "REPLICA = \\\nMAXCHMPX = 12"}},
		{"a form feed is no white space", reject, []string{"SLAVE", "SLAVE\f"}},
		{"a no-break space is no white space", reject, []string{"SLAVE", "SLAVE\u00a0"}},
		{"a NUL in a comment", accept, []string{"MODE", "# a\x00b\nMODE"}},
		{"a very long line", accept, []string{"MODE", "COLOUR = " + long + "\nMODE"}},
		{"INCLUDE includes nothing", accept, []string{"MODE", "INCLUDE = /etc/other.ini\nMODE"}},
		{"GLOBAL may come last", accept, []string{plain, plain[strings.Index(plain, "[SVRNODE]"):] + plain[:strings.Index(plain, "[SVRNODE]")]}},
	})
}

func TestGlobalVerdicts(t *testing.T) {
	set := func(line string) []string { return []string{"MODE = SLAVE\n", "MODE = SLAVE\n" + line + "\n"} }
	checkVerdicts(t, plain, []verdictCase{
		{"GROUP is required", reject, []string{"GROUP = orders\n", ""}},
		{"FILEVERSION is required", reject, []string{"FILEVERSION = 4\n", ""}},
		{"FILEVERSION may be anything", accept, []string{"FILEVERSION = 4", "FILEVERSION = newest"}},
		{"FILEVERSION may be empty", accept, []string{"FILEVERSION = 4", "FILEVERSION ="}},
		{"DELIVERMODE is required", reject, []string{"DELIVERMODE = hash\n", ""}},
		{"DELIVERMODE random", accept, []string{"hash", "random"}},
		{"DELIVERMODE anything else", reject, []string{"hash", "robin"}},
		{"MODE may be absent", accept, []string{"MODE = SLAVE\n", ""}},
		{"MODE must not be empty", reject, []string{"MODE = SLAVE", "MODE ="}},
		{"MODE = SERVER on a host that is none", reject, []string{"MODE = SLAVE", "MODE = SERVER"}},
		{"CHMPXIDTYPE unknown", reject, set("CHMPXIDTYPE = UUID")},
		{"CHMPXIDTYPE empty", reject, set("CHMPXIDTYPE =")},
		{"DATE is not looked at", accept, set("DATE = last week")},
		{"a flag is not true", reject, set("MQACK = true")},
		{"a flag is not 1", reject, set("DOMERGE = 1")},
		{"a flag is not empty", reject, set("K2HFULLMAP =")},
		{"a flag in any case", accept, set("AUTOMERGE = oN")},
		{"SOCKTHREADCNT below 0", reject, set("SOCKTHREADCNT = -1")},
		{"MQTHREADCNT below 0", reject, set("MQTHREADCNT = -3")},
		{"a count that is no number is 0", accept, set("MQTHREADCNT = many")},
		{"MAXSOCKPOOL of no number is below 1", reject, set("MAXSOCKPOOL = many")},
		{"SOCKPOOLTIMEOUT below 0", reject, set("SOCKPOOLTIMEOUT = -1")},
		{"a negative timeout is none", accept, set("RWTIMEOUT = -5")},
		{"RETRYCNT below -1 loads", accept, set("RETRYCNT = -7")},
		{"SSL_MIN_VER unknown", reject, set("SSL_MIN_VER = TLSV2")},
		{"SSL_MIN_VER without SSL", reject, set("SSL_MIN_VER = TLSV1.2")},
		{"SSL_MIN_VER default without SSL", accept, set("SSL_MIN_VER = Default")},
		{"NSSDB_DIR without SSL", reject, set("NSSDB_DIR = /tls/nss")},
		{"NSSDB_DIR is not unset by an empty value", reject, set("NSSDB_DIR =")},

		{"GROUP may be empty for a load", noStart, []string{"= orders", "="}},
		{"GROUP with a slash", noStart, []string{"= orders", "= shop/orders"}},
		{"GROUP of 238 bytes", accept, []string{"= orders", "= " + strings.Repeat("g", 238)}},
		{"GROUP of 239 bytes", noStart, []string{"= orders", "= " + strings.Repeat("g", 239)}},
		{"MAXCHMPX 0", crashes, []string{"MAXCHMPX = 12", "MAXCHMPX = 0"}},
		{"MAXCHMPX in hex is 0", crashes, []string{"MAXCHMPX = 12", "MAXCHMPX = 0x10"}},
		{"MAXCHMPX too small is not noticed", accept, []string{"MAXCHMPX = 12", "MAXCHMPX = 1"}},
		{"K2HMASKBIT out of reach", noStart, []string{"K2HMASKBIT = 4", "K2HMASKBIT = 60"}},
		{"MAXMQSERVER 0", accept, set("MAXMQSERVER = 0")},
	})
}

func TestNodeVerdicts(t *testing.T) {
	const server = "NAME = 203.0.113.7\nPORT = 18020\nCTLPORT = 18021\n"
	set := func(line string) []string { return []string{server, server + line + "\n"} }
	name := func(pattern string) []string { return []string{"203.0.113.7", pattern} }
	checkVerdicts(t, plain, []verdictCase{
		{"no SVRNODE", reject, []string{"[SVRNODE]\n" + server, ""}},
		{"a SVRNODE without NAME is none", reject, []string{"NAME = 203.0.113.7\n", ""}},
		{"a SVRNODE's NAME must not be empty", reject, name("")},
		{"a SVRNODE's NAME need not resolve", accept, name("db9.shop.invalid")},
		{"no SLVNODE", reject, []string{"[SLVNODE]\nNAME = localhost\nCTLPORT = 18031\n", ""}},
		{"a SLVNODE without NAME is none", reject, []string{"NAME = localhost\n", ""}},
		{"a SVRNODE without PORT", reject, []string{"PORT = 18020\n", ""}},
		{"PORT of GLOBAL", accept, []string{"PORT = 18020\n", "", "MODE", "PORT = 18020\nMODE"}},
		{"PORT 65535 of GLOBAL is as good as none", reject, []string{"PORT = 18020\n", "", "MODE", "PORT = 65535\nMODE"}},
		{"PORT empty is 0", accept, []string{"PORT = 18020", "PORT ="}},
		{"a SVRNODE without CTLPORT", reject, []string{"CTLPORT = 18021\n", ""}},
		{"a SLVNODE without CTLPORT", reject, []string{"localhost\nCTLPORT = 18031\n", "localhost\n"}},
		{"CTLPORT of GLOBAL for a SLVNODE", accept, []string{"localhost\nCTLPORT = 18031\n", "localhost\n", "MODE", "CTLPORT = 18031\nMODE"}},

		{"a number range", accept, name("db[1-3].shop.test")},
		{"a letter range", accept, name("db[a-c].shop.test")},
		{"a choice", accept, name("db[1,7,x].shop.test")},
		{"several names", accept, name("db1.shop.test, db2.shop.test")},
		{"a bracket left open", reject, name("db[1-3.shop.test")},
		{"a bracket too many", reject, name("db1].shop.test")},
		{"a bracket in a bracket", reject, name("db[1,[2]].shop.test")},
		{"nothing in the brackets", reject, name("db[].shop.test")},
		{"a range that descends", reject, name("db[3-1].shop.test")},
		{"a range of two cases", reject, name("db[a-C].shop.test")},
		{"a range of words", reject, name("db[aa-cc].shop.test")},
		{"two dashes", reject, name("db[1-2-3].shop.test")},

		{"CUK type needs CUK in a SVRNODE", reject, []string{"MODE", "CHMPXIDTYPE = CUK\nMODE", "localhost\n", "localhost\nCUK = .*\n"}},
		{"CUK type needs CUK in a SLVNODE", reject, append(set("CUK = c1"), "MODE", "CHMPXIDTYPE = CUK\nMODE")},
		{"an empty CUK loads", noStart, append(set("CUK ="), "MODE", "CHMPXIDTYPE = CUK\nSELFCUK = s1\nMODE", "localhost\n", "localhost\nCUK = s1\n")},
		{"CUK type, all there", accept, append(set("CUK = c1"), "MODE", "CHMPXIDTYPE = cuk\nSELFCUK = s1\nMODE", "localhost\n", "localhost\nCUK = s1\n")},
		{"CUSTOM type needs a seed in a SVRNODE", reject, []string{"MODE", "CHMPXIDTYPE = CUSTOM\nMODE"}},
		{"CUSTOM type needs the own seed to start", noStart, append(set("CUSTOM_ID_SEED = a"), "MODE", "CHMPXIDTYPE = CUSTOM\nMODE")},
		{"CUSTOM type, all there", accept, append(set("CUSTOM_ID_SEED = a"), "MODE", "CHMPXIDTYPE = CUSTOM\nMODE", "localhost\n", "localhost\nCUSTOM_ID_SEED = b\n")},
		{"CTLENDPOINTS type needs both lists", reject, append(set("CTLENDPOINTS = 203.0.113.7"), "MODE", "CHMPXIDTYPE = CTLEPS\nMODE", "localhost\n", "localhost\nCTLENDPOINTS = 198.51.100.5\n")},
		{"CTLENDPOINTS type, an empty list", noStart, append(set("ENDPOINTS =\nCTLENDPOINTS ="), "MODE", "CHMPXIDTYPE = CTLEPS\nMODE", "localhost\n", "localhost\nCTLENDPOINTS = 198.51.100.5\n")},
		{"an end point that is none", accept, set("ENDPOINTS = ?, 203.0.113.7:18020")},
		{"a slave's SSL is not read", accept, []string{"localhost\n", "localhost\nSSL = maybe\nPORT = x\n"}},
	})
}

func TestTLSVerdicts(t *testing.T) {
	const (
		certs  = "SERVER_CERT = /tls/cert.pem\nSERVER_PRIKEY = /tls/key.pem\n"
		client = "SLAVE_CERT = /tls/cert.pem\nSLAVE_PRIKEY = /tls/key.pem\n"
	)
	set := func(lines string) []string { return []string{"MODE = SLAVE\n", "MODE = SLAVE\n" + lines} }
	checkVerdicts(t, plain, []verdictCase{
		{"SSL with certificate and key", accept, set("SSL = on\n" + certs)},
		{"SSL without them", reject, set("SSL = on\n")},
		{"SSL without the key", reject, set("SSL = on\nSERVER_CERT = /tls/cert.pem\n")},
		{"a certificate without SSL", reject, set(certs)},
		{"NULL is no certificate", accept, set("SERVER_CERT = Null\nSERVER_PRIKEY =\nCAPATH = null\n")},
		{"a certificate that is not there", reject, set("SSL = on\nSERVER_CERT = /tls/gone.pem\nSERVER_PRIKEY = /tls/key.pem\n")},
		{"a node without SSL inherits certificates", reject, append(set("SSL = on\n"+certs), "PORT = 18020", "SSL = off\nPORT = 18020")},
		{"a node without SSL that unsets them", accept, append(set("SSL = on\n"+certs), "PORT = 18020", "SSL = off\nSERVER_CERT = NULL\nSERVER_PRIKEY = NULL\nPORT = 18020")},
		{"a node's own SSL", accept, []string{"PORT = 18020", "SSL = yes\n" + certs + "PORT = 18020"}},
		{"a node's SSL is a flag", reject, []string{"PORT = 18020", "SSL = maybe\nPORT = 18020"}},
		{"a node that verifies without SSL", reject, []string{"PORT = 18020", "SSL_VERIFY_PEER = on\nPORT = 18020"}},
		{"verification without SSL", reject, set("SSL_VERIFY_PEER = on\n")},
		{"verification with all certificates", accept, set("SSL = on\nSSL_VERIFY_PEER = on\nCAPATH = /tls/ca.pem\n" + certs + client)},
		{"verification without slave certificates", reject, set("SSL = on\nSSL_VERIFY_PEER = on\n" + certs)},
		{"verification with a slave that has none", reject, append(set("SSL = on\nSSL_VERIFY_PEER = on\n"+certs+client), "localhost\n", "localhost\nSLAVE_CERT = NULL\n")},
		{"slave certificates without verification", reject, set("SSL = on\n" + certs + client)},
		{"CAPATH without any SSL", reject, set("CAPATH = /tls/ca.pem\n")},
		{"CAPATH that is not there", reject, set("SSL = on\nCAPATH = /tls/gone\n" + certs)},
		{"CAPATH is a directory", accept, set("SSL = on\nCAPATH = /tls\n" + certs)},
		{"SSL_MIN_VER with SSL", accept, set("SSL = on\nSSL_MIN_VER = tlsv1.2\n" + certs)},
		{"NSSDB_DIR is a directory", accept, set("SSL = on\nNSSDB_DIR = /tls/nss\n" + certs)},
		{"NSSDB_DIR is a file", reject, set("SSL = on\nNSSDB_DIR = /tls/ca.pem\n" + certs)},
	})
}

func TestSelfVerdicts(t *testing.T) {
	slave := func(name string) []string { return []string{"NAME = localhost", "NAME = " + name} }
	cuk := func(node, self string) []string {
		return []string{"localhost\n", "localhost\nCUK = " + node + "\n", "MODE", "SELFCUK = " + self + "\nMODE"}
	}
	checkVerdicts(t, plain, []verdictCase{
		{"by the own address", accept, slave("198.51.100.5")},
		{"by the own name", accept, slave("shop1.test")},
		{"by a loopback address", accept, slave("127.0.0.1")},
		{"by a wildcard", accept, slave("[.]*")},
		{"by a part of the address", accept, slave("51.100.")},
		{"by an empty name", accept, slave("")},
		{"by one of several names", accept, slave("192.0.2.50,localhost")},
		{"by an anchored expression", accept, slave(`^198\\.51\\.100\\.5$`)},
		{"another's anchored expression", noStart, slave(`^198\\.51\\.100\\.6$`)},
		{"another host", noStart, slave("192.0.2.50")},
		{"an expression that does not compile", noStart, slave("(shop")},
		{"by a forward peer", accept, []string{"NAME = localhost", "NAME = 192.0.2.50\nFORWARD_PEERS = 198.51.100.5"}},
		{"another control port", noStart, []string{"localhost\nCTLPORT = 18031", "localhost\nCTLPORT = 18032"}},
		{"no SELFCTLPORT agrees with any", accept, []string{"SELFCTLPORT = 18031\n", ""}},
		{"a control port above 32767", noStart, []string{"SELFCTLPORT = 18031", "SELFCTLPORT = 40000", "localhost\nCTLPORT = 18031", "localhost\nCTLPORT = 40000"}},
		{"a control port wraps at 65536", accept, []string{"SELFCTLPORT = 18031", "SELFCTLPORT = 83567"}},

		{"equal CUKs", accept, cuk("vm-7", "vm-7")},
		{"an expression as CUK", accept, cuk("^vm-[0-9]+$", "vm-7")},
		{"a part of the CUK", accept, cuk("m-7", "vm-77")},
		{"any CUK, even none", accept, cuk(".*", "")},
		{"another CUK", noStart, cuk("vm-8", "vm-7")},
		{"a CUK where the host has none", noStart, cuk("vm-8", "")},
		{"no CUK where the host has one", noStart, cuk("", "vm-7")},

		{"a server on the own host and port", reject, []string{"203.0.113.7", "198.51.100.5", "18021", "18031"}},
		{"a server called localhost on the own port", reject, []string{"203.0.113.7", "localhost", "18021", "18031"}},
		{"a server on the own host, other port", accept, []string{"203.0.113.7", "198.51.100.5"}},
		{"a server on the own host and port, other CUK", accept, []string{"203.0.113.7", "198.51.100.5", "18021", "18031\nCUK = db"}},
		{"without MODE such a host becomes a server", accept, []string{"MODE = SLAVE\n", "", "203.0.113.7", "198.51.100.5", "18021", "18031"}},
	})
}

func TestCommandLineOverridesSelf(t *testing.T) {
	host := shopHost()
	host.CtlPort, host.CUK = 18033, "vm-9"
	text := edit(t, plain, "localhost\nCTLPORT = 18031", "localhost\nCUK = vm-9\nCTLPORT = 18033")
	if got, err := judge(text, host); got != accept {
		t.Errorf("%s: %v", got, err)
	}
	if got, _ := judge(text, shopHost()); got != noStart {
		t.Errorf("without the command line: %s, want %s", got, noStart)
	}
}

func load(t *testing.T, text string) *fakechmpx.Config {
	t.Helper()
	c, err := fakechmpx.Load([]byte(text), shopHost())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestValuesAreUnquoted(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`orders`, `orders`},
		{` or ders	`, `or ders`},
		{`a=b=c`, `a=b=c`},
		{`#a`, `#a`},
		{`a #b`, `a`},
		{`a#b #c`, `a#b`},
		{`"a #b"`, `a #b`},
		{`a "b" #c`, `a b`},
		{`a \#b`, ``},
		{`"a\"b\\c\d"`, `a"b\c\d`},
		{`a\"b\'c\\d\e`, `a"b'c\de`},
		{`'a\"b'`, `a\"b`},
		{`'it''s'`, `its`},
		{`'`, ``},
		{`a'b`, ``},
	} {
		text := edit(t, plain, "MODE", "SELFCUK = "+c.text+"\nMODE")
		if got := load(t, text).SelfCUK; got != c.want {
			t.Errorf("%s is read as %q, want %q", c.text, got, c.want)
		}
	}
}

func TestNumbersAreReadAsByAtoi(t *testing.T) {
	for text, want := range map[string]int{
		"7": 7, "+7": 7, "-7": -7, "16k": 16, "0x10": 0, "": 0, "x": 0, "'  8'": 8,
		"2147483647": 2147483647, "4294967297": 1, "99999999999999999999": -1,
	} {
		if got := load(t, edit(t, plain, "FILEVERSION = 4", "FILEVERSION = "+text)).FileVersion; got != want {
			t.Errorf("FILEVERSION = %s is %d, want %d", text, got, want)
		}
	}
}

func TestServersAreExpandedMergedAndSorted(t *testing.T) {
	text := plain + `
[SVRNODE]
NAME = db[2-3,x].shop.test
PORT = 1
CTLPORT = 2
CUK = first
[SVRNODE]
NAME = db[2-3,x].shop.test
CTLPORT = 2
CUK = second
[SVRNODE]
NAME = db2.shop.test
PORT = 1
CTLPORT = 9
`
	type node struct {
		Name          string
		Port, CtlPort int
		CUK           string
	}
	var got []node
	for _, n := range load(t, text).Servers {
		got = append(got, node{n.Name, n.Port, n.CtlPort, n.CUK})
	}
	want := []node{
		{"203.0.113.7", 18020, 18021, ""},
		{"db2.shop.test", 1, 2, "second"},
		{"db2.shop.test", 1, 9, ""},
		{"db3.shop.test", 1, 2, "second"},
		{"dbx.shop.test", 1, 2, "second"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEndpointsAreDefaulted(t *testing.T) {
	text := edit(t, plain, "PORT = 18020\n", "PORT = 18020\nENDPOINTS = ?!, a.test, b.test:7, [2001:db8::1]:8, 2001:db8::2, e.test\nFORWARD_PEERS = gw.test:99\n")
	n := load(t, text).Servers[0]
	want := []fakechmpx.HostPort{{Host: "a.test", Port: 18020}, {Host: "b.test", Port: 7}, {Host: "2001:db8::1", Port: 8}, {Host: "2001:db8::2", Port: 18020}, {Host: "e.test", Port: 18020}}
	if diff := cmp.Diff(want, n.Endpoints); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]fakechmpx.HostPort{{Host: "gw.test", Port: 99}}, n.ForwardPeers); diff != "" {
		t.Error(diff)
	}
}

func TestDeliveryModeForcesTheMergeFlags(t *testing.T) {
	merge := func(deliver, do, auto string) [3]any {
		c := load(t, edit(t, plain, "hash", deliver+"\nREPLICA = 99\nDOMERGE = "+do+"\nAUTOMERGE = "+auto))
		return [3]any{c.Tuning.Replica, c.Tuning.DoMerge, c.Tuning.AutoMerge}
	}
	for _, c := range []struct {
		deliver, do, auto string
		want              [3]any
	}{
		{"random", "on", "off", [3]any{0, false, true}},
		{"hash", "on", "on", [3]any{12, true, true}},
		{"hash", "off", "on", [3]any{12, false, false}},
	} {
		if got := merge(c.deliver, c.do, c.auto); got != c.want {
			t.Errorf("%s, DOMERGE %s, AUTOMERGE %s: %v, want %v", c.deliver, c.do, c.auto, got, c.want)
		}
	}
}

func TestWhatAReloadCompares(t *testing.T) {
	const second = "\n[SVRNODE]\nNAME = db2.shop.test\nPORT = 18020\nCTLPORT = 18021\n"
	set := func(line string) []string { return []string{"MODE = SLAVE\n", "MODE = SLAVE\n" + line + "\n"} }
	for _, c := range []struct {
		what  string
		equal bool
		edit  []string
	}{
		{"nothing", true, nil},
		{"comments and blank lines", true, set("# of shop\n\n")},
		{"an unknown section", true, []string{"[SLVNODE]", "[K2HDKC]\nX = 1\n[SLVNODE]"}},
		{"quotes", true, []string{"orders", `"orders"`}},
		{"DATE", true, set("DATE = Fri, 21 Nov 2025 10:00:00 +0000")},
		{"SELFCUK", true, []string{"MODE = SLAVE\n", "MODE = SLAVE\nSELFCUK = vm-3\n"}},
		{"the message store", true, []string{"K2HMASKBIT = 4", "K2HMASKBIT = 5"}},
		{"a default written out", true, set("MAXSOCKPOOL = 1")},
		{"MODE left out", true, []string{"MODE = SLAVE\n", ""}},
		{"FILEVERSION", false, []string{"FILEVERSION = 4", "FILEVERSION = 5"}},
		{"GROUP", false, []string{"orders", "carts"}},
		{"CHMPXIDTYPE", false, append(set("CHMPXIDTYPE = CUSTOM"), "PORT = 18020", "CUSTOM_ID_SEED = a\nPORT = 18020")},
		{"DELIVERMODE", false, []string{"hash", "random"}},
		{"SELFCTLPORT", false, []string{"SELFCTLPORT = 18031", "SELFCTLPORT = 18032"}},
		{"MAXCHMPX", false, []string{"MAXCHMPX = 12", "MAXCHMPX = 13"}},
		{"a timeout", false, set("RWTIMEOUT = 9")},
		{"a server's port", false, []string{"PORT = 18020", "PORT = 18022"}},
		{"one more server", false, []string{"\n[SLVNODE]", second + "\n[SLVNODE]"}},
		{"a server's peers", false, []string{"PORT = 18020", "FORWARD_PEERS = gw.test\nPORT = 18020"}},
		{"one more slave", false, []string{"[SLVNODE]", "[SLVNODE]\nNAME = other\nCTLPORT = 1\n[SLVNODE]"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			a, b := load(t, plain), load(t, edit(t, plain, c.edit...))
			if a.Equal(b) != c.equal || b.Equal(a) != c.equal {
				t.Errorf("equal: %v and %v, want %v", a.Equal(b), b.Equal(a), c.equal)
			}
		})
	}
	t.Run("node order", func(t *testing.T) {
		first := plain[strings.Index(plain, "[SVRNODE]"):strings.Index(plain, "[SLVNODE]")]
		a, b := load(t, plain+second), load(t, edit(t, plain, first, second)+first)
		if !a.Equal(b) {
			t.Error(cmp.Diff(a, b))
		}
	})
}
