package chmpx

import (
	"bytes"

	"k2hdkc-slave-agent/chmpx/ini"
)

// notAConfiguration recognises what a proxy, a half-configured K2HR3 or a mistake
// may deliver instead of a configuration. chmpx could load none of it, as it has
// no GROUP; saying what it is helps more.
func notAConfiguration(b []byte) (rule, text string, found bool) {
	if len(b) == 0 {
		return RuleEmpty, "the text is empty: chmpx cannot load it and exits; look at the RESOURCE in K2HR3", true
	}
	start := bytes.TrimLeft(b, " \t\r\n\v\f\x00\ufeff")
	if len(start) == 0 {
		return RuleEmpty, "the text has only blanks in it: chmpx cannot load it and exits; look at the RESOURCE's template in K2HR3", true
	}
	if hasSection(b) {
		return "", "", false
	}
	if bytes.IndexByte(b, '\r') >= 0 && hasSection(bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))) {
		return RuleForeign, "the lines of this text end in CR alone, which chmpx does not take for the end of a line: it finds no section in it, cannot load it and exits; save it with LF", true
	}
	const exits = ": chmpx finds no section in it, cannot load it and exits"
	switch {
	case start[0] == '<':
		return RuleForeign, "this is an HTML or XML page, not a chmpx configuration" + exits + "; a proxy or a login page may have answered instead of K2HR3", true
	case start[0] == '{' || start[0] == '"' || start[0] == '[' && !bytes.HasPrefix(start, []byte("[GLOBAL")) && looksLikeJSONList(start):
		return RuleForeign, "this is JSON, not a chmpx configuration" + exits + "; the text of a RESOURCE is the member resource.string of K2HR3's answer", true
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		return RuleForeign, "this is gzip data, not a chmpx configuration" + exits, true
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return RuleForeign, "this text is in UTF-16, which chmpx does not read" + exits + "; save it as UTF-8 without a byte order mark", true
	case bytes.HasPrefix(start, []byte("---")) || bytes.HasPrefix(start, []byte("GLOBAL:")):
		return RuleForeign, "this is YAML, but chmpx reads a file named .ini as INI" + exits, true
	}
	return RuleForeign, "this is not a chmpx configuration: none of [GLOBAL], [SVRNODE] and [SLVNODE] is on a line of its own" + exits + "; section names are in upper case, and nothing may follow the bracket, not even a comment", true
}

// hasSection reports whether a line of b is a header that chmpx knows.
func hasSection(b []byte) bool {
	for line := range ini.Lines(b) {
		if line.Kind == ini.Section && line.Section != "" {
			return true
		}
	}
	return false
}

func looksLikeJSONList(b []byte) bool {
	next := bytes.TrimLeft(b[1:], " \t\r\n")
	return len(next) > 0 && bytes.IndexByte([]byte("{[\"]"), next[0]) >= 0
}
