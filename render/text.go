package render

import (
	"bytes"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/chmpx/ini"
)

// Placeholder stands in a RESOURCE for the reader's own instance id. It is no
// variable of K2HR3's templates; whoever reads the RESOURCE replaces it
// (docs/k2hr3.md D.3).
const Placeholder = "__SELF_INSTANCE_ID__"

// MaxRevision is the largest FILEVERSION; after it comes 1 again, since chmpx
// only asks whether the number is another one (docs/chmpx.md B.1).
const MaxRevision = 1<<31 - 1

// Values are what the text of a RESOURCE lacks.
type Values struct {
	// InstanceID replaces the placeholder: the host's CUK.
	InstanceID string
	// Revision replaces the value of FILEVERSION, from 1 to MaxRevision; 0
	// leaves it.
	Revision int
}

// Bytes returns the content of slave.ini for the text of a RESOURCE: the same
// bytes, but for the two values. A text without a FILEVERSION that chmpx would
// read comes back without a stamp; chmpx would refuse it anyway.
func Bytes(text string, v Values) []byte {
	b := []byte(strings.ReplaceAll(text, Placeholder, v.InstanceID))
	if v.Revision == 0 {
		return b
	}
	line, ok := revisionLine(b)
	if !ok {
		return b
	}
	stamp := strconv.Itoa(v.Revision)
	if line.NoEquals {
		stamp = " = " + stamp
	}
	return bytes.Join([][]byte{b[:line.ValueStart], b[line.ValueEnd:]}, []byte(stamp))
}

// NextRevision is the one after n.
func NextRevision(n int) int {
	if n < 1 || n >= MaxRevision {
		return 1
	}
	return n + 1
}

// revisionLine finds the FILEVERSION that counts: the last one in GLOBAL
// (docs/chmpx.md A.3, A.5).
func revisionLine(b []byte) (found ini.Line, ok bool) {
	for line := range ini.Lines(b) {
		if line.Kind == ini.Pair && line.Section == ini.Global && line.Key == "FILEVERSION" {
			found, ok = line, true
		}
	}
	return found, ok
}
