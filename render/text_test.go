package render

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBytes(t *testing.T) {
	tests := []struct {
		name, text string
		values     Values
		want       string
	}{
		{"both values", "[GLOBAL]\nFILEVERSION = 1\nSELFCUK = __SELF_INSTANCE_ID__\n",
			Values{InstanceID: "vm-7", Revision: 42}, "[GLOBAL]\nFILEVERSION = 42\nSELFCUK = vm-7\n"},
		{"no stamp", "[GLOBAL]\nFILEVERSION = 1\n", Values{InstanceID: "vm-7"}, "[GLOBAL]\nFILEVERSION = 1\n"},
		{"every placeholder", "# __SELF_INSTANCE_ID__\n[GLOBAL]\nSELFCUK=__SELF_INSTANCE_ID__\n",
			Values{InstanceID: "vm-7"}, "# vm-7\n[GLOBAL]\nSELFCUK=vm-7\n"},
		{"characters that a shell would take for its own", "SELFCUK=__SELF_INSTANCE_ID__\n",
			Values{InstanceID: `a/b&c\1$2`}, "SELFCUK=" + `a/b&c\1$2` + "\n"},
		{"blanks, tabs and CRLF stay", "[GLOBAL]\r\n\tFILEVERSION\t=  1\t\r\n", Values{Revision: 7}, "[GLOBAL]\r\n\tFILEVERSION\t=  7\t\r\n"},
		{"a comment behind the value stays", "[GLOBAL]\nFILEVERSION = 1 # old\n", Values{Revision: 7}, "[GLOBAL]\nFILEVERSION = 7 # old\n"},
		{"quotes are part of the value", "[GLOBAL]\nFILEVERSION = \"1\"\n", Values{Revision: 7}, "[GLOBAL]\nFILEVERSION = 7\n"},
		{"no newline at the end", "[GLOBAL]\nFILEVERSION=1", Values{Revision: 7}, "[GLOBAL]\nFILEVERSION=7"},
		{"empty value", "[GLOBAL]\nFILEVERSION=\nMODE=SLAVE\n", Values{Revision: 7}, "[GLOBAL]\nFILEVERSION=7\nMODE=SLAVE\n"},
		{"no equals sign", "[GLOBAL]\nFILEVERSION\n", Values{Revision: 7}, "[GLOBAL]\nFILEVERSION = 7\n"},
		{"the last one counts", "[GLOBAL]\nFILEVERSION=1\n[SVRNODE]\nNAME=a\n[GLOBAL]\nFILEVERSION=2\n",
			Values{Revision: 7}, "[GLOBAL]\nFILEVERSION=1\n[SVRNODE]\nNAME=a\n[GLOBAL]\nFILEVERSION=7\n"},
		{"another section's is left", "[SVRNODE]\nFILEVERSION=1\n[GLOBAL]\nFILEVERSION=2\n",
			Values{Revision: 7}, "[SVRNODE]\nFILEVERSION=1\n[GLOBAL]\nFILEVERSION=7\n"},
		{"a commented one is left", "[GLOBAL]\n#FILEVERSION=1\n", Values{Revision: 7}, "[GLOBAL]\n#FILEVERSION=1\n"},
		{"none", "<html></html>", Values{InstanceID: "vm-7", Revision: 7}, "<html></html>"},
		{"empty", "", Values{InstanceID: "vm-7", Revision: 7}, ""},
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

func TestBytesOfAPod(t *testing.T) {
	const text = "[GLOBAL]\nFILEVERSION = 1\nDATE = %%FILE_DOWNLOAD_DATE%%\nSELFCUK = %%SELF_CONTAINER_CUK%%\n# __SELF_INSTANCE_ID__\n"
	at := time.Date(2026, 11, 26, 9, 8, 7, 0, time.FixedZone("", 3600))
	want := "[GLOBAL]\nFILEVERSION = 3\nDATE = Thu, 26 Nov 2026 09:08:07 +0100\nSELFCUK = pod-1=\n# pod-1=\n"
	if diff := cmp.Diff(want, string(Bytes(text, Values{InstanceID: "pod-1=", Revision: 3, Pod: at}))); diff != "" {
		t.Error(diff)
	}
	want = strings.Replace(text, "__SELF_INSTANCE_ID__", "vm-1", 1)
	if diff := cmp.Diff(want, string(Bytes(text, Values{InstanceID: "vm-1"}))); diff != "" {
		t.Error(diff)
	}
}
