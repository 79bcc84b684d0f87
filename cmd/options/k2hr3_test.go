package options

import (
	"testing"
)

func TestWhatIsWrongWithK2HR3sOptionsNamesTheOption(t *testing.T) {
	tests := []struct{ name, key, value, want string }{
		{"no scheme", "api-uri", "k2hr3.shop.example:18080", "has no scheme: it has to look like https://HOST:PORT"},
		{"a password", "api-uri", "https://ann:" + token + "@k2hr3.shop.example", "has a user name in it"},
		{"short name", "role", "orders/slave", `"orders/slave" is not the full YRN of a role: it has to look like yrn:yahoo:::TENANT:role:PATH`},
		{"resource for a role", "role", shopResource, "is the YRN of a resource, not of a role: the role would be " + shopRole},
		{"role for a resource", "resource", shopRole, "is the YRN of a role, not of a resource: the resource would be " + shopResource},
		{"token", "role", token, "not shown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			failLoad(t, system(nil), []string{"--" + tt.key, tt.value}, "flag --"+tt.key+":", tt.want)
			failLoad(t, configured("[k2hr3]\n"+tt.key+" = "+tt.value), nil, "/etc/k2hdkc/slave-agent.ini:2: "+tt.key+":", tt.want)
		})
	}
}

func TestResourceFollowsFromRole(t *testing.T) {
	o := mustLoad(t, configured("[k2hr3]\nrole = yrn:yahoo:::Shop:role:Orders/Slave"))
	if o.Role.String() != shopRole || o.Resource.String() != shopResource {
		t.Errorf("role %s and resource %s, want lower case and the same path", o.Role, o.Resource)
	}
	if got := o.Source("resource").String(); got != "/etc/k2hdkc/slave-agent.ini:2" {
		t.Errorf("resource is from %s", got)
	}
	o = mustLoad(t, system(nil), "--role", shopRole, "--resource=yrn:yahoo:::shop:resource:other")
	if o.Resource.String() != "yrn:yahoo:::shop:resource:other" {
		t.Errorf("resource %s: what is given counts", o.Resource)
	}
}

// Only verbs that talk to K2HR3 ask for it; the others work on any host.
func TestK2HR3IsRequiredLate(t *testing.T) {
	const uri, role = "/etc/antpickax/k2hr3-api-uri", "/etc/antpickax/k2hr3-role-name"
	tests := []struct {
		name   string
		system System
		want   []string
	}{
		{"nothing", system(nil), []string{
			"K2HR3's address is not known: set api-uri under [k2hr3] in /etc/k2hdkc/slave-agent.ini, or --api-uri, or K2HDKC_SLAVE_API_URI; there is no " + uri,
			"this host's role is not known: set role under [k2hr3]", "there is no " + role}},
		{"no role", system(map[string]string{uri: "http://k2hr3"}), []string{"this host's role is not known"}},
		{"empty file", system(map[string]string{uri: " \n", role: shopRole}), []string{uri + " is empty"}},
		{"bad address", system(map[string]string{uri: "k2hr3", role: shopRole}), []string{uri + ": api-uri: the value has no scheme"}},
		{"bad role", system(map[string]string{uri: "http://k2hr3", role: "a\nb"}), []string{role + ": role: the value contains a control character"}},
		{"unreadable", deny(system(map[string]string{uri: "http://k2hr3", role: shopRole}), role), []string{"cannot read " + role + ": permission denied"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, mustLoad(t, tt.system).RequireK2HR3(), tt.want...) })
	}
}

func TestOtherAntpickaxDir(t *testing.T) {
	h := system(map[string]string{"/srv/a/k2hr3-api-uri": "http://right", "/etc/antpickax/k2hr3-api-uri": "http://wrong"})
	if got := mustLoad(t, h, "--antpickax-dir=/srv/a").APIURI.String(); got != "http://right" {
		t.Errorf("got %s", got)
	}
}
