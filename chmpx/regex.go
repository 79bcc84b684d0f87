package chmpx

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// chmpx compiles NAME and CUK of a slave node with glibc's regcomp
// (REG_EXTENDED). Go's CompilePOSIX reads another dialect: it takes a{ for
// literal text where glibc refuses it, refuses a lone ) that glibc takes
// literally, gives \ a meaning within [ ], and knows neither \< nor \w. So the
// expression is translated, piece by piece, into one that Go's ordinary
// compiler reads the same way. It only matters whether an unanchored search finds
// something, not whether it is the leftmost and longest.
//
// What cannot be translated gives errRegexpBeyond: back references, equivalence
// classes, more than 1000 repetitions, expressions of more than 4096 bytes.
// Bytes beyond ASCII match as UTF-8, which differs from chmpx only for names that
// are not host names anyway.

var (
	// errRegexpRefused marks an expression that glibc refuses, so that it matches
	// nothing.
	errRegexpRefused = errors.New("glibc refuses the expression")
	// errRegexpBeyond marks an expression that glibc may well accept, but that
	// cannot be translated.
	errRegexpBeyond = errors.New("the expression cannot be judged here")
)

// maxRegexp is the longest expression that is translated.
const maxRegexp = 4096

// matchERE searches for expr in each of the texts. err is errRegexpRefused or
// errRegexpBeyond.
func matchERE(expr string, texts []string) (bool, error) {
	if plainERE(expr) {
		return slices.ContainsFunc(texts, func(s string) bool { return containsDots(s, expr) }), nil
	}
	re, err := compileERE(expr)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(texts, re.MatchString), nil
}

// plainERE reports an expression without any special character but the dot,
// which is what host names, addresses and CUKs are.
func plainERE(expr string) bool { return !strings.ContainsAny(expr, `[](){}*+?^$|\`) }

// containsDots is strings.Contains with . in expr standing for any byte.
func containsDots(s, expr string) bool {
	for i := 0; i+len(expr) <= len(s); i++ {
		k := 0
		for k < len(expr) && (expr[k] == '.' || expr[k] == s[i+k]) {
			k++
		}
		if k == len(expr) {
			return true
		}
	}
	return false
}

func compileERE(expr string) (*regexp.Regexp, error) {
	if len(expr) > maxRegexp {
		return nil, errRegexpBeyond
	}
	t := ereTranslator{in: expr}
	if err := t.translate(); err != nil {
		return nil, err
	}
	re, err := regexp.Compile("(?s)" + string(t.out))
	if err != nil {
		return nil, errRegexpBeyond
	}
	return re, nil
}

// ereTranslator turns a glibc extended expression into a Go one.
type ereTranslator struct {
	in    string
	pos   int
	out   []byte
	atom  int   // where the last atom begins in out; -1: nothing to repeat
	open  []int // where the open groups begin in out
	depth int
}

func (t *ereTranslator) translate() error {
	t.atom = -1
	for t.pos < len(t.in) {
		if err := t.step(); err != nil {
			return err
		}
	}
	if len(t.open) > 0 {
		return errRegexpRefused
	}
	return nil
}

func (t *ereTranslator) step() error {
	c := t.in[t.pos]
	t.pos++
	switch c {
	case '.':
		t.put(".")
	case '^':
		t.anchor(`\A`)
	case '$':
		t.anchor(`\z`)
	case '|':
		t.anchor("|")
	case '(':
		t.open = append(t.open, len(t.out))
		t.anchor("(?:")
	case ')':
		if len(t.open) == 0 {
			t.put(`\)`) // glibc takes it literally
			break
		}
		t.out = append(t.out, ')')
		t.atom = t.open[len(t.open)-1]
		t.open = t.open[:len(t.open)-1]
	case '*', '+', '?':
		return t.repeat(string(c))
	case '{':
		return t.interval()
	case '[':
		return t.bracket()
	case '\\':
		return t.escape()
	default:
		t.literal(t.pos - 1)
	}
	return nil
}

// literal translates one character that means itself.
func (t *ereTranslator) literal(start int) {
	for t.pos < len(t.in) && t.in[t.pos]&0xc0 == 0x80 {
		t.pos++ // the rest of a UTF-8 sequence
	}
	t.put(regexp.QuoteMeta(t.in[start:t.pos]))
}

// put appends something that can be repeated.
func (t *ereTranslator) put(s string) {
	t.atom = len(t.out)
	t.out = append(t.out, s...)
}

// anchor appends something that cannot be repeated.
func (t *ereTranslator) anchor(s string) {
	t.atom = -1
	t.out = append(t.out, s...)
}

func (t *ereTranslator) repeat(op string) error {
	if t.atom < 0 {
		return errRegexpRefused
	}
	if t.depth++; t.depth > 256 {
		return errRegexpBeyond
	}
	atom := string(t.out[t.atom:])
	t.out = append(t.out[:t.atom], "(?:"+atom+op+")"...)
	return nil
}

// interval reads {n}, {n,}, {,m}, {n,m} and {,}. glibc refuses anything else.
func (t *ereTranslator) interval() error {
	body, rest, found := strings.Cut(t.in[t.pos:], "}")
	from, to, comma := strings.Cut(body, ",")
	if !found || !isDigits(from) && (from != "" || !comma) || to != "" && !isDigits(to) {
		return errRegexpRefused
	}
	t.pos = len(t.in) - len(rest)
	lo, hi := 0, -1
	if from != "" {
		lo = atoi(from)
	}
	switch {
	case !comma:
		hi = lo
	case to != "":
		hi = atoi(to)
	}
	switch {
	case hi >= 0 && hi < lo, lo > 32767, hi > 32767, len(from) > 6, len(to) > 6:
		return errRegexpRefused
	case lo > 1000, hi > 1000:
		return errRegexpBeyond
	}
	op := "{" + strconv.Itoa(lo) + ","
	if hi >= 0 {
		op += strconv.Itoa(hi)
	}
	return t.repeat(op + "}")
}

// escape reads \ and what follows, with glibc's extensions.
func (t *ereTranslator) escape() error {
	if t.pos == len(t.in) {
		return errRegexpRefused
	}
	c := t.in[t.pos]
	t.pos++
	switch c {
	case 'w':
		t.put(`[0-9A-Za-z_]`)
	case 'W':
		t.put(`[^0-9A-Za-z_]`)
	case 's':
		t.put(`[ \t-\r]`)
	case 'S':
		t.put(`[^ \t-\r]`)
	case 'b':
		t.anchor(`\b`)
	case 'B':
		t.anchor(`\B`)
	case '`':
		t.anchor(`\A`)
	case '\'':
		t.anchor(`\z`)
	case '<', '>', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return errRegexpBeyond
	default:
		t.literal(t.pos - 1)
	}
	return nil
}

var posixClasses = map[string]string{
	"alpha": "A-Za-z", "digit": "0-9", "alnum": "0-9A-Za-z", "upper": "A-Z", "lower": "a-z",
	"space": ` \t-\r`, "blank": ` \t`, "punct": `!-/:-@\[-` + "`" + `{-~`, "print": ` -~`,
	"graph": `!-~`, "cntrl": `\x00-\x1f\x7f`, "xdigit": "0-9A-Fa-f",
}

// bracket reads [ ]: a backslash does not escape there, and ] is literal in the
// first place.
func (t *ereTranslator) bracket() error {
	out := []byte("[")
	if t.pos < len(t.in) && t.in[t.pos] == '^' {
		t.pos++
		out = append(out, '^')
	}
	for first := true; ; first = false {
		if t.pos >= len(t.in) {
			return errRegexpRefused
		}
		if t.in[t.pos] == ']' && !first {
			t.pos++
			break
		}
		if class, ok, err := t.class(); err != nil {
			return err
		} else if ok {
			out = append(out, class...)
			continue
		}
		lo := t.in[t.pos]
		t.pos++
		hi := lo
		if t.pos+1 < len(t.in) && t.in[t.pos] == '-' && t.in[t.pos+1] != ']' {
			if t.in[t.pos+1] == '[' && t.pos+2 < len(t.in) && strings.IndexByte(".=:", t.in[t.pos+2]) >= 0 {
				return errRegexpBeyond
			}
			hi = t.in[t.pos+1]
			t.pos += 2
			if hi < lo {
				return errRegexpRefused
			}
		} else if lo == '-' && !first && t.pos < len(t.in) && t.in[t.pos] != ']' {
			return errRegexpRefused
		}
		if lo >= 0x80 || hi >= 0x80 {
			return errRegexpBeyond
		}
		out = fmt.Appendf(out, `\x%02x-\x%02x`, lo, hi)
	}
	t.put(string(append(out, ']')))
	return nil
}

// class reads [:name:] within a bracket; [. .] and [= =] are not translated.
func (t *ereTranslator) class() (string, bool, error) {
	rest := t.in[t.pos:]
	if len(rest) < 2 || rest[0] != '[' {
		return "", false, nil
	}
	switch rest[1] {
	case '.', '=':
		return "", false, errRegexpBeyond
	case ':':
		name, _, found := strings.Cut(rest[2:], ":]")
		if !found {
			return "", false, errRegexpRefused
		}
		class, known := posixClasses[name]
		if !known {
			return "", false, errRegexpRefused
		}
		t.pos += len(name) + 4
		return class, true, nil
	}
	return "", false, nil
}
