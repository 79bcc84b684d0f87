package k2hr3

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Host is what a host says of itself when it registers.
type Host struct {
	// CUK is the host's own key, on OpenStack the instance's UUID.
	CUK string
	// Tag becomes the NAME of the host's SLVNODE section.
	Tag string
}

// extraVM marks a registration as a virtual machine's. With any other value
// K2HR3 cannot find the host by its CUK (spec k2hr3 C.4).
const extraVM = "openstack-auto-v1"

// query returns the arguments of a self-registration. It never contains host=,
// which would register another host.
func (h Host) query() (url.Values, error) {
	if err := checkCUK(h.CUK); err != nil {
		return nil, err
	}
	if err := checkTag(h.Tag); err != nil {
		return nil, err
	}
	return url.Values{"cuk": {h.CUK}, "extra": {extraVM}, "tag": {tagArgument(h.Tag)}}, nil
}

// checkCUK refuses what K2HR3 accepts and regrets. It keys hosts by "ip port
// cuk", so a blank makes an entry nobody can remove (spec k2hr3 A.3); and no CUK
// means every entry of this address (spec k2hr3 C.3, C.7).
func checkCUK(cuk string) error {
	switch {
	case cuk == "":
		return errors.New("this host's CUK is empty")
	case !utf8.ValidString(cuk):
		return fmt.Errorf("CUK %q is not UTF-8", cuk)
	case strings.ContainsFunc(cuk, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fmt.Errorf("CUK %q contains a blank or a control character", cuk)
	}
	return nil
}

// checkTag refuses a tag that would break the line it is rendered into, in the
// configuration of every node of the cluster.
func checkTag(tag string) error {
	switch {
	case strings.TrimSpace(tag) == "":
		return errors.New("this host's tag is empty: it would be a node without a name")
	case !utf8.ValidString(tag):
		return fmt.Errorf("tag %q is not UTF-8", tag)
	case strings.ContainsFunc(tag, unicode.IsControl):
		return fmt.Errorf("tag %q contains a control character or a line end", tag)
	}
	return nil
}

// tagArgument returns tag as the argument that K2HR3 reads as tag. It decodes
// what parses as JSON, and fails with status 500 when that is no string
// (spec k2hr3 C.1).
func tagArgument(tag string) string {
	if !json.Valid([]byte(tag)) {
		return tag
	}
	quoted, err := json.Marshal(tag)
	if err != nil {
		return tag
	}
	return string(quoted)
}
