package options

import (
	"testing"
)

func TestMistakesInTheConfigurationFile(t *testing.T) {
	const at = "/etc/k2hdkc/slave-agent.ini:"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"misspelt key", "[k2hr3]\n\n# x\nintervall = 5s", []string{at + `4: unknown key "intervall": did you mean interval?`}},
		{"key in upper case", "[k2hr3]\nROLE = x", []string{at + `2: unknown key "ROLE": did you mean role?`}},
		{"key with underscore", "[k2hr3]\napi_uri = x", []string{`did you mean api-uri?`}},
		{"swapped letters", "[chmpx]\nuint = x", []string{`did you mean unit?`}},
		{"key unlike any other", "[k2hr3]\nfavourite-colour = blue", []string{at + `2: unknown key "favourite-colour"`}},
		{"token in the file", "[k2hr3]\nrole-token = " + token, []string{at + "2:", "a token is only taken from a file, which role-token-file names"}},
		{"wrong section", "[slave]\nrole = x", []string{at + "2: role does not belong in [slave]: put it under [k2hr3]"}},
		{"before the first section", "role = x\n[k2hr3]", []string{at + "1: role comes before the first section: put it under [k2hr3]"}},
		{"config in the file", "[agent]\nconfig = /x", []string{at + "2: config cannot be set here: use --config or K2HDKC_SLAVE_CONFIG"}},
		{"unknown section", "[k2hr]\nrole = x", []string{at + "1: unknown section [k2hr]: did you mean [k2hr3]?"}},
		{"section in upper case", "[SLAVE]", []string{at + "1: unknown section [SLAVE]: did you mean [slave]?"}},
		{"section unlike any other", "\n[GLOBAL]\n", []string{at + "2: unknown section [GLOBAL]: the sections are [k2hr3], [slave], [chmpx], [agent]"}},
		{"the library's own section", "[DEFAULT]", []string{"unknown section [DEFAULT]"}},
		{"section without end", "[k2hr3\nrole = x", []string{at + `1: "[k2hr3" is not a section`}},
		{"section without name", "[]", []string{at + `1: "[]" is not a section`}},
		{"text after a section", "[k2hr3] role = x", []string{at + "1:", "is not a section"}},
		{"key twice", "[k2hr3]\nwait = 1s\nwait = 2s", []string{at + "3: wait is given twice, first in line 2"}},
		{"key twice in a section opened again", "[k2hr3]\nwait = 1s\n[slave]\n[k2hr3]\nwait = 1s", []string{at + "5: wait is given twice, first in line 2"}},
		{"no value", "[k2hr3]\nrole", []string{at + `2: "role" is neither a [section] nor KEY = VALUE`}},
		{"colon instead of equals sign", "[k2hr3]\ninterval: 5s", []string{at + "2:", "neither a [section] nor KEY = VALUE"}},
		{"no key", "[k2hr3]\n = 5s", []string{at + "2: there is no key before the ="}},
		{"comment after a value", "[k2hr3]\ninterval = 5s # often", []string{at + "2: interval: a comment needs a line of its own"}},
		{"other comment after a value", "[chmpx]\nunit = chmpx.service ; ours", []string{at + "2: unit: a comment needs a line of its own"}},
		{"value over many lines", "[slave]\ntag = \"\"\"a\nb\"\"\"", []string{at + "2: tag: the quote is not closed: a value ends with its line"}},
		{"continued line", "[slave]\nowner = a\\\n  b", []string{at + `3: "b" is neither`}},
		{"invisible character", "[slave]\n\ufeffowner = a", []string{at + "2: the line contains an invisible character"}},
		{"empty value", "[k2hr3]\nrole =", []string{at + "2: role: the value is empty", "k2hr3-role-name"}},
		{"empty value that is quoted", "[k2hr3]\nrole = \"\"", []string{at + "2: role: the value is empty"}},
		{"empty value of another key", "[slave]\nmode =", []string{at + "2: mode: the value is empty"}},
		{"relative path", "[agent]\nrun-dir = run", []string{at + `2: run-dir: "run" is not an absolute path`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { failLoad(t, configured(tt.text), nil, tt.want...) })
	}
}

func TestOneComplaintAboutAnUnknownSection(t *testing.T) {
	_, err := Load(verb(t, "run"), nil, configured("[k2hr]\nrole = x\nfoo = 7\nbar"))
	if err == nil || err.Error() != "/etc/k2hdkc/slave-agent.ini:1: unknown section [k2hr]: did you mean [k2hr3]?" {
		t.Errorf("got %v", err)
	}
}

// What operators write, and how it is understood.
func TestDialectOfTheConfigurationFile(t *testing.T) {
	tests := []struct{ name, text, owner string }{
		{"plain", "[slave]\nowner = ann", "ann"},
		{"no blanks", "[slave]\nowner=ann", "ann"},
		{"indented", "  [slave]\n\t owner\t=\tann  ", "ann"},
		{"carriage returns", "[slave]\r\nowner = ann\r\n", "ann"},
		{"byte order mark", "\ufeff[slave]\nowner = ann", "ann"},
		{"both kinds of comments", "; a\n# b\n[slave] # c\n  # owner = bob\nowner = ann", "ann"},
		{"double quotes", "[slave]\nowner = \"ann\"", "ann"},
		{"single quotes", "[slave]\nowner = 'ann'", "ann"},
		{"number sign inside a word", "[slave]\nowner = ann#1", "ann#1"},
		{"no interpolation", "[slave]\nowner = %(mode)s$HOME", "%(mode)s$HOME"},
		{"no continuation", "[slave]\nowner = ann\\\n#\n", "ann\\"},
		{"equals sign in the value", "[slave]\nowner = a=b", "a=b"},
		{"section opened again", "[slave]\n[agent]\n[slave]\nowner = ann", "ann"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustLoad(t, configured(tt.text)).Owner; got != tt.owner {
				t.Errorf("owner %q, want %q", got, tt.owner)
			}
		})
	}
}

// Whatever is in the file, reading it ends and what it says is either taken or complained of.
func FuzzConfigurationFile(f *testing.F) {
	f.Add("[slave]\nowner = ann\n")
	f.Add("\ufeff\n[")
	f.Add("[slave]\n\ufeff")
	f.Add("[slave]\n-=x\n\"\"\"\"=1\n`=")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := Load(verb(t, "run"), nil, configured(text))
		if (o == nil) == (err == nil) {
			t.Errorf("options %v and error %v", o, err)
		}
	})
}
