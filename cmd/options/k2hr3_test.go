package options

import (
	"strings"
	"testing"
)

func TestAddressOfK2HR3(t *testing.T) {
	good := map[string]string{
		"http://10.0.0.1:18080":         "http://10.0.0.1:18080",
		"https://k2hr3.shop.example":    "https://k2hr3.shop.example",
		"HTTPS://k2hr3.shop.example:1/": "https://k2hr3.shop.example:1",
		"http://[2001:db8::1]:18080":    "http://[2001:db8::1]:18080",
	}
	for value, want := range good {
		if got := mustLoad(t, host(nil), "--api-uri", value).APIURI.String(); got != want {
			t.Errorf("%s is understood as %s, want %s", value, got, want)
		}
	}
	bad := []struct{ value, want string }{
		{"k2hr3.shop.example:18080", "has no scheme: it has to look like https://HOST:PORT"},
		{"10.0.0.1", "has no scheme"},
		{"ftp://k2hr3.shop.example", `scheme "ftp", K2HR3 speaks http and https`},
		{"https://k2hr3.shop.example/v1", "adds /v1 itself: write https://k2hr3.shop.example"},
		{"https://k2hr3.shop.example/v1/", "adds /v1 itself"},
		{"https://k2hr3.shop.example/v1/userdata/secret", "has a path, K2HR3 answers at the root of a host: write https://k2hr3.shop.example"},
		{"https://k2hr3.shop.example/?a=secret", "has a query or fragment: write https://k2hr3.shop.example"},
		{"https://k2hr3.shop.example#secret", "has a query or fragment"},
		{"https://ann:secret@k2hr3.shop.example", "has a user name in it"},
		{"https://", "names no host"},
		{"https://:18080", "names no host"},
		{"https://k2hr3.shop.example:99999", "port 99999 of the value is not from 1 to 65535"},
		{"https://k2hr3.shop.example:0", "port 0"},
		{"https://k2hr3 secret", "is not a URI"},
		{"https://ann:secret@[x", "is not a URI"},
	}
	for _, tt := range bad {
		t.Run(tt.value, func(t *testing.T) {
			err := failLoad(t, host(nil), []string{"--api-uri", tt.value}, "flag --api-uri:", tt.want)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q tells a secret", err)
			}
		})
	}
}

func TestRoleAndResource(t *testing.T) {
	tests := []struct{ name, key, value, want string }{
		{"short name", "role", "orders/slave", `"orders/slave" is not the full YRN of a role: it has to look like yrn:yahoo:::TENANT:role:PATH`},
		{"tenant", "role", "yrn:yahoo:::shop", "is not the full YRN of a role"},
		{"no tenant", "role", "yrn:yahoo::::role:orders", "is not the full YRN of a role"},
		{"a colon too few", "role", "yrn:yahoo::shop:role:orders", "is not the full YRN of a role"},
		{"other domain", "role", "yrn:other:::shop:role:orders", "is not the full YRN of a role"},
		{"no path", "role", "yrn:yahoo:::shop:role:", "is not the full YRN of a role"},
		{"resource for a role", "role", shopResource, "is the YRN of a resource, not of a role: the role would be " + shopRole},
		{"role for a resource", "resource", shopRole, "is the YRN of a role, not of a resource: the resource would be " + shopResource},
		{"policy", "role", "yrn:yahoo:::shop:policy:orders", `is the YRN of a "policy", not of a role`},
		{"slash at the end", "role", shopRole + "/", "empty or dotted part"},
		{"slash at the beginning", "role", "yrn:yahoo:::shop:role:/orders", "empty or dotted part"},
		{"dots", "resource", "yrn:yahoo:::shop:resource:orders/../x", "empty or dotted part"},
		{"colon in the path", "role", "yrn:yahoo:::shop:role:a:b", "is not the full YRN"},
		{"too long", "role", shopRole + strings.Repeat("x", maxYRN), "too long for a YRN"},
		{"token", "role", token, "not shown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			failLoad(t, host(nil), []string{"--" + tt.key, tt.value}, "flag --"+tt.key+":", tt.want)
		})
	}
}

func TestResourceFollowsFromRole(t *testing.T) {
	o := mustLoad(t, configured("[k2hr3]\nrole = yrn:yahoo:::Shop:role:Orders/Slave"))
	if o.Role != shopRole || o.Resource != shopResource {
		t.Errorf("role %s and resource %s, want lower case and the same path", o.Role, o.Resource)
	}
	if got := o.Source("resource").String(); got != "/etc/k2hdkc/slave-agent.ini:2" {
		t.Errorf("resource is from %s", got)
	}
	o = mustLoad(t, host(nil), "--role=yrn:yahoo:role::role:role:role/role")
	if o.Resource != "yrn:yahoo:role::role:resource:role/role" {
		t.Errorf("resource %s: only the type changes", o.Resource)
	}
	o = mustLoad(t, host(nil), "--role", shopRole, "--resource=yrn:yahoo:::shop:resource:other")
	if o.Resource != "yrn:yahoo:::shop:resource:other" {
		t.Errorf("resource %s: what is given counts", o.Resource)
	}
}

func TestFilesOfTheInitScript(t *testing.T) {
	o := mustLoad(t, host(map[string]string{
		"/etc/antpickax/k2hr3-api-uri":    "http://10.0.0.1:18080\n",
		"/etc/antpickax/k2hr3-role-name":  shopRole,
		"/etc/antpickax/k2hr3-role-token": token,
	}))
	if err := o.RequireK2HR3(); err != nil {
		t.Fatal(err)
	}
	if o.APIURI.String() != "http://10.0.0.1:18080" || o.Role != shopRole || o.RoleTokenFile != "/etc/antpickax/k2hr3-role-token" {
		t.Errorf("got %s, %s, %s", o.APIURI, o.Role, o.RoleTokenFile)
	}
	if got := o.Source("api-uri").String(); got != "/etc/antpickax/k2hr3-api-uri" {
		t.Errorf("source %s", got)
	}
}

// Only verbs that talk to K2HR3 ask for it; the others work on any host.
func TestK2HR3IsRequiredLate(t *testing.T) {
	const uri, role = "/etc/antpickax/k2hr3-api-uri", "/etc/antpickax/k2hr3-role-name"
	tests := []struct {
		name string
		host Host
		want []string
	}{
		{"nothing", host(nil), []string{
			"K2HR3's address is not known: set api-uri under [k2hr3] in /etc/k2hdkc/slave-agent.ini, or --api-uri, or K2HDKC_SLAVE_API_URI; there is no " + uri,
			"this host's role is not known: set role under [k2hr3]", "there is no " + role}},
		{"no role", host(map[string]string{uri: "http://k2hr3"}), []string{"this host's role is not known"}},
		{"empty file", host(map[string]string{uri: " \n", role: shopRole}), []string{uri + " is empty"}},
		{"bad address", host(map[string]string{uri: "k2hr3", role: shopRole}), []string{uri + ": api-uri: the value has no scheme"}},
		{"bad role", host(map[string]string{uri: "http://k2hr3", role: "a\nb"}), []string{role + ": role: the value contains a control character"}},
		{"unreadable", deny(host(map[string]string{uri: "http://k2hr3", role: shopRole}), role), []string{"cannot read " + role + ": permission denied"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, mustLoad(t, tt.host).RequireK2HR3(), tt.want...) })
	}
}

func TestOtherAntpickaxDir(t *testing.T) {
	h := host(map[string]string{"/srv/a/k2hr3-api-uri": "http://right", "/etc/antpickax/k2hr3-api-uri": "http://wrong"})
	if got := mustLoad(t, h, "--antpickax-dir=/srv/a").APIURI.Host; got != "right" {
		t.Errorf("got %s", got)
	}
}
