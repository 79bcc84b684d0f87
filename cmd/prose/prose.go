// Package prose has words for people: texts that anybody may have written, made harmless to a
// terminal and broken into lines, and numbers of things.
package prose

import (
	"fmt"
	"strings"
	"unicode"
)

// Plain makes a text fit to be shown on one line: nothing in it moves the cursor, colours what
// follows, or turns the direction.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// Count is a number of things: "1 server", "3 servers".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Wrap breaks a text into lines of at most width runes, between words where it can; width 0: one
// line.
func Wrap(text string, width int) []string {
	runes := []rune(text)
	if width <= 0 || len(runes) <= width {
		return []string{text}
	}
	var lines []string
	for len(runes) > width {
		at := width
		for at > 0 && runes[at] != ' ' {
			at--
		}
		if runes[at] != ' ' {
			at = width
		}
		lines = append(lines, strings.TrimRight(string(runes[:at]), " "))
		runes = runes[at:]
		for len(runes) > 0 && runes[0] == ' ' {
			runes = runes[1:]
		}
	}
	if len(runes) > 0 {
		lines = append(lines, string(runes))
	}
	return lines
}
