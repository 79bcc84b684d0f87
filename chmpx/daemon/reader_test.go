package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/render"
)

func TestWhomAProcessReadsAs(t *testing.T) {
	for _, tt := range []struct {
		name, status string
		want         render.Reader
		ok           bool
	}{
		{"a user", "Name:\tchmpx\nUid:\t994\t994\t994\t994\nGid:\t990\t990\t990\t990\nGroups:\t27 990 \nCapEff:\t0000000000000000\n",
			render.Reader{UID: 994, Groups: []int{990, 27, 990}}, true},
		{"by what it is now", "Uid:\t0\t994\t0\t994\nGid:\t0\t990\t0\t990\nGroups:\t\nCapEff:\t0000000000000000\n",
			render.Reader{UID: 994, Groups: []int{990}}, true},
		{"root", "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nCapEff:\t000001ffffffffff\n", render.Reader{Groups: []int{0}, All: true}, true},
		{"root without capabilities", "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nCapEff:\t0000000000000000\n", render.Reader{Groups: []int{0}}, true},
		{"root of whom nothing more is shown", "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n", render.Reader{Groups: []int{0}, All: true}, true},
		{"a user with CAP_DAC_OVERRIDE", "Uid:\t994\t994\t994\t994\nGid:\t990\t990\t990\t990\nCapEff:\t0000000000000002\n", render.Reader{UID: 994, Groups: []int{990}, All: true}, true},
		{"a user with CAP_DAC_READ_SEARCH", "Uid:\t994\t994\t994\t994\nGid:\t990\t990\t990\t990\nCapEff:\t0000000000000004\n", render.Reader{UID: 994, Groups: []int{990}, All: true}, true},
		{"a user with another capability", "Uid:\t994\t994\t994\t994\nGid:\t990\t990\t990\t990\nCapEff:\t0000000000000400\n", render.Reader{UID: 994, Groups: []int{990}}, true},
		{"half of it", "Uid:\t994\n", render.Reader{}, false},
		{"what is none", "Uid:\ta\tb\nGid:\t0\t0\n", render.Reader{}, false},
		{"nothing", "", render.Reader{}, false},
	} {
		proc := t.TempDir()
		dir := filepath.Join(proc, "4711")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "status"), []byte(tt.status), 0o644); err != nil {
			t.Fatal(err)
		}
		got, ok := ReaderOf(proc, 4711)
		if ok != tt.ok || ok && !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
		if _, ok := ReaderOf(proc, 4712); ok {
			t.Error("there is no such process")
		}
		if err := os.Symlink(proc, filepath.Join(dir, "root")); err != nil {
			t.Fatal(err)
		}
		if got, ok := ReaderOf(proc, 4711); ok && !got.Elsewhere {
			t.Errorf("%s: it has another root, and no other folders", tt.name)
		}
	}
}

// In another PID namespace the number of chmpx's process is that of any.
func TestOnlyAChmpxIsTakenForChmpx(t *testing.T) {
	if r, ok := new(Prober).Reader(Status{PID: os.Getpid()}); ok {
		t.Errorf("this test is taken for chmpx: %+v", r)
	}
	r, ok := ReaderOf("/proc", os.Getpid())
	if !ok || r.UID != os.Geteuid() || r.Elsewhere {
		t.Errorf("this process reads as %+v, %v", r, ok)
	}
}
