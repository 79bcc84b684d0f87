package host

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vm is an instance whose files are in a folder of the test's.
type vm struct {
	Instance
	t        *testing.T
	recorder Recorder
}

// newVM is an instance that K2HR3's script has registered, and that has no record yet.
func newVM(t *testing.T) *vm {
	dir := t.TempDir()
	v := &vm{t: t, Instance: Instance{
		CUKFile: filepath.Join(dir, "k2hr3-cuk"),
		IDFile:  filepath.Join(dir, "instance-id"),
		Record:  filepath.Join(dir, "state", "identity.json"),
		Read: func(name string) (string, error) {
			b, err := os.ReadFile(name)
			return string(b), err
		},
	}}
	noError(t, os.Mkdir(filepath.Dir(v.Record), 0o755))
	v.write(v.CUKFile, "vm-1")
	v.write(v.IDFile, "vm-1\n")
	return v
}

// noError fails the test at once if there is one.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (v *vm) write(name, text string) {
	v.t.Helper()
	noError(v.t, os.WriteFile(name, []byte(text), 0o600))
}

func (v *vm) remove(name string) {
	v.t.Helper()
	noError(v.t, os.RemoveAll(name))
}

// update brings the record up to date and returns what the recorder said.
func (v *vm) update() string {
	v.t.Helper()
	var log bytes.Buffer
	v.recorder.Update(v.Instance, slog.New(slog.NewTextHandler(&log, nil)))
	return log.String()
}

func (v *vm) record() string {
	b, _ := os.ReadFile(v.Record)
	return string(b)
}

func TestACopyOfAHostIsNotThatHost(t *testing.T) {
	v := newVM(t)
	v.update()
	step := func(name, want, leftover, source string) {
		t.Helper()
		got, err := v.CUK()
		if err != nil || got.String() != want || v.Leftover() != leftover || v.File() != source {
			t.Errorf("%s: CUK %q from %s, left over %q, %v; want %q from %s and %q", name, got, v.File(), v.Leftover(), err, want, source, leftover)
		}
	}
	wrote := func(want bool) {
		t.Helper()
		before := v.record()
		v.update()
		if (v.record() != before) != want {
			t.Errorf("record %s, before %s, want a change: %v", v.record(), before, want)
		}
	}
	step("the original", "vm-1", "", v.CUKFile)
	wrote(false)
	v.write(v.IDFile, "vm-2\n")
	step("its copy, cloud-init was there", "vm-2", "vm-1", v.IDFile)
	wrote(false)
	step("its copy, later", "vm-2", "vm-1", v.IDFile)
	v.write(v.CUKFile, "vm-2")
	step("its copy, K2HR3's script was there", "vm-2", "", v.CUKFile)
	wrote(true)
	step("its copy, from then on", "vm-2", "", v.CUKFile)
	v.write(v.IDFile, "vm-3\n")
	step("a copy of the copy", "vm-3", "vm-2", v.IDFile)
	v.write(v.IDFile, "vm-2\n")
	step("the copy, back again", "vm-2", "", v.CUKFile)
}

func TestWithoutARecordTheScriptsKeyCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(v *vm)
		want  string
	}{
		"none was written":              {func(v *vm) { v.remove(v.Record) }, "vm-1"},
		"a broken one":                  {func(v *vm) { v.write(v.Record, `{"cuk":"vm-1"`) }, "vm-1"},
		"half of one":                   {func(v *vm) { v.write(v.Record, `{"cuk":"vm-1"}`) }, "vm-1"},
		"one of another key":            {func(v *vm) { v.write(v.Record, `{"cuk":"vm-0","instance-id":"vm-0"}`) }, "vm-1"},
		"the instance id is not known":  {func(v *vm) { v.remove(v.IDFile) }, "vm-1"},
		"the instance id cannot be one": {func(v *vm) { v.write(v.IDFile, "\n") }, "vm-1"},
		"the script was never there":    {func(v *vm) { v.remove(v.CUKFile) }, "vm-2"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVM(t)
			v.update()
			v.write(v.IDFile, "vm-2\n")
			tt.spoil(v)
			if got, err := v.CUK(); got.String() != tt.want || err != nil {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// An id that cloud-init gives to every host without one is nobody's.
func TestAFallbackOfCloudInitIsNoKey(t *testing.T) {
	for _, id := range []string{
		"iid-datasource-none", "iid-datasource", "nocloud", "NoCloud", "iid-dsconfigdrive", "iid-dsopenstack", "iid-dsovf",
		"iid-AZURE-NODE", "455", "iid-local01", "i-abcdefg", "iid-abcdefg",
	} {
		for name, file := range map[string]func(v *vm) string{
			"by cloud-init":      func(v *vm) string { v.remove(v.CUKFile); return v.IDFile },
			"by K2HR3's script":  func(v *vm) string { v.write(v.IDFile, "vm-1"); return v.CUKFile },
			"by a script, early": func(v *vm) string { v.remove(v.IDFile); return v.CUKFile },
		} {
			v := newVM(t)
			path := file(v)
			v.write(path, id+"\n")
			cuk, err := v.CUK()
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "set cuk") || !strings.Contains(err.Error(), id) {
				t.Errorf("%s %s: %q, %v", id, name, cuk, err)
			}
		}
	}
	for _, id := range []string{
		"d8cb3bd1-5d06-4d0c-a15c-0d1b2f6a0b11", "i-06b5687b4d7b8595d", "nocloud-7", "4550", "my-iid-ds", "iid-4f2a91", "vm-1",
	} {
		v := newVM(t)
		v.write(v.CUKFile, id)
		if cuk, err := v.CUK(); err != nil || cuk.String() != id {
			t.Errorf("%s: %q, %v", id, cuk, err)
		}
	}
}

func TestWhatIsWorthRecording(t *testing.T) {
	for name, tt := range map[string]struct{ cuk, id, want string }{
		"both":                  {"vm-1\r\n", "vm-1\n", `{"cuk":"vm-1","instance-id":"vm-1"}` + "\n"},
		"a key of another kind": {"app-7", "vm-1\n", `{"cuk":"app-7","instance-id":"vm-1"}` + "\n"},
		"no instance id":        {"vm-1", "", ""},
		"no key":                {"", "vm-1", ""},
		"a key that is none":    {"a b", "vm-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVM(t)
			v.write(v.CUKFile, tt.cuk)
			v.write(v.IDFile, tt.id)
			v.update()
			if diff := cmp.Diff(tt.want, v.record()); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALeftoverIsLoggedOnceAndNotRecorded(t *testing.T) {
	v := newVM(t)
	if said := v.update(); said != "" {
		t.Errorf("said of the original: %s", said)
	}
	v.write(v.IDFile, "vm-2\n")
	if said := v.update(); strings.Count(said, "left over") != 1 || !strings.Contains(said, "cuk=vm-1") {
		t.Errorf("said of the copy: %s", said)
	}
	if said := v.update(); said != "" {
		t.Errorf("said again: %s", said)
	}
	v.write(v.CUKFile, "vm-2")
	if said := v.update(); said != "" {
		t.Errorf("said of the copy's own: %s", said)
	}
	v.write(v.IDFile, "vm-3\n")
	if said := v.update(); !strings.Contains(said, "cuk=vm-2") {
		t.Errorf("said of the next copy: %s", said)
	}
}

func TestARecordThatCannotBeWrittenIsLoggedOnce(t *testing.T) {
	v := newVM(t)
	noError(t, os.Mkdir(v.Record, 0o755))
	if said := v.update(); strings.Count(said, "level=WARN") != 1 {
		t.Errorf("said: %s", said)
	}
	if said := v.update(); said != "" {
		t.Errorf("said again: %s", said)
	}
	entries, err := os.ReadDir(filepath.Dir(v.Record))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	v.remove(filepath.Dir(v.Record))
	if said := v.update(); said != "" {
		t.Errorf("said where the daemon never ran: %s", said)
	}
}

func TestTheRecordIsForEveryVerbToRead(t *testing.T) {
	v := newVM(t)
	v.update()
	info, err := os.Stat(v.Record)
	if err != nil || info.Mode().Perm()&fs.FileMode(0o444) != 0o444 {
		t.Errorf("%v, %v", info, err)
	}
}
