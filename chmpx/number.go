package chmpx

import (
	"strconv"
	"strings"
)

// digits10 are the decimal digits.
const digits10 = "0123456789"

// atoi reads a number as chmpx does, with C's atoi on a 64-bit machine: blanks,
// sign, leading digits; the rest is ignored, no digits are 0, and what does not
// fit into 64 bits saturates before it is cut to 32.
func atoi(s string) int {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	if s != "" && (s[0] == '+' || s[0] == '-') {
		end = 1
	}
	end = len(s) - len(strings.TrimLeft(s[end:], digits10))
	n, _ := strconv.ParseInt(s[:end], 10, 64) // with an error too it is what it saturates at, or 0
	return int(int32(n))
}

// port reads a port as chmpx does: into a signed 16-bit number.
func port(s string) int { return int(int16(atoi(s))) }

// plainNumber reports whether s is a decimal number that atoi reads as written.
func plainNumber(s string) bool {
	_, err := strconv.ParseUint(strings.TrimPrefix(s, "-"), 10, 31)
	return err == nil && len(s) <= 10
}
