package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"k2hdkc-slave-agent/cmd/status"
)

// JSON is the document as an object, indented. It holds no character that a terminal would obey:
// what is not printable is written as JSON's \u escapes.
func JSON(d status.Document) ([]byte, error) {
	b, err := d.JSON()
	if err != nil {
		return nil, err
	}
	return escaped(b), nil
}

// JSONLine is JSON on one line.
func JSONLine(d status.Document) ([]byte, error) {
	b, err := JSON(d)
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, b); err != nil {
		return nil, err
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

// escaped escapes in a JSON text what is not printable and can only be within its strings.
func escaped(b []byte) []byte {
	odd := func(r rune) bool { return r == 0x7f || r >= utf8.RuneSelf && !unicode.IsPrint(r) }
	if bytes.IndexFunc(b, odd) < 0 {
		return b
	}
	var out bytes.Buffer
	for _, r := range string(b) {
		switch {
		case !odd(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}
