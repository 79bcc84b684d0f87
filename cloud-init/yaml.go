package cloudinit

import (
	"strconv"
	"strings"
)

// The YAML is written here, without a library: the smallest that is kept would make the program
// 130 KB larger, for two lists of texts of which none is read back.

// yamlText is a text as a value of YAML, a line end behind it. The lines of a literal block have an
// indent.
func yamlText(text, indent string) string {
	if !literal(text) {
		return strconv.Quote(text) + "\n" // Go's escapes mean the same in YAML
	}
	var b strings.Builder
	b.WriteString("|\n")
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString(indent)
		}
		b.WriteString(line)
	}
	return b.String()
}

// literal reports whether a text survives as a literal block: several lines, the
// first not indented, one line end at the end, and nothing invisible.
func literal(s string) bool {
	if strings.Count(s, "\n") < 2 || !strings.HasSuffix(s, "\n") || strings.HasSuffix(s, "\n\n") || s[0] == ' ' || s[0] == '\t' || s[0] == '\n' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !strconv.IsPrint(r) })
}
