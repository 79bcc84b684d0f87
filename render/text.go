package render

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx/ini"
)

// What a RESOURCE leaves to whoever reads it. They are no variables of K2HR3's templates
// (docs/k2hr3.md D.3, docs/flavours.md 5.5).
const (
	// Placeholder stands for the reader's own instance id.
	Placeholder = "__SELF_INSTANCE_ID__"

	podCUK  = "%%SELF_CONTAINER_CUK%%"
	podDate = "%%FILE_DOWNLOAD_DATE%%" // of DATE, which chmpx does not read
)

// rfc2822 is how the tools of Kubernetes write a date.
const rfc2822 = "Mon, 02 Jan 2006 15:04:05 -0700"

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
	// Pod is when the text came, for a text that has the placeholders of Kubernetes; zero: they
	// stay.
	Pod time.Time
}

// Bytes returns the content of slave.ini for the text of a RESOURCE: the same
// bytes, but for these values. A text without a FILEVERSION that chmpx would
// read comes back without a stamp; chmpx would refuse it anyway.
func Bytes(text string, v Values) []byte {
	text = strings.ReplaceAll(text, Placeholder, v.InstanceID)
	if !v.Pod.IsZero() {
		text = strings.ReplaceAll(text, podCUK, v.InstanceID)
		text = strings.ReplaceAll(text, podDate, v.Pod.Format(rfc2822))
	}
	b := []byte(text)
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
