package options

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

var update = flag.Bool("update", false, "write the help texts the tests compare with")

func TestHelpTexts(t *testing.T) {
	texts := map[string][]byte{}
	var b bytes.Buffer
	fatal.If(t, Overview(&b))
	texts["overview"] = b.Bytes()
	for _, name := range []string{"once", "check", "status", "user-data", "version"} {
		var b bytes.Buffer
		fatal.If(t, Usage(&b, verb(t, name)))
		texts[name] = b.Bytes()
	}
	for name, got := range texts {
		file := filepath.Join("testdata", name+".help")
		if *update {
			fatal.If(t, os.WriteFile(file, got, 0o644))
		}
		want, err := os.ReadFile(file)
		fatal.If(t, err)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got), write it with -update if it is meant:\n%s", file, diff)
		}
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	for _, v := range Verbs() {
		var b bytes.Buffer
		fatal.If(t, Usage(&b, v))
		for line := range strings.Lines(b.String()) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > lineWidth {
				t.Errorf("%s --help: line too long: %s", v.Name, line)
			}
		}
	}
}

func TestHelpOfRunNamesEveryOption(t *testing.T) {
	var b bytes.Buffer
	fatal.If(t, Usage(&b, verb(t, "run")))
	for _, opt := range Table() {
		if !strings.Contains(b.String(), "  "+opt.Flag()+" "+opt.Placeholder) {
			t.Errorf("%s is missing", opt.Flag())
		}
	}
}

func TestVerbs(t *testing.T) {
	var all []string
	for _, v := range Verbs() {
		all = append(all, v.Name)
		if v.Synopsis == "" || len(v.Exits) == 0 {
			t.Errorf("%s is not explained", v.Name)
		}
	}
	want := []string{"run", "once", "check", "status", "doctor", "bugreport", "register", "unregister", "user-data", "version", "help"}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("verbs (-want +got):\n%s", diff)
	}
}

func TestParseVerb(t *testing.T) {
	good := []struct {
		args []string
		verb string
		rest []string
	}{
		{[]string{"run", "--role", "x"}, "run", []string{"--role", "x"}},
		{[]string{"--help"}, "help", []string{}},
		{[]string{"-h", "once"}, "help", []string{"once"}},
		{[]string{"--version"}, "version", []string{}},
	}
	for _, tt := range good {
		v, rest, err := ParseVerb(tt.args)
		if err != nil || v.Name != tt.verb || !cmp.Equal(rest, tt.rest) {
			t.Errorf("%q: got %s, %q, %v", tt.args, v.Name, rest, err)
		}
	}
	bad := []struct {
		args []string
		want string
	}{
		{nil, "nothing to do: type `k2hdkc-slave-agent run`"},
		{[]string{"rnu"}, "unknown verb \"rnu\": did you mean `k2hdkc-slave-agent run`?"},
		{[]string{"unregistre"}, "did you mean `k2hdkc-slave-agent unregister`?"},
		{[]string{"frobnicate"}, "it is one of run, once, check"},
		{[]string{"--role=" + token, "run"}, "the verb comes before --role: type `k2hdkc-slave-agent run --role ...`"},
		{[]string{token}, "not shown"},
	}
	for _, tt := range bad {
		_, _, err := ParseVerb(tt.args)
		wantError(t, err, tt.want)
		if !isUsage(err) {
			t.Errorf("%q: %v is not a usage error", tt.args, err)
		}
	}
}
