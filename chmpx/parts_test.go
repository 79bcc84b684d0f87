package chmpx

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAtoi(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "x": 0, "12": 12, " 12": 12, "\v+12": 12, "-3x": -3, "16k": 16, "0x10": 0, "007": 7, "--1": 0, "+ 1": 0,
		"2147483647": 1<<31 - 1, "2147483648": -1 << 31, "4294967296": 0, "4294967297": 1,
		"9223372036854775807": -1, "9223372036854775808": -1, "99999999999999999999999": -1,
		"-9223372036854775807": 1, "-9223372036854775808": 0, "-99999999999999999999999": 0,
	} {
		if got := atoi(s); got != want {
			t.Errorf("atoi(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestPort(t *testing.T) {
	for s, want := range map[string]int{"8021": 8021, "32767": 32767, "32768": -32768, "65534": -2, "65535": Unset, "65536": 0, "73557": 8021, "-1": Unset} {
		if got := port(s); got != want {
			t.Errorf("port(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestExpandName(t *testing.T) {
	for _, c := range []struct {
		name string
		want string // joined by blanks
		err  error
	}{
		{"db-1", "db-1", nil},
		{" db-1 ", "db-1", nil},
		{"db-[1-3]", "db-1 db-2 db-3", nil},
		{"db-[01-03]", "db-1 db-2 db-3", nil},
		{"db-[9-11]", "db-9 db-10 db-11", nil},
		{"db-[a-c].x", "db-a.x db-b.x db-c.x", nil},
		{"[A-B][1,x y]", "A1 Ax y B1 Bx y", nil},
		{"db-[ 1 - 2 , 7 ]", "db-1 db-2 db-7", nil},
		{"a,b , c[1,2]", "a b c1 c2", nil},
		{"[5-5]", "5", nil},
		{"a,", "a", nil},
		{"", "", errPatternEmpty},
		{"db-[", "", errPatternOpen},
		{"db-[1", "", errPatternOpen},
		{"a,b]", "", errPatternStray},
		{"]a[", "", errPatternStray},
		{"[]", "", errPatternNothing},
		{"[ ]", "", errPatternNothing},
		{"[[1]", "", errPatternNested},
		{"[2-1]", "", errPatternRange},
		{"[b-a]", "", errPatternRange},
		{"[a-B]", "", errPatternRange},
		{"[1-b]", "", errPatternRange},
		{"[1-]", "", errPatternRange},
		{"[-]", "", errPatternRange},
		{"[1-2-3]", "", errPatternRange},
		{"[10a-12]", "", errPatternRange},
		{"[,]", "", errPatternNoResult},
	} {
		names, total, err := expandName(c.name, 100)
		if got := strings.Join(names, " "); got != c.want || !errors.Is(err, c.err) || err == nil && total != len(names) {
			t.Errorf("%q: %q of %d, %v; want %q, %v", c.name, got, total, err, c.want, c.err)
		}
	}
}

func TestExpandNameIsBounded(t *testing.T) {
	for _, name := range []string{"[1-1000000000]", strings.Repeat("[0-9]", 6), strings.Repeat("[1-2147483647]", 50), strings.Repeat("x[1-99],", 500)} {
		names, total, err := expandName(name, 10)
		if len(names) != 10 || total < 10_000 || err != nil {
			t.Errorf("%.30q: %d names of %d, %v", name, len(names), total, err)
		}
	}
}

func TestHostPorts(t *testing.T) {
	list := "h1, h2:9, 10.0.0.1, 10.0.0.2:9, fd00::1, [fd00::2]:9, fd00::3#9, fd00::4 port 9, fd00::5p9, fe80::1%eth0, ::ffff:10.0.0.3, a_b-c.d:70000"
	want := []HostPort{{"h1", 80}, {"h2", 9}, {"10.0.0.1", 80}, {"10.0.0.2", 9}, {"fd00::1", 80}, {"fd00::2", 9}, {"fd00::3", 9},
		{"fd00::4", 9}, {"fd00::5", 9}, {"fe80::1", 80}, {"10.0.0.3", 80}, {"a_b-c.d", 4464}}
	got, skipped := hostPorts(list, 80)
	if diff := cmp.Diff(want, got); diff != "" || skipped != 0 {
		t.Errorf("%d skipped\n%s", skipped, diff)
	}
	got, skipped = hostPorts("!!,,h:,10.0.0.256,1.2.3,12345,h 80,[h]:80,ok", 80)
	if len(got) != 1 || got[0].Host != "ok" || skipped != 8 {
		t.Errorf("got %v, %d skipped", got, skipped)
	}
}

// TestExpressions: yes, no and error as glibc's regcomp and regexec have them.
func TestExpressions(t *testing.T) {
	const bad, beyond = "bad", "beyond"
	for _, c := range []struct{ expr, text, want string }{
		{"", "", "yes"}, {"", "x", "yes"}, {"b", "abc", "yes"}, {"d", "abc", "no"}, {"a.c", "abc", "yes"}, {"a.c", "ac", "no"},
		{"^b", "abc", "no"}, {"^a.*c$", "abc", "yes"}, {"a|x", "xyz", "yes"}, {"a|", "z", "yes"}, {"(a|b)c", "bc", "yes"},
		{"ab*c", "ac", "yes"}, {"ab+c", "ac", "no"}, {"ab?c", "abc", "yes"}, {"a**", "b", "yes"}, {"(a*)+", "b", "yes"},
		{"^a{2}$", "aa", "yes"}, {"^a{2,}$", "aaaa", "yes"}, {"^a{,2}$", "aaa", "no"}, {"^a{,}$", "aaa", "yes"}, {"a{1", "a{1", bad},
		{"a{x}", "a{x}", bad}, {"a{2,1}", "aa", bad}, {"{1}", "1", bad}, {"a}", "a}", "yes"}, {"a{2000}", "a", beyond}, {"a{99999}", "a", bad},
		{"*a", "a", bad}, {"^*", "", bad}, {"a|*b", "b", bad}, {"(*a)", "a", bad}, {"(a", "a", bad}, {"a)", "a)", "yes"}, {")", "a", "no"},
		{"()", "a", "yes"}, {`a\.b`, "a.b", "yes"}, {`a\.b`, "axb", "no"}, {`a\`, "a", bad}, {`\q`, "q", "yes"}, {`\(a\)`, "(a)", "yes"},
		{"[a-c]+", "xcx", "yes"}, {"[^a-c]", "abc", "no"}, {"[]a]", "]", "yes"}, {"[^]a]", "]", "no"}, {`[\.]`, `\`, "yes"}, {`[a\]`, `\`, "yes"},
		{"[a-]", "-", "yes"}, {"[-a]", "-", "yes"}, {"[a", "a", bad}, {"[]", "]", bad}, {"[c-a]", "b", bad}, {"[[]", "[", "yes"},
		{"^[[:alpha:]_]+$", "ab_", "yes"}, {"[[:digit:]]", "ab", "no"}, {"[[:what:]]", "a", bad}, {"[[.a.]]", "a", beyond}, {"[[=a=]]", "a", beyond},
		{`^\w+$`, "ab_9", "yes"}, {`\W`, "ab", "no"}, {`\s`, "a b", "yes"}, {`\bb`, "a b", "yes"}, {`\Bb`, "a b", "no"}, {"\\`b", "ab", "no"},
		{`(a)\1`, "aa", beyond}, {`\<a`, "a", beyond}, {"a.c", "a\nc", "yes"}, {strings.Repeat("(a)", 2000), "a", beyond},
		{"é", "café", "yes"}, {"[é]", "é", beyond},
	} {
		found, err := matchERE(c.expr, []string{c.text})
		got := map[bool]string{true: "yes", false: "no"}[found]
		if errors.Is(err, errRegexpBeyond) {
			got = beyond
		} else if err != nil {
			got = bad
		}
		if got != c.want {
			t.Errorf("%q in %q: %s, want %s (%v)", c.expr, c.text, got, c.want, err)
		}
	}
}
