package options

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUsageErrorsSayWhatToType(t *testing.T) {
	tests := []struct {
		name, verb string
		args       []string
		want       []string
	}{
		{"misspelt flag", "run", []string{"--intervall=5s"}, []string{"unknown flag --intervall: did you mean --interval?", "try: k2hdkc-slave-agent run --help"}},
		{"underscore", "run", []string{"--api_uri", "x"}, []string{"did you mean --api-uri?"}},
		{"flag of another verb", "run", []string{"--dry-run"}, []string{"unknown flag --dry-run"}},
		{"misspelt switch", "once", []string{"--dryrun"}, []string{"did you mean --dry-run?", "once --help"}},
		{"one dash", "run", []string{"-config", "x"}, []string{"unknown flag -config: did you mean --config?"}},
		{"one letter", "run", []string{"-c", "x"}, []string{"unknown flag -c: flags have two dashes"}},
		{"token as flag", "run", []string{"--role-token=" + token}, []string{"unknown flag --role-token: a token is only taken from a file, which --role-token-file names"}},
		{"token as one letter's value", "run", []string{"-t=" + token}, []string{"unknown flag -t"}},
		{"no value at the end", "run", []string{"--stamp"}, []string{"flag --stamp needs a value: write --stamp yes|no"}},
		{"flag instead of a value", "run", []string{"--role", "--stamp", "no"}, []string{"flag --role needs a value: write --role YRN"}},
		{"argument", "run", []string{"now"}, []string{`unexpected argument "now": run takes none`}},
		{"second argument", "check", []string{"a", "b"}, []string{`unexpected argument "b": check takes one, [FILE]`}},
		{"switch with a strange value", "once", []string{"--dry-run=perhaps"}, []string{`flag --dry-run: "perhaps" is neither yes nor no`}},
		{"switches that exclude each other", "status", []string{"--json", "--ready"}, []string{"--json and --ready do not go together: give one of them", "status --help"}},
		{"a probe that goes on", "status", []string{"--watch", "--ready"}, []string{"--ready and --watch do not go together"}},
		{"three dashes", "run", []string{"---x"}, []string{"---x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(verb(t, tt.verb), tt.args, system(nil))
			wantError(t, err, tt.want...)
			if !isUsage(err) {
				t.Errorf("%v is not a usage error", err)
			}
		})
	}
}

func TestBadConfigurationIsNoUsageError(t *testing.T) {
	err := failLoad(t, configured("x"), nil, "slave-agent.ini:1")
	if isUsage(err) {
		t.Errorf("%v is a usage error", err)
	}
}

func TestHelpWorksEverywhere(t *testing.T) {
	for _, v := range Verbs() {
		for _, args := range [][]string{{"--help"}, {"-h"}, {"--no-such-flag", "--help"}, {"x", "y", "--help"}} {
			if _, err := Load(v, args, configured("rubbish")); !errors.Is(err, ErrHelp) {
				t.Errorf("%s %q: %v", v.Name, args, err)
			}
		}
	}
	if _, err := Load(verb(t, "check"), []string{"--", "--help"}, system(nil)); err != nil {
		t.Errorf("a file called --help cannot be checked: %v", err)
	}
}

func TestArgumentsAndSwitches(t *testing.T) {
	tests := []struct {
		verb     string
		args     []string
		rest     []string
		switches map[string]bool
	}{
		{"check", nil, []string{}, map[string]bool{}},
		{"check", []string{"-"}, []string{"-"}, map[string]bool{}},
		{"check", []string{"a.ini", "--log-level=debug"}, []string{"a.ini"}, map[string]bool{}},
		{"once", []string{"--dry-run"}, []string{}, map[string]bool{"dry-run": true}},
		{"once", []string{"--dry-run=no"}, []string{}, map[string]bool{"dry-run": false}},
	}
	for _, tt := range tests {
		o, err := Load(verb(t, tt.verb), tt.args, system(nil))
		if err != nil {
			t.Errorf("%s %q: %v", tt.verb, tt.args, err)
			continue
		}
		if diff := cmp.Diff(tt.rest, o.Args); diff != "" {
			t.Errorf("%s %q: arguments (-want +got):\n%s", tt.verb, tt.args, diff)
		}
		if diff := cmp.Diff(tt.switches, o.Switches); diff != "" {
			t.Errorf("%s %q: switches (-want +got):\n%s", tt.verb, tt.args, diff)
		}
	}
}

func TestAddedSwitch(t *testing.T) {
	v := verb(t, "run")
	v.Switches = append(v.Switches, Switch{Name: "loudly", Help: "x"})
	if o, err := Load(v, []string{"--loudly"}, system(nil)); err != nil || !o.Switches["loudly"] {
		t.Errorf("got %+v, %v", o, err)
	}
}
