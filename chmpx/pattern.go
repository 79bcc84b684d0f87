package chmpx

import (
	"errors"
	"strconv"
	"strings"
)

// maxNodes bounds how many server nodes one file may expand to here. chmpx has
// room for 32768 nodes at most.
const maxNodes = 32768

// absurdNodes is the number of nodes above which chmpx would not finish the load
// in any useful time and memory: it keeps about 1 KB for each, and looks up every
// one of them in the DNS, one after the other.
const absurdNodes = 1 << 20

var (
	errPatternEmpty    = errors.New("it is empty")
	errPatternOpen     = errors.New("a [ is not closed")
	errPatternStray    = errors.New("a ] has no [ before it")
	errPatternNothing  = errors.New("there is nothing between [ and ]")
	errPatternNested   = errors.New("there is a [ within [ ]")
	errPatternRange    = errors.New("a range needs two numbers, or two letters of the same case, in ascending order")
	errPatternNoResult = errors.New("it expands to no name")
)

// expandName expands a simple host pattern (docs/chmpx.md B.5): brackets with
// lists and ranges, and a comma list of names at the top. It returns at most limit
// names, and how many there are in all (which may be far more, and saturates).
func expandName(name string, limit int) (names []string, total int, err error) {
	if name == "" {
		return nil, 0, errPatternEmpty
	}
	if !strings.ContainsAny(name, "[],") {
		if limit < 1 {
			return nil, 1, nil
		}
		return []string{trimBlank(name)}, 1, nil
	}
	for _, one := range splitNames(name) {
		p, err := parsePattern(trimBlank(one))
		if err != nil {
			return nil, 0, err
		}
		total = min(total+p.count(), 1<<40)
		names = p.expand(names, limit, "", 0)
	}
	if total == 0 {
		return nil, 0, errPatternNoResult
	}
	return names, total, nil
}

// splitNames splits at the commas that are not within brackets. An empty name
// at the very end does not count, others do.
func splitNames(s string) []string {
	var names []string
	start := 0
	for i := 0; i < len(s); {
		switch s[i] {
		case ',':
			names = append(names, s[start:i])
			i++
			start = i
		case '[':
			end := strings.IndexByte(s[i:], ']')
			if end < 0 {
				return append(names, s[start:]) // the pattern is broken anyway
			}
			i += end + 1
		default:
			i++
		}
	}
	if start < len(s) {
		names = append(names, s[start:])
	}
	return names
}

// pattern is literal text with brackets between: text[0], brackets[0], text[1], and so on.
type pattern struct {
	text     []string
	brackets [][]choice
}

// choice is a literal, or a range of numbers or of letters.
type choice struct {
	literal string
	lo, hi  int // numbers, if literal is "" and letter is not set
	letter  bool
}

func (c choice) count() int {
	if c.literal != "" {
		return 1
	}
	return c.hi - c.lo + 1
}

func (c choice) at(i int) string {
	switch {
	case c.literal != "":
		return c.literal
	case c.letter:
		return string(rune(c.lo + i))
	}
	return strconv.Itoa(c.lo + i)
}

func parsePattern(s string) (pattern, error) {
	var p pattern
	for {
		open, shut := strings.IndexByte(s, '['), strings.IndexByte(s, ']')
		if open < 0 {
			if shut >= 0 {
				return p, errPatternStray
			}
			p.text = append(p.text, s)
			return p, nil
		}
		switch {
		case shut < 0:
			return p, errPatternOpen
		case shut < open:
			return p, errPatternStray
		}
		choices, err := parseBracket(trimBlank(s[open+1 : shut]))
		if err != nil {
			return p, err
		}
		p.text = append(p.text, s[:open])
		p.brackets = append(p.brackets, choices)
		if len(choices) == 0 {
			return p, nil // [,] expands to nothing, and chmpx reads no further
		}
		s = s[shut+1:]
	}
}

func parseBracket(s string) ([]choice, error) {
	if s == "" {
		return nil, errPatternNothing
	}
	if strings.IndexByte(s, '[') >= 0 {
		return nil, errPatternNested
	}
	var choices []choice
	for one := range strings.SplitSeq(s, ",") {
		one = trimBlank(one)
		if one == "" {
			continue
		}
		from, to, isRange := strings.Cut(one, "-")
		if !isRange {
			choices = append(choices, choice{literal: one})
			continue
		}
		c, ok := parseRange(trimBlank(from), trimBlank(to))
		if !ok {
			return nil, errPatternRange
		}
		choices = append(choices, c)
	}
	return choices, nil
}

func parseRange(from, to string) (choice, bool) {
	if isDigits(from) && isDigits(to) {
		lo, hi := atoi(from), atoi(to)
		return choice{lo: lo, hi: hi}, lo <= hi
	}
	if len(from) != 1 || len(to) != 1 || from > to {
		return choice{}, false
	}
	lower := 'a' <= from[0] && to[0] <= 'z'
	upper := 'A' <= from[0] && to[0] <= 'Z'
	return choice{lo: int(from[0]), hi: int(to[0]), letter: true}, lower || upper
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, digits10) == "" }

// count is how many names the pattern expands to, saturating.
func (p pattern) count() int {
	n := 1
	for _, choices := range p.brackets {
		sum := 0
		for _, c := range choices {
			sum += c.count()
		}
		n = min(n*min(sum, 1<<31), 1<<31)
	}
	return n
}

// expand appends the names that begin with prefix and go on with text[i], until there are limit
// names.
func (p pattern) expand(names []string, limit int, prefix string, i int) []string {
	if len(names) >= limit {
		return names
	}
	prefix += p.text[i]
	if i == len(p.brackets) {
		return append(names, prefix)
	}
	for _, c := range p.brackets[i] {
		for k := 0; k < c.count() && len(names) < limit; k++ {
			names = p.expand(names, limit, prefix+c.at(k), i+1)
		}
	}
	return names
}

// trimBlank trims what chmpx trims.
func trimBlank(s string) string { return strings.Trim(s, " \t\r\n") }
