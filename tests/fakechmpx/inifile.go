package fakechmpx

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// keys holds one section's values. A key that is present with an empty value
// differs from one that is absent.
type keys map[string]string

func (k keys) has(name string) bool {
	_, ok := k[name]
	return ok
}

// document is a file after the line grammar: GLOBAL sections merged, one entry
// for each node block in file order.
type document struct {
	global  keys
	servers []keys
	slaves  []keys
}

// parse applies the line grammar (A.2 to A.5). It cannot fail: what is not
// understood is dropped, as chmpx does.
func parse(b []byte) document {
	doc := document{global: keys{}}
	var section keys // nil: outside any known section
	for len(b) > 0 {
		var raw []byte
		raw, b, _ = bytes.Cut(b, []byte{'\n'})
		line := trim(string(raw))
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = doc.open(line)
		case section != nil:
			if key, value, ok := keyValue(line); ok {
				section[key] = value
			}
		}
	}
	doc.servers = joinNodes(doc.servers)
	doc.slaves = joinNodes(doc.slaves)
	return doc
}

// open returns the values the lines after header go to; nil skips them.
func (d *document) open(header string) keys {
	switch header {
	case "[GLOBAL]":
		return d.global
	case "[SVRNODE]":
		d.servers = append(d.servers, keys{})
		return d.servers[len(d.servers)-1]
	case "[SLVNODE]":
		d.slaves = append(d.slaves, keys{})
		return d.slaves[len(d.slaves)-1]
	}
	return nil
}

// joinNodes drops blocks without NAME and lays blocks of equal NAME and CTLPORT
// text over each other (A.3). chmpx keeps them in the order of those texts.
func joinNodes(blocks []keys) []keys {
	type identity struct {
		name, port string
		hasPort    bool
	}
	var nodes []keys
	at := map[identity]int{}
	for _, block := range blocks {
		if !block.has("NAME") {
			continue
		}
		id := identity{block["NAME"], block["CTLPORT"], block.has("CTLPORT")}
		i, known := at[id]
		if !known {
			at[id] = len(nodes)
			nodes = append(nodes, block)
			continue
		}
		for key, value := range block {
			nodes[i][key] = value
		}
	}
	slices.SortStableFunc(nodes, func(a, b keys) int {
		return cmp.Or(cmp.Compare(a["NAME"], b["NAME"]), cmp.Compare(a["CTLPORT"], b["CTLPORT"]))
	})
	return nodes
}

// keyValue splits a line at its first '='. ok is false for a line chmpx drops.
func keyValue(line string) (key, value string, ok bool) {
	left, right, _ := strings.Cut(line, "=")
	key, ok = unquote(untilNUL(trim(left)))
	if !ok || key == "" {
		return "", "", false
	}
	value, ok = unquote(untilNUL(trim(right)))
	return key, value, ok
}

// untilNUL is what C makes of s.
func untilNUL(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

// unquote resolves quotes, backslashes and an inline comment (A.4, A.5). ok is
// false for an unclosed quote or a dangling backslash.
func unquote(s string) (text string, ok bool) {
	var out strings.Builder
	blank := false // the nearest unquoted character before this one is a blank
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '#' && blank:
			return trim(out.String()), true
		case c == '\'' || c == '"':
			part, n, closed := quoted(s[i:])
			if !closed {
				return "", false
			}
			out.WriteString(part)
			i += n - 1
		case c == '\\':
			if i+1 == len(s) || blank && s[i+1] == '#' {
				return "", false // a comment is cut off before backslashes are looked at
			}
			if strings.IndexByte(`"'\`, s[i+1]) >= 0 {
				i++
				out.WriteByte(s[i])
				blank = false
			}
		default:
			out.WriteByte(c)
			blank = c == ' ' || c == '\t'
		}
	}
	return trim(out.String()), true
}

// quoted reads the quoted part s begins with; n is its length with the quotes.
func quoted(s string) (text string, n int, closed bool) {
	var out strings.Builder
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return out.String(), i + 1, true
		case c == '\\' && quote == '"' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			out.WriteByte(s[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", 0, false
}

// trim removes what chmpx takes for white space at the ends of a line.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// number reads s as C's atoi does.
func number(s string) int {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	const most = 1<<63 - 1
	n := 0
	for i := 0; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		digit := int(s[i] - '0')
		if n > (most-digit)/10 {
			n = most
			break
		}
		n = n*10 + digit
	}
	if negative {
		n = -n
	}
	return int(int32(n))
}

// noPort is chmpx's mark for a port that is not set.
const noPort = -1

// port reads a port the way chmpx keeps it: 16 bits with a sign (B.3).
func port(s string) int { return int(int16(number(s))) }

// boolean reads on, yes, off and no in any case.
func boolean(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "on", "yes":
		return true, true
	case "off", "no":
		return false, true
	}
	return false, false
}
