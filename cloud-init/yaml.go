package cloudinit

import (
	"fmt"
	"strconv"
	"strings"
)

// The YAML is written here, without a library: the smallest that is kept would make
// the program 130 KB larger, for four kinds of values of which none is read back.

// mapping and sequence are YAML collections in block style. They may contain each
// other, strings and booleans.
type (
	mapping  []entry
	sequence []any
	entry    struct {
		key   string // a plain word
		value any
	}
)

// writeYAML writes a collection, each line indented.
func writeYAML(b *strings.Builder, indent string, value any) {
	switch v := value.(type) {
	case mapping:
		for _, e := range v {
			b.WriteString(indent + e.key + ":")
			writeValue(b, indent, e.value)
		}
	case sequence:
		for _, item := range v {
			writeItem(b, indent, item)
		}
	default:
		panic(fmt.Sprintf("no YAML collection: %T", value))
	}
}

// step is how much deeper a collection in a collection is indented.
const step = "  "

// writeItem writes an item of a sequence. A collection begins on the dash's line.
func writeItem(b *strings.Builder, indent string, value any) {
	switch value.(type) {
	case mapping, sequence:
		var inner strings.Builder
		writeYAML(&inner, indent+step, value)
		b.WriteString(indent + "- " + strings.TrimPrefix(inner.String(), indent+step))
	default:
		b.WriteString(indent + "-")
		writeValue(b, indent, value)
	}
}

// writeValue writes what follows the colon or dash of a line with an indent.
func writeValue(b *strings.Builder, indent string, value any) {
	switch v := value.(type) {
	case bool:
		b.WriteString(" " + strconv.FormatBool(v) + "\n")
	case string:
		if literal(v) {
			b.WriteString(" |\n")
			for line := range strings.Lines(v) {
				if line == "\n" {
					b.WriteString(line)
					continue
				}
				b.WriteString(indent + step + line)
			}
			return
		}
		b.WriteString(" " + strconv.Quote(v) + "\n") // Go's escapes mean the same in YAML
	default:
		b.WriteString("\n")
		writeYAML(b, indent+step, v)
	}
}

// literal reports whether a text survives as a literal block: several lines, the
// first not indented, one line end at the end, and nothing invisible.
func literal(s string) bool {
	if strings.Count(s, "\n") < 2 || !strings.HasSuffix(s, "\n") || strings.HasSuffix(s, "\n\n") || s[0] == ' ' || s[0] == '\t' || s[0] == '\n' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !strconv.IsPrint(r) })
}
