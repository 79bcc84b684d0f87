package bugreport

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Masks replace addresses, names and CUKs, the same by the same throughout a report.
type Masks struct {
	words  []string // longest first
	masked map[string]string
	counts map[string]int
}

// NewMasks masks these names and CUKs, and every address that is met.
func NewMasks(names, cuks []string) *Masks {
	m := &Masks{masked: map[string]string{}, counts: map[string]int{}}
	for _, list := range []struct {
		kind  string
		words []string
	}{{"cuk", cuks}, {"name", names}} {
		for _, word := range list.words {
			if _, err := netip.ParseAddr(word); err == nil || word == "" || word == "localhost" || m.masked[word] != "" {
				continue
			}
			m.words = append(m.words, word)
			m.mask(list.kind, word)
		}
	}
	slices.SortStableFunc(m.words, func(a, b string) int { return len(b) - len(a) })
	return m
}

func (m *Masks) mask(kind, word string) string {
	if known, ok := m.masked[word]; ok {
		return known
	}
	m.counts[kind]++
	m.masked[word] = fmt.Sprintf("%s-%d", kind, m.counts[kind])
	return m.masked[word]
}

// address is what may be one; netip decides.
var address = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}`)

// Apply masks a text.
func (m *Masks) Apply(text string) string {
	for _, word := range m.words {
		text = replaceWord(text, word, m.masked[word])
	}
	return address.ReplaceAllStringFunc(text, func(s string) string {
		a, err := netip.ParseAddr(s)
		if err != nil || a.IsLoopback() || a.IsUnspecified() || len(s) < 4 {
			return s
		}
		return m.mask("address", a.String())
	})
}

// replaceWord replaces a word where no letter or digit is right before or behind it.
func replaceWord(text, word, with string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, word)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(word)
		b.WriteString(text[:i])
		if i > 0 && letter(text[i-1]) || end < len(text) && letter(text[end]) {
			b.WriteString(word)
		} else {
			b.WriteString(with)
		}
		text = text[end:]
	}
}

func letter(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
