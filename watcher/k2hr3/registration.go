package k2hr3

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// Registration is what a host says of itself when it registers.
type Registration struct {
	CUK CUK
	// Tag becomes the NAME of the host's SLVNODE section, or its seed alone, see [CheckTag].
	Tag string
	// Extra is the kind of host; empty: VM.
	Extra Extra
}

// query returns the arguments of a self-registration. It never contains host=, which would
// register another host.
func (r Registration) query() (url.Values, error) {
	if r.CUK.IsZero() {
		return nil, errNoCUK
	}
	if err := CheckTag(r.Tag); err != nil {
		return nil, err
	}
	return url.Values{"cuk": {r.CUK.key}, "extra": {string(cmp.Or(r.Extra, VM))}, "tag": {tagArgument(r.Tag)}}, nil
}

var errNoCUK = errors.New("no CUK of this host is given")

// tagForm is a host name or an address: in a NAME chmpx expands brackets and commas, and a line
// end would break the configuration of every node of the cluster.
var tagForm = regexp.MustCompile(`^[0-9A-Za-z:_]([0-9A-Za-z._:-]*[0-9A-Za-z:])?$`)

const maxTag = 253 // the longest host name

// CheckTag refuses a tag that is neither a host name nor an address, and a name by which every host
// means itself: as a NAME in the file of every node it would be each of them.
func CheckTag(tag string) error {
	if tag == "" {
		return errors.New("the tag is empty: this host would be a node without a name")
	}
	if !tagForm.MatchString(tag) || len(tag) > maxTag {
		return errors.New(Quote(tag) + " is neither a host name nor an address")
	}
	if meansItself(tag) {
		return errors.New(Quote(tag) + " means every host to itself: give a name or an address that is this host's alone")
	}
	return nil
}

// meansItself reports whether a name is one of those that distributions put into /etc/hosts for the
// loopback, in whatever domain, or one of RFC 6761's.
func meansItself(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	first, _, _ := strings.Cut(name, ".")
	switch first {
	case "localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback":
		return true
	}
	return strings.HasSuffix(name, ".localhost")
}

// tagArgument returns tag as the argument that K2HR3 reads as tag. It decodes what parses as JSON,
// such as a number, and fails with status 500 when that is no string (docs/k2hr3.md C.1).
func tagArgument(tag string) string {
	if json.Valid([]byte(tag)) {
		return `"` + tag + `"`
	}
	return tag
}
