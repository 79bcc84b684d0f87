package daemon

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
)

// ProbeName is the file that a [Prober] keeps in its folder.
const ProbeName = "probe.ini"

const maxPort = 32767

// probeText is a file that chmpxstatus loads without asking the resolver, and
// that names the same shared memory as the real one (docs/chmpx.md F.7). Without
// a SELFCTLPORT (ctlPort 0) the memory has no port in its name.
func probeText(group string, ctlPort int) ([]byte, error) {
	if err := checkGroup(group); err != nil {
		return nil, err
	}
	if ctlPort < 0 || ctlPort > maxPort {
		return nil, fmt.Errorf("control port %d: chmpx can use 1 to %d", ctlPort, maxPort)
	}
	var b bytes.Buffer
	b.WriteString("# Tells chmpxstatus which chmpx to look at. Kept by k2hdkc-slave-agent;\n" +
		"# chmpx itself never reads it.\n" +
		"[GLOBAL]\nFILEVERSION = 1\nMODE = SLAVE\nDELIVERMODE = HASH\n")
	fmt.Fprintf(&b, "GROUP = %s\n", quote(group))
	slavePort := 1
	if ctlPort != 0 {
		slavePort = ctlPort
		fmt.Fprintf(&b, "SELFCTLPORT = %d\n", ctlPort)
	}
	// Were the server on the slave's port, it would be taken for this node.
	serverPort := 1
	if slavePort == serverPort {
		serverPort = 2
	}
	fmt.Fprintf(&b, "\n[SVRNODE]\nNAME = localhost\nPORT = 1\nCTLPORT = %d\n", serverPort)
	fmt.Fprintf(&b, "\n[SLVNODE]\nNAME = localhost\nCTLPORT = %d\n", slavePort)
	return b.Bytes(), nil
}

func checkGroup(group string) error {
	if group == "" || len(group) > chmpx.MaxGroup {
		return fmt.Errorf("GROUP has %d bytes: chmpx takes 1 to %d", len(group), chmpx.MaxGroup)
	}
	if strings.ContainsFunc(group, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }) {
		return fmt.Errorf("group %q: chmpx cannot run with a slash or a control character in it", group)
	}
	if group != strings.TrimSpace(group) {
		return fmt.Errorf("group %q: chmpx cannot have blanks around it", group)
	}
	return nil
}

// quote writes a value so that chmpx reads it back as it is.
func quote(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
	}
	if strings.TrimFunc(value, plain) == "" {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// writeProbe puts text in place as a whole, so that a second program of the
// agent never finds half of it. A file that says the same already is left
// alone: who may not write here can still look.
func writeProbe(dir string, text []byte) (string, error) {
	path := filepath.Join(dir, ProbeName)
	if old, err := regularfile.Read(path, regularfile.Small); err == nil && bytes.Equal(old, text) {
		return path, nil
	}
	return path, atomicfile.Write(path, text, 0o644) // holds no secret
}
