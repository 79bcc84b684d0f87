package agentunit

import (
	"os"
	"slices"
	"testing"
	"testing/fstest"

	"k2hdkc-slave-agent/tests/fatal"
)

const (
	config   = "etc/k2hdkc/slave-agent.ini"
	operator = "etc/systemd/system/k2hdkc-slave-agent.service.d/operator.conf"
	api      = "api-uri = https://k2hr3.example.com\n"
	role     = "role = yrn:yahoo:::shop:role:orders/slave\n"
)

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// host has the unit, and more files.
func host(t *testing.T, more fstest.MapFS) fstest.MapFS {
	t.Helper()
	unit, err := os.ReadFile("../k2hdkc-slave-agent.service")
	fatal.If(t, err)
	files := fstest.MapFS{"usr/lib/systemd/system/k2hdkc-slave-agent.service": {Data: unit}}
	for name, f := range more {
		files[name] = f
	}
	return files
}

func TestConfigured(t *testing.T) {
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		want  bool
	}{
		{"nothing at all", nil, false},
		{"comments alone", fstest.MapFS{config: text("[k2hr3]\n# " + api + "; " + role)}, false},
		{"no role", fstest.MapFS{config: text("[k2hr3]\n" + api)}, false},
		{"both", fstest.MapFS{config: text("[k2hr3]\n" + api + role)}, true},
		{"both, written on another system", fstest.MapFS{config: text("\ufeff[k2hr3]\r\n  api-uri=https://k2hr3.example.com\r\n\trole=\"yrn:yahoo:::shop:role:orders/slave\"\r\n")}, true},
		{"both, and one is wrong", fstest.MapFS{config: text("[k2hr3]\n" + api + "role = none\n")}, true},
		{"both, and something else is wrong", fstest.MapFS{config: text("[k2hr3]\n" + api + role + "[slave]\ntags = x\n")}, true},
		{"K2HR3's script was here", fstest.MapFS{
			"etc/antpickax/k2hr3-api-uri": text("https://k2hr3.example.com"), "etc/antpickax/k2hr3-role-name": text("yrn:yahoo:::shop:role:orders/slave"),
		}, true},
		{"K2HR3's script failed half way", fstest.MapFS{
			"etc/antpickax/k2hr3-api-uri": text("https://k2hr3.example.com"), "etc/antpickax/k2hr3-role-name": text(""),
		}, false},
		{"some of it here, some there", fstest.MapFS{
			config: text("[k2hr3]\n" + role + "[agent]\nantpickax-dir = /etc/elsewhere\n"), "etc/elsewhere/k2hr3-api-uri": text("https://k2hr3.example.com"),
		}, true},
		{"the unit says it", fstest.MapFS{
			operator: text("[Service]\nEnvironment=K2HDKC_SLAVE_API_URI=https://k2hr3.example.com\nExecStart=\nExecStart=/usr/bin/k2hdkc-slave-agent run --role=yrn:yahoo:::shop:role:orders/slave\n"),
		}, true},
	} {
		a, _ := Read(host(t, c.files))
		if got := a.Configured(); got != c.want {
			t.Errorf("%s: configured %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnAgentWithoutAUnit(t *testing.T) {
	a, err := Read(fstest.MapFS{config: text("[slave]\noutput = /srv/slave.ini\n")})
	if err != nil || a.Options.Output != "/srv/slave.ini" || a.Flags != nil || a.Environ != nil {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAUnitThatRunsSomethingElse(t *testing.T) {
	a, err := Read(host(t, fstest.MapFS{operator: text("[Service]\nExecStart=\nExecStart=/usr/local/bin/wrapper run --output /srv/slave.ini\n")}))
	if err != nil || a.Flags != nil || a.Options.Output != "/etc/k2hdkc/slave.ini" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestWhereTheUnitLetsTheAgentWrite(t *testing.T) {
	a, err := Read(host(t, fstest.MapFS{operator: text("[Service]\nReadWritePaths=-/srv/a \"+/srv/b c\"\nReadWritePaths=/srv/%i\n")}))
	want := []string{"/etc/k2hdkc", "/etc/antpickax", "/var/lib/antpickax", "/srv/a", "/srv/b c", "/var/lib/k2hdkc-slave-agent", "/run/k2hdkc-slave-agent"}
	if got := a.Writable(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
