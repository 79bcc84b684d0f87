package options

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	cukFile = "/etc/antpickax/k2hr3-cuk"
	idFile  = "/var/lib/cloud/data/instance-id"
)

// original is a host that K2HR3's script has registered and the agent knows of.
func original(t *testing.T) (Host, fstest.MapFS) {
	t.Helper()
	files := fstest.MapFS{}
	h := Host{Files: files}
	put(files, cukFile, "vm-1")
	put(files, idFile, "vm-1\n")
	remember(t, h, files)
	return h, files
}

func put(files fstest.MapFS, name, text string) {
	files[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: []byte(text)}
}

// remember does what the agent does with Identity, and reports whether there was
// something to write.
func remember(t *testing.T, h Host, files fstest.MapFS, args ...string) bool {
	t.Helper()
	o := mustLoad(t, h, args...)
	i, changed := o.Identity()
	if changed {
		put(files, o.IdentityFile(), `{"cuk":"`+i.CUK+`","instance-id":"`+i.InstanceID+`"}`)
	}
	return changed
}

func TestACopyOfAHostIsNotThatHost(t *testing.T) {
	h, files := original(t)
	step := func(name, want, leftover, source string) {
		t.Helper()
		o := mustLoad(t, h)
		got, err := o.ResolveCUK()
		if err != nil || got != want || o.LeftoverCUK() != leftover || o.Source("cuk").Name != source {
			t.Errorf("%s: CUK %q from %s, left over %q, %v; want %q from %s and %q", name, got, o.Source("cuk"), o.LeftoverCUK(), err, want, source, leftover)
		}
	}
	step("the original", "vm-1", "", cukFile)
	if remember(t, h, files) {
		t.Error("the same is written again")
	}
	put(files, idFile, "vm-2\n")
	step("its copy, cloud-init was there", "vm-2", "vm-1", idFile)
	if remember(t, h, files) {
		t.Error("a leftover is remembered as the copy's own")
	}
	step("its copy, later", "vm-2", "vm-1", idFile)
	put(files, cukFile, "vm-2")
	step("its copy, K2HR3's script was there", "vm-2", "", cukFile)
	if !remember(t, h, files) {
		t.Error("the copy's own is not remembered")
	}
	step("its copy, from then on", "vm-2", "", cukFile)
	put(files, idFile, "vm-3\n")
	step("a copy of the copy", "vm-3", "vm-2", idFile)
	put(files, idFile, "vm-2\n")
	step("the copy, back again", "vm-2", "", cukFile)
}

func TestWithoutARecordTheScriptsKeyCounts(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(files fstest.MapFS)
		args []string
		cuk  string
	}{
		{"none was written", func(files fstest.MapFS) { delete(files, "var/lib/k2hdkc-slave-agent/identity.json") }, nil, "vm-1"},
		{"a broken one", func(files fstest.MapFS) { put(files, "/var/lib/k2hdkc-slave-agent/identity.json", `{"cuk":"vm-1"`) }, nil, "vm-1"},
		{"half of one", func(files fstest.MapFS) { put(files, "/var/lib/k2hdkc-slave-agent/identity.json", `{"cuk":"vm-1"}`) }, nil, "vm-1"},
		{"one of another key", func(files fstest.MapFS) {
			put(files, "/var/lib/k2hdkc-slave-agent/identity.json", `{"cuk":"vm-0","instance-id":"vm-0"}`)
		}, nil, "vm-1"},
		{"one elsewhere", func(fstest.MapFS) {}, []string{"--state-dir=/srv/state"}, "vm-1"},
		{"one elsewhere that is looked for there", func(files fstest.MapFS) {
			put(files, "/srv/state/identity.json", `{"cuk":"vm-1","instance-id":"vm-0"}`)
		}, []string{"--state-dir=/srv/state"}, "vm-2"},
		{"the instance id is not known", func(files fstest.MapFS) { delete(files, "var/lib/cloud/data/instance-id") }, nil, "vm-1"},
		{"the instance id cannot be one", func(files fstest.MapFS) { put(files, idFile, "\n") }, nil, "vm-1"},
		{"a key was configured", func(fstest.MapFS) {}, []string{"--cuk=mine"}, "mine"},
		{"the script was never there", func(files fstest.MapFS) { delete(files, "etc/antpickax/k2hr3-cuk") }, nil, "vm-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, files := original(t)
			put(files, idFile, "vm-2\n")
			tt.set(files)
			if got, err := mustLoad(t, h, tt.args...).ResolveCUK(); got != tt.cuk || err != nil {
				t.Errorf("%q, %v, want %q", got, err, tt.cuk)
			}
		})
	}
}

func TestWhatIsWorthRemembering(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   map[string]string
		args    []string
		want    Identity
		changed bool
	}{
		{"both", map[string]string{cukFile: "vm-1\r\n", idFile: "vm-1\n"}, nil, Identity{"vm-1", "vm-1"}, true},
		{"a key of another kind", map[string]string{cukFile: "app-7", idFile: "vm-1\n"}, nil, Identity{"app-7", "vm-1"}, true},
		{"no instance id", map[string]string{cukFile: "vm-1"}, nil, Identity{CUK: "vm-1"}, false},
		{"no key", map[string]string{idFile: "vm-1"}, nil, Identity{InstanceID: "vm-1"}, false},
		{"a key that is none", map[string]string{cukFile: "a b", idFile: "vm-1"}, nil, Identity{InstanceID: "vm-1"}, false},
		{"a configured key", map[string]string{cukFile: "vm-1", idFile: "vm-1"}, []string{"--cuk=x"}, Identity{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, changed := mustLoad(t, host(tt.files), tt.args...).Identity()
			if diff := cmp.Diff(tt.want, got); diff != "" || changed != tt.changed {
				t.Errorf("changed %v, want %v; -want +got:\n%s", changed, tt.changed, diff)
			}
		})
	}
}

// K2HR3's script ends its files without a line end; editors and other tools do
// not.
func TestFilesOfTheScriptMayEndInAnyWay(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n", "\n\n", " \n"} {
		o := mustLoad(t, host(map[string]string{
			"/etc/antpickax/k2hr3-api-uri":    "http://k2hr3.example:18080" + end,
			"/etc/antpickax/k2hr3-role-name":  shopRole + end,
			"/etc/antpickax/k2hr3-role-token": token + end,
			cukFile:                           instance + end,
		}))
		cuk, err := o.ResolveCUK()
		if err != nil || cuk != instance || o.Role != shopRole || o.RequireK2HR3() != nil || o.APIURI.String() != "http://k2hr3.example:18080" {
			t.Errorf("%q: CUK %q, role %q, API %v, %v, %v", end, cuk, o.Role, o.APIURI, err, o.RequireK2HR3())
		}
		if o.RoleTokenFile != "/etc/antpickax/k2hr3-role-token" {
			t.Errorf("%q: token file %q", end, o.RoleTokenFile)
		}
	}
}
