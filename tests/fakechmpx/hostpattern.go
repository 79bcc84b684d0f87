package fakechmpx

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxNames bounds what one NAME expands to, so that a hostile range does not
// take all memory. It is far above any MAXCHMPX.
const maxNames = 1 << 17

// expandNames expands chmpx's simple host pattern (B.5): names separated by
// commas, with bracketed choices and ranges inside.
func expandNames(pattern string) ([]string, error) {
	if pattern == "" {
		return nil, errors.New("an empty host pattern")
	}
	parts, err := splitNames(pattern)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, part := range parts {
		more, err := expandName(trim(part))
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("host pattern %q names no host", pattern)
	}
	return names, nil
}

// splitNames cuts at the commas outside brackets.
func splitNames(pattern string) ([]string, error) {
	var parts []string
	inside, from := false, 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '[' && inside:
			return nil, fmt.Errorf("host pattern %q: bracket inside a bracket", pattern)
		case c == ']' && !inside:
			return nil, fmt.Errorf("host pattern %q: ] without [", pattern)
		case c == '[' || c == ']':
			inside = !inside
		case c == ',' && !inside:
			parts = append(parts, pattern[from:i])
			from = i + 1
		}
	}
	if inside {
		return nil, fmt.Errorf("host pattern %q: [ without ]", pattern)
	}
	if from < len(pattern) || from == 0 { // a comma at the end adds no name
		parts = append(parts, pattern[from:])
	}
	return parts, nil
}

// expandName expands the brackets of one name, the leftmost varying slowest.
func expandName(name string) ([]string, error) {
	head, rest, found := strings.Cut(name, "[")
	if !found {
		return []string{name}, nil
	}
	inside, tail, _ := strings.Cut(rest, "]")
	choices, err := expandChoices(inside)
	if err != nil {
		return nil, err
	}
	tails, err := expandName(tail)
	if err != nil {
		return nil, err
	}
	if len(choices)*len(tails) > maxNames {
		return nil, fmt.Errorf("host pattern %q names more than %d hosts", name, maxNames)
	}
	names := make([]string, 0, len(choices)*len(tails))
	for _, choice := range choices {
		for _, t := range tails {
			names = append(names, head+choice+t)
		}
	}
	return names, nil
}

func expandChoices(inside string) ([]string, error) {
	if trim(inside) == "" {
		return nil, errors.New("host pattern: nothing between brackets")
	}
	var choices []string
	for _, element := range strings.Split(inside, ",") {
		element = trim(element)
		if element == "" {
			continue
		}
		from, to, isRange := strings.Cut(element, "-")
		if !isRange {
			choices = append(choices, element)
			continue
		}
		more, err := expandRange(trim(from), trim(to))
		if err != nil {
			return nil, fmt.Errorf("host pattern [%s]: %w", inside, err)
		}
		choices = append(choices, more...)
	}
	return choices, nil
}

func expandRange(from, to string) ([]string, error) {
	if lo, hi, ok := numbers(from, to); ok {
		if lo > hi || hi-lo >= maxNames {
			return nil, fmt.Errorf("range %s-%s does not ascend, or is too long", from, to)
		}
		var out []string
		for n := lo; n <= hi; n++ {
			out = append(out, strconv.Itoa(n))
		}
		return out, nil
	}
	if len(from) != 1 || len(to) != 1 || !sameCase(from[0], to[0]) || from[0] > to[0] {
		return nil, fmt.Errorf("%s-%s is not a range", from, to)
	}
	var out []string
	for c := from[0]; c <= to[0]; c++ {
		out = append(out, string(rune(c)))
	}
	return out, nil
}

func numbers(from, to string) (lo, hi int, ok bool) {
	if !digits(from) || !digits(to) {
		return 0, 0, false
	}
	return number(from), number(to), true
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func sameCase(a, b byte) bool {
	lower := func(c byte) bool { return 'a' <= c && c <= 'z' }
	upper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	return lower(a) && lower(b) || upper(a) && upper(b)
}
