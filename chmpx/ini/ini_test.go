package ini

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

func lines(text string) []Line { return slices.Collect(Lines([]byte(text))) }

func TestKinds(t *testing.T) {
	type short struct {
		Number  int
		Kind    Kind
		Reason  Reason
		Section string
		Key     string
		Value   string
	}
	const text = "early = 1\n\n# note\n[GLOBAL]\r\nGROUP = orders\n = 2\nMODE\nA = '\nB = x\\\n[other]\nC = 3\n  [SVRNODE]\t\nNAME=db\n[GLOBAL] # no header\n[SLVNODE]"
	want := []short{
		{1, Dropped, NoSection, "", "early", "1"},
		{2, Blank, 0, "", "", ""},
		{3, Comment, 0, "", "", ""},
		{4, Section, 0, Global, "GLOBAL", ""},
		{5, Pair, 0, Global, "GROUP", "orders"},
		{6, Dropped, NoKey, Global, "", "2"},
		{7, Pair, 0, Global, "MODE", ""},
		{8, Dropped, OpenQuote, Global, "A", ""},
		{9, Dropped, OpenBackslash, Global, "B", "x"},
		{10, Section, 0, "", "other", ""},
		{11, Dropped, UnknownSection, "", "C", "3"},
		{12, Section, 0, SvrNode, "SVRNODE", ""},
		{13, Pair, 0, SvrNode, "NAME", "db"},
		{14, Pair, 0, SvrNode, "[GLOBAL]", ""},
		{15, Section, 0, SlvNode, "SLVNODE", ""},
	}
	var got []short
	for _, l := range lines(text) {
		got = append(got, short{l.Number, l.Kind, l.Reason, l.Section, l.Key, l.Value})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestUnquote: the value, and which bytes of the line it stands in.
func TestUnquote(t *testing.T) {
	for _, c := range []struct{ line, value, raw string }{
		{"K = v", "v", "v"},
		{"K=v", "v", "v"},
		{"K\t=\t v \t\r", "v", "v"},
		{"K = a b", "a b", "a b"},
		{"K = a=b", "a=b", "a=b"},
		{"K = v # c", "v", "v"},
		{"K = v\t# c", "v", "v"},
		{"K = v\f# c", "v\f", "v\f"}, // blank enough for a comment, not for trimming
		{"K = v#c", "v#c", "v#c"},
		{"K = #v", "#v", "#v"},
		{"K = # v", "# v", "# v"},
		{"K = # v # c", "# v", "# v"},
		{`K = "v"`, "v", `"v"`},
		{`K = 'v'`, "v", `'v'`},
		{`K = "v" # c`, "v", `"v"`},
		{`K = "v"# c`, "v# c", `"v"# c`},
		{`K = v "w"# c`, "v w", `v "w"`},
		{`K = "v # c"`, "v # c", `"v # c"`},
		{`K = 'v "w"'`, `v "w"`, `'v "w"'`},
		{`K = "v 'w'"`, `v 'w'`, `"v 'w'"`},
		{`K = a"b"'c'd`, "abcd", `a"b"'c'd`},
		{`K = "  v  "`, "v", `"  v  "`},
		{`K = ""`, "", `""`},
		{`K = "" # c`, "", `""`},
		{`K = "a\"b\\c\d"`, `a"b\c\d`, `"a\"b\\c\d"`},
		{`K = 'a\'`, `a\`, `'a\'`},
		{`K = a\"b\'c\\d\e`, `a"b'c\de`, `a\"b\'c\\d\e`},
		{`K = a \ b`, "a  b", `a \ b`},
		{`K = a\#"b c`, `a#"b c`, `a\#"b c`}, // the backslash waits for the quote
		{"K = v\x00w", "v", "v"},
		{"K = \x00", "", ""},
		{`"K" = v`, "v", "v"},
		{`'K' # c = v`, "v", "v"}, // the comment is within the key
		{"K = 10.9.0.5", "10.9.0.5", "10.9.0.5"},
		{"K = \u00a0v", "\u00a0v", "\u00a0v"},
	} {
		for _, end := range []string{"", "\n", "\r\n", " \t\r\n", "\nNEXT = 1\n"} {
			text := "[GLOBAL]\n  " + c.line + end
			l := lines(text)[1]
			if l.Kind != Pair || l.Key != "K" || l.Value != c.value || l.NoEquals {
				t.Errorf("%q: %v %q = %q, want value %q", c.line, l.Kind, l.Key, l.Value, c.value)
			}
			if raw := text[l.ValueStart:l.ValueEnd]; raw != c.raw {
				t.Errorf("%q: raw value %q, want %q", c.line, raw, c.raw)
			}
		}
	}
}

func TestStopsWhenToldTo(t *testing.T) {
	n := 0
	for range Lines([]byte("a\nb\nc\n")) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d lines", n)
	}
}

func TestEndsOfText(t *testing.T) {
	for text, want := range map[string]int{"": 0, "\n": 1, "\n\n": 2, "a": 1, "a\n": 1, "a\n\n": 2, "\r": 1} {
		if got := len(lines(text)); got != want {
			t.Errorf("%q: %d lines, want %d", text, got, want)
		}
	}
}

// FuzzLines: whatever the bytes are, the lines tile them, and the offsets point
// at what was read.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "[GLOBAL]\nA = 'b' # c\r\n", "[SVRNODE]\nNAME = \"x\\\"y\"\nB=\\", "K\x00=\x00v", "[a] = [b]\n#\n=\n"} {
		f.Add([]byte(s))
	}
	cases, err := filepath.Glob("../testdata/judge/*.txt")
	if err != nil || len(cases) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range cases {
		b, err := os.ReadFile(name)
		fatal.If(f, err)
		for one := range strings.SplitSeq(string(b), "\n== ") {
			if _, body, ok := strings.Cut(one, ">>>\n"); ok {
				f.Add([]byte(body))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkLines(t, b) })
}

func checkLines(t *testing.T, b []byte) {
	number, last, section := 0, 0, ""
	for l := range Lines(b) {
		number++
		if l.Number != number {
			t.Fatalf("line %d is numbered %d", number, l.Number)
		}
		if l.Start < last || l.End < l.Start || l.End > len(b) {
			t.Fatalf("line %d at %d to %d after %d", number, l.Start, l.End, last)
		}
		if strings.Trim(string(b[last:l.Start]), " \t\r\n") != "" {
			t.Fatalf("text in front of line %d is lost: %q", number, b[last:l.Start])
		}
		last = l.End
		if l.Kind == Section {
			section = l.Section
		}
		if l.Section != section {
			t.Fatalf("line %d is in %q, not %q", number, l.Section, section)
		}
		if (l.Kind == Dropped) != (l.Reason != NotDropped) {
			t.Fatalf("line %d: %v for %v", number, l.Kind, l.Reason)
		}
		if l.Kind == Pair {
			checkPair(t, b, l)
		}
	}
	if strings.Trim(string(b[last:]), " \t\r\n") != "" {
		t.Fatalf("text at the end is lost: %q", b[last:])
	}
}

func checkPair(t *testing.T, b []byte, l Line) {
	if l.Key == "" || l.Key != strings.Trim(l.Key, " \t\r\n") || l.Value != strings.Trim(l.Value, " \t\r\n") {
		t.Fatalf("line %d: %q = %q is not trimmed", l.Number, l.Key, l.Value)
	}
	if l.ValueStart < l.Start || l.ValueEnd < l.ValueStart || l.ValueEnd > l.End {
		t.Fatalf("line %d: value at %d to %d", l.Number, l.ValueStart, l.ValueEnd)
	}
	raw := b[l.ValueStart:l.ValueEnd]
	if strings.Trim(string(raw), " \t\r\n") != string(raw) {
		t.Fatalf("line %d: raw value %q is not trimmed", l.Number, raw)
	}
	// Replacing the raw value replaces the value, and leaves the key.
	value := "7"
	if l.NoEquals {
		value = "=7"
	}
	if l.ValueEnd < l.End && b[l.ValueEnd] == '#' {
		value += " "
	}
	changed := slices.Concat([]byte("[GLOBAL]\n"), b[l.Start:l.ValueStart], []byte(value), b[l.ValueEnd:l.End])
	after := slices.Collect(Lines(changed))
	if len(after) != 2 {
		t.Fatalf("line %d: %q makes %d lines", l.Number, changed, len(after)-1)
	}
	if got := after[1]; got.Kind == Pair && (got.Key != l.Key || got.Value != "7") {
		t.Fatalf("line %d: %q reads %q = %q", l.Number, changed, got.Key, got.Value)
	} else if got.Kind != Pair && got.Kind != Section {
		t.Fatalf("line %d: %q is %v for %v", l.Number, changed, got.Kind, got.Reason)
	}
}
