package options

import "testing"

const (
	cukFile = "/etc/antpickax/k2hr3-cuk"
	idFile  = "/var/lib/cloud/data/instance-id"
)

// A copy of a host is known by the record in the state folder.
func TestTheKeyOfACopy(t *testing.T) {
	const record = `{"cuk":"vm-1","instance-id":"vm-0"}`
	for _, tt := range []struct {
		name, file string
		args       []string
		cuk        string
	}{
		{"a record", "/var/lib/k2hdkc-slave-agent/identity.json", nil, "vm-2"},
		{"one in another state folder", "/srv/state/identity.json", []string{"--state-dir=/srv/state"}, "vm-2"},
		{"one that is not looked for", "/srv/state/identity.json", nil, "vm-1"},
		{"a configured key", "/var/lib/k2hdkc-slave-agent/identity.json", []string{"--cuk=mine"}, "mine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustLoad(t, system(map[string]string{cukFile: "vm-1", idFile: "vm-2\n", tt.file: record}), tt.args...)
			if got, err := o.ResolveCUK(); got.String() != tt.cuk || err != nil {
				t.Errorf("%q, %v, want %q", got, err, tt.cuk)
			}
		})
	}
}

// K2HR3's script ends its files without a line end; editors and other tools do
// not.
func TestFilesOfTheScriptMayEndInAnyWay(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n", "\n\n", " \n"} {
		o := mustLoad(t, system(map[string]string{
			"/etc/antpickax/k2hr3-api-uri":    "http://k2hr3.example:18080" + end,
			"/etc/antpickax/k2hr3-role-name":  shopRole + end,
			"/etc/antpickax/k2hr3-role-token": token + end,
			cukFile:                           instance + end,
		}))
		cuk, err := o.ResolveCUK()
		if err != nil || cuk.String() != instance || o.Role.String() != shopRole || o.RequireK2HR3() != nil || o.APIURI.String() != "http://k2hr3.example:18080" {
			t.Errorf("%q: CUK %q, role %q, API %v, %v, %v", end, cuk, o.Role, o.APIURI, err, o.RequireK2HR3())
		}
		if o.RoleTokenFile != "/etc/antpickax/k2hr3-role-token" || o.Source("api-uri").String() != "/etc/antpickax/k2hr3-api-uri" {
			t.Errorf("%q: token file %q, API from %s", end, o.RoleTokenFile, o.Source("api-uri"))
		}
	}
}
