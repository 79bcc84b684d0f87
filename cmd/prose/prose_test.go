package prose_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/cmd/prose"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		width      int
		want       []string
	}{
		{"a line that fits stays", "aaa bb", 6, []string{"aaa bb"}},
		{"between words, the long one cut", "aaa bb cc dddddddd e", 6, []string{"aaa bb", "cc", "dddddd", "dd e"}},
		{"by characters, not bytes", "ääää ö", 4, []string{"ääää", "ö"}},
		{"no width", "aaa bb", 0, []string{"aaa bb"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, prose.Wrap(tt.text, tt.width)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	if got, want := prose.Plain("a\nb\t\x1b[31mc\u202ed\xffé"), "a b \ufffd[31mc\ufffdd\ufffdé"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
