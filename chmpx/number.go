package chmpx

// atoi reads a number as chmpx does, with C's atoi on a 64-bit machine: blanks,
// sign, leading digits; the rest is ignored, no digits are 0, and what does not
// fit into 64 bits saturates before it is cut to 32.
func atoi(s string) int {
	i := 0
	for i < len(s) && (s[i] == ' ' || '\t' <= s[i] && s[i] <= '\r') {
		i++
	}
	negative := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		negative = s[i] == '-'
		i++
	}
	const limit = 1 << 63
	n := uint64(0)
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		if n > limit/10 {
			n = limit
			break
		}
		n = n*10 + uint64(s[i]-'0')
	}
	if negative {
		return int(int32(-int64(min(n, limit))))
	}
	return int(int32(min(n, limit-1)))
}

// port reads a port as chmpx does: into a signed 16-bit number.
func port(s string) int { return int(int16(atoi(s))) }

// plainNumber reports whether s is a decimal number that atoi reads as written.
func plainNumber(s string) bool {
	if s == "" || len(s) > 10 {
		return false
	}
	digits := s
	if s[0] == '-' {
		digits = s[1:]
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	if digits == "" {
		return false
	}
	n := int64(0)
	for i := range len(digits) {
		n = n*10 + int64(digits[i]-'0')
	}
	return n <= 1<<31-1
}
