package e2e

import (
	"fmt"
	"regexp"
	"strings"
)

func addr(i int) string { return fmt.Sprintf("10.20.%d.%d", 1+i/200, 1+i%200) }

func id(kind string, i int) string {
	return fmt.Sprintf("%02x%06x-5a1e-4c0d-9b7f-0d2e4f6a8c10", len(kind), 0x1000+i)
}

func name(kind string, i int) string { return fmt.Sprintf("%s-%d.shop.example", kind, i+1) }

// clusterText is the RESOURCE of a cluster of that size. The slave that the
// text is read by comes on top; it is known by an address.
func clusterText(servers, slaves int, selfAddr, selfCUK string) string {
	head, rest, _ := strings.Cut(resourceText, "\n    \n[SVRNODE]")
	_, tail, _ := strings.Cut(rest, "\n\n\n\n\n#\n# That")
	var b strings.Builder
	b.WriteString(head)
	for i := range servers {
		fmt.Fprintf(&b, "\n    \n[SVRNODE]\nNAME                = %s\nCUK                 = %s\nPORT                = 8020\n"+
			"CTLPORT             = 8021\nCUSTOM_ID_SEED      = %[1]s\nSSL                 = no\n    \n    \n", name("kv", i), id("kv", i))
	}
	b.WriteString("\n\n#\n# Members that only use it\n#\n\n    ")
	slave := func(name, cuk string) {
		fmt.Fprintf(&b, "\n        \n[SLVNODE]\nNAME                = %s\nCUK                 = %s\nCTLPORT             = 8031\n"+
			"CUSTOM_ID_SEED      = %[1]s\nSSL                 = no\n        \n        \n    ", name, cuk)
	}
	for i := range slaves {
		slave(addr(i), id("app", i))
	}
	slave(selfAddr, selfCUK)
	return b.String() + "\n\n\n\n\n#\n# That" + tail
}

// versions makes texts that chmpx tells apart, each of which carries its own
// number where both the text and the file can be asked for it: in a value that
// chmpx compares, and in the very last line.
type versions struct{ base string }

func (v versions) text(n int) string {
	const line = "RWTIMEOUT           = 10000\n"
	return strings.Replace(v.base, line, fmt.Sprintf("RWTIMEOUT           = %d\n", 10000+n), 1) + fmt.Sprintf("# version %d\n", n)
}

var (
	lastLine    = regexp.MustCompile(`\n# version (\d+)\n$`)
	fileVersion = regexp.MustCompile(`(?m)^(FILEVERSION +)= (\d+)$`)
)

// of tells which version a file is, and its revision. It fails if the file is
// anything but one whole version with the two values replaced.
func (v versions) of(file, cuk string) (version, revision int, err error) {
	last, stamp := lastLine.FindStringSubmatch(file), fileVersion.FindStringSubmatch(file)
	if last == nil || stamp == nil {
		return 0, 0, fmt.Errorf("no whole version: %d bytes, with %q and %q", len(file), last, stamp)
	}
	fmt.Sscan(last[1], &version)
	fmt.Sscan(stamp[2], &revision)
	want := strings.ReplaceAll(v.text(version), "__SELF_INSTANCE_ID__", cuk)
	if fileVersion.ReplaceAllString(want, "${1}= "+stamp[2]) != file {
		return version, revision, fmt.Errorf("ends as version %d, but is not that version", version)
	}
	return version, revision, nil
}
