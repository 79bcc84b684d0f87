package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBytes(t *testing.T) {
	tests := []struct {
		name, text string
		values     Values
		want       string
	}{
		{"both values", "[GLOBAL]\nFILEVERSION = 1\nSELFCUK = __SELF_INSTANCE_ID__\n",
			Values{"vm-7", 42}, "[GLOBAL]\nFILEVERSION = 42\nSELFCUK = vm-7\n"},
		{"no stamp", "[GLOBAL]\nFILEVERSION = 1\n", Values{"vm-7", 0}, "[GLOBAL]\nFILEVERSION = 1\n"},
		{"every placeholder", "# __SELF_INSTANCE_ID__\n[GLOBAL]\nSELFCUK=__SELF_INSTANCE_ID__\n",
			Values{"vm-7", 0}, "# vm-7\n[GLOBAL]\nSELFCUK=vm-7\n"},
		{"characters that a shell would take for its own", "SELFCUK=__SELF_INSTANCE_ID__\n",
			Values{`a/b&c\1$2`, 0}, "SELFCUK=" + `a/b&c\1$2` + "\n"},
		{"blanks, tabs and CRLF stay", "[GLOBAL]\r\n\tFILEVERSION\t=  1\t\r\n", Values{"", 7}, "[GLOBAL]\r\n\tFILEVERSION\t=  7\t\r\n"},
		{"a comment behind the value stays", "[GLOBAL]\nFILEVERSION = 1 # old\n", Values{"", 7}, "[GLOBAL]\nFILEVERSION = 7 # old\n"},
		{"quotes are part of the value", "[GLOBAL]\nFILEVERSION = \"1\"\n", Values{"", 7}, "[GLOBAL]\nFILEVERSION = 7\n"},
		{"no newline at the end", "[GLOBAL]\nFILEVERSION=1", Values{"", 7}, "[GLOBAL]\nFILEVERSION=7"},
		{"empty value", "[GLOBAL]\nFILEVERSION=\nMODE=SLAVE\n", Values{"", 7}, "[GLOBAL]\nFILEVERSION=7\nMODE=SLAVE\n"},
		{"no equals sign", "[GLOBAL]\nFILEVERSION\n", Values{"", 7}, "[GLOBAL]\nFILEVERSION = 7\n"},
		{"the last one counts", "[GLOBAL]\nFILEVERSION=1\n[SVRNODE]\nNAME=a\n[GLOBAL]\nFILEVERSION=2\n",
			Values{"", 7}, "[GLOBAL]\nFILEVERSION=1\n[SVRNODE]\nNAME=a\n[GLOBAL]\nFILEVERSION=7\n"},
		{"another section's is left", "[SVRNODE]\nFILEVERSION=1\n[GLOBAL]\nFILEVERSION=2\n",
			Values{"", 7}, "[SVRNODE]\nFILEVERSION=1\n[GLOBAL]\nFILEVERSION=7\n"},
		{"a commented one is left", "[GLOBAL]\n#FILEVERSION=1\n", Values{"", 7}, "[GLOBAL]\n#FILEVERSION=1\n"},
		{"none", "<html></html>", Values{"vm-7", 7}, "<html></html>"},
		{"empty", "", Values{"vm-7", 7}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(Bytes(tt.text, tt.values))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNextRevisionStaysInRange(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 2, MaxRevision - 1: MaxRevision, MaxRevision: 1, -5: 1} {
		if got := NextRevision(n); got != want {
			t.Errorf("after %d comes %d, want %d", n, got, want)
		}
	}
}
