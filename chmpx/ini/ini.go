package ini

import (
	"iter"
	"strings"
)

// The sections chmpx knows, as they appear in Line.Section.
const (
	Global  = "GLOBAL"
	SvrNode = "SVRNODE"
	SlvNode = "SLVNODE"
)

// Kind is what a line is to chmpx.
type Kind uint8

const (
	// Blank is an empty line, or one of blanks.
	Blank Kind = iota
	// Comment is a line whose first character is #.
	Comment
	// Section is a header, of a known section or of an unknown one.
	Section
	// Pair is a key with its value, in a known section.
	Pair
	// Dropped is a line that chmpx ignores; Line.Reason says why.
	Dropped
)

// Reason says why a line was dropped.
type Reason uint8

const (
	// NotDropped is the reason of every line that is not Dropped.
	NotDropped Reason = iota
	// NoSection is a line before the first header.
	NoSection
	// UnknownSection is a line below a header chmpx does not know.
	UnknownSection
	// OpenQuote is a line with a quote that is not closed.
	OpenQuote
	// OpenBackslash is a line whose key or value ends in a backslash that
	// escapes nothing.
	OpenBackslash
	// NoKey is a line with nothing before its =.
	NoKey
)

var reasons = [...]string{
	NotDropped:     "",
	NoSection:      "it comes before the first section header",
	UnknownSection: "it is in a section that chmpx does not know",
	OpenQuote:      "it has a quote that is not closed",
	OpenBackslash:  "it ends in a backslash",
	NoKey:          "it has no key before the =",
}

func (r Reason) String() string { return reasons[r] }

// Line is one line of the input as chmpx reads it.
type Line struct {
	// Number counts from 1.
	Number int
	Kind   Kind
	// Reason is set for Dropped lines.
	Reason Reason
	// Section is the section the line belongs to, and for a header the one it
	// opens: Global, SvrNode, SlvNode, or "" outside all of them.
	Section string
	// Key and Value are unquoted and trimmed. For a header, Key is the text
	// between the brackets. Lines dropped for NoSection or UnknownSection have key
	// and value too, if there are any, for better messages.
	Key, Value string
	// Start and End are the byte offsets of the trimmed line.
	Start, End int
	// ValueStart and ValueEnd are the byte offsets of the raw value: quotes
	// included, surrounding blanks and a trailing comment excluded. For an empty
	// value both are the place where one would go. If the byte at ValueEnd is a #,
	// a comment follows without a blank, which it can only do after a quote: a new
	// value needs a blank after it then.
	ValueStart, ValueEnd int
	// NoEquals is set for a key without =, which to chmpx is a key with an empty
	// value. A value that is put at ValueStart needs an = before it then.
	NoEquals bool
}

// Lines yields every line of b in order. It takes time in proportion to
// len(b), and holds one copy of b, of which keys and values are slices if nothing
// had to be unquoted; it does not keep b.
func Lines(b []byte) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		s := string(b)
		section, opened := "", false
		number, pos := 0, 0
		for line := range strings.Lines(s) {
			number++
			l := Line{Number: number, Section: section}
			l.Start, l.End = trim(s, pos, pos+len(strings.TrimSuffix(line, "\n")))
			pos += len(line)
			l.ValueStart, l.ValueEnd = l.End, l.End
			text := s[l.Start:l.End]
			switch {
			case text == "":
				l.Kind = Blank
			case text[0] == '#':
				l.Kind = Comment
			case text[0] == '[' && text[len(text)-1] == ']':
				l.Kind, l.Key = Section, text[1:len(text)-1]
				section, opened = known(l.Key), true
				l.Section = section
			default:
				pair(s, &l)
				if !opened {
					l.Kind, l.Reason = Dropped, NoSection
				} else if section == "" {
					l.Kind, l.Reason = Dropped, UnknownSection
				}
			}
			if !yield(l) {
				return
			}
		}
	}
}

// known returns a section if chmpx knows it, else "".
func known(section string) string {
	switch section {
	case Global, SvrNode, SlvNode:
		return section
	}
	return ""
}

// pair splits the line at its first = and fills in kind, key and value.
func pair(s string, l *Line) {
	key, value := part{l.Start, l.End}, part{l.End, l.End}
	if i := strings.IndexByte(s[l.Start:l.End], '='); i >= 0 {
		key.end = l.Start + i
		value.start = key.end + 1
		if trimmed := value.trim(s); trimmed.start < trimmed.end {
			value = trimmed
		} else {
			value.end = value.start
		}
	} else {
		l.NoEquals = true
	}
	key = key.trim(s)

	// chmpx unquotes the value first; whichever fails drops the line.
	v, vraw, reason := unquote(s, value)
	k, kraw, kreason := unquote(s, key)
	if reason == NotDropped {
		reason = kreason
	}
	if l.NoEquals {
		vraw = part{kraw.end, kraw.end}
	}
	l.Key, l.Value = k, v
	l.ValueStart, l.ValueEnd = vraw.start, vraw.end
	l.Kind = Pair
	if reason == NotDropped && k == "" {
		reason = NoKey
	}
	if reason != NotDropped {
		l.Kind, l.Reason = Dropped, reason
	}
}

// part is a piece of the input, by byte offsets.
type part struct{ start, end int }

func (p part) trim(s string) part {
	p.start, p.end = trim(s, p.start, p.end)
	return p
}

// trim cuts blank, TAB, CR and LF from both ends of s[start:end].
func trim(s string, start, end int) (int, int) {
	for start < end && isBlank(s[start]) {
		start++
	}
	for start < end && isBlank(s[end-1]) {
		end--
	}
	return start, end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// isSpace is C's isspace: what counts as blank before an inline comment.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// unquote returns the text of p without quotes, escapes and inline comment,
// and the part of the input it was read from.
func unquote(s string, p part) (string, part, Reason) {
	if strings.ContainsAny(s[p.start:p.end], "\x00\"'#\\") {
		return unquoteSlow(s, p)
	}
	return s[p.start:p.end], p, NotDropped
}

func unquoteSlow(s string, p part) (string, part, Reason) {
	text := gatherer{s: s}
	var quote byte // the open quote, or 0
	escape, space := false, false
	i := p.start
scan:
	for ; i < p.end; i++ {
		c := s[i]
		if c == 0 {
			break
		}
		switch {
		case quote == '\'':
			if c == '\'' {
				quote = 0
			} else {
				text.add(i)
			}
		case quote == '"':
			switch {
			case c == '"' && !escape:
				quote = 0
			case c == '\\' && !escape:
				escape = true
			default:
				if escape && c != '"' && c != '\\' {
					text.add(i - 1) // the backslash stays
				}
				text.add(i)
				escape = false
			}
		case c == '"' || c == '\'':
			if escape {
				text.add(i)
				escape = false
			} else {
				quote = c
			}
		case c == '#':
			if space {
				break scan
			}
			text.add(i)
		case c == '\\':
			if escape {
				text.add(i)
			}
			escape = !escape
		default:
			text.add(i)
			space = isSpace(c)
			escape = false
		}
	}
	p.end = i
	p = p.trim(s)
	out := strings.Trim(text.String(), " \t\r\n")
	switch {
	case quote != 0:
		return out, p, OpenQuote
	case escape:
		return out, p, OpenBackslash
	}
	return out, p, NotDropped
}

// gatherer joins the bytes of s that remain after unquoting. As long as they are
// neighbours, as in a plain "quoted value" or before a comment, it allocates
// nothing.
type gatherer struct {
	s          string
	start, end int
	buf        []byte
}

func (g *gatherer) add(i int) {
	switch {
	case g.buf != nil:
		g.buf = append(g.buf, g.s[i])
	case g.start == g.end:
		g.start, g.end = i, i+1
	case g.end == i:
		g.end++
	default:
		g.buf = append(append(g.buf, g.s[g.start:g.end]...), g.s[i])
	}
}

func (g *gatherer) String() string {
	if g.buf != nil {
		return string(g.buf)
	}
	return g.s[g.start:g.end]
}
