package options

import (
	"slices"
	"testing"
	"testing/fstest"
)

func TestWhereTheCUKComesFrom(t *testing.T) {
	const own, cloud = "/etc/antpickax/k2hr3-cuk", "/var/lib/cloud/data/instance-id"
	both := map[string]string{own: "from-antpickax", cloud: "from-cloud\n"}
	tests := []struct {
		name         string
		host         Host
		args         []string
		cuk, sourced string
	}{
		{"given", host(both), []string{"--cuk=given"}, "given", "flag --cuk"},
		{"antpickax", host(both), nil, "from-antpickax", own},
		{"instance id, without its line end", host(map[string]string{cloud: instance + "\n"}), nil, instance, cloud},
		{"other instance id file", host(map[string]string{"/srv/id": "x"}), []string{"--instance-id-file=/srv/id"}, "x", "/srv/id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := mustLoad(t, tt.host, tt.args...)
			got, err := o.ResolveCUK()
			if err != nil || got != tt.cuk {
				t.Errorf("got %q, %v, want %q", got, err, tt.cuk)
			}
			if from := o.Source("cuk").String(); from != tt.sourced {
				t.Errorf("source %s, want %s", from, tt.sourced)
			}
		})
	}
}

func TestCUKThatCannotBeUsed(t *testing.T) {
	const own, cloud = "/etc/antpickax/k2hr3-cuk", "/var/lib/cloud/data/instance-id"
	tests := []struct {
		name string
		host Host
		want []string
	}{
		{"no file", host(nil), []string{"CUK is not known: cannot read " + cloud, "does not exist", "set cuk"}},
		{"unreadable", deny(host(map[string]string{own: "x", cloud: "y"}), own), []string{"cannot read " + own + ": permission denied"}},
		{"empty", host(map[string]string{cloud: "\n"}), []string{cloud + ": the CUK in it is empty"}},
		{"empty file goes before the other", host(map[string]string{own: "", cloud: "y"}), []string{own + ": the CUK in it is empty"}},
		{"blank", host(map[string]string{cloud: "a b"}), []string{cloud + ": the CUK in it contains a blank", "nobody can find or remove"}},
		{"two lines", host(map[string]string{cloud: "a\nb\n"}), []string{cloud + ": the CUK in it contains a blank"}},
		{"no-break space", host(map[string]string{cloud: "a\u00a0b"}), []string{"contains a blank"}},
		{"control character", host(map[string]string{cloud: "a\x01b"}), []string{cloud + ": the CUK in it contains a control character"}},
		{"backslash", host(map[string]string{cloud: `a\b`}), []string{"a quote or a backslash"}},
		{"directory", host(map[string]string{cloud + "/x": ""}), []string{cloud + " is a directory"}},
		{"not text", host(map[string]string{cloud: "\xff"}), []string{cloud + " is not UTF-8 text"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustLoad(t, tt.host).ResolveCUK()
			wantError(t, err, tt.want...)
		})
	}
}

func TestCUKIsReadAtEachCall(t *testing.T) {
	files := fstest.MapFS{}
	o := mustLoad(t, Host{Files: files})
	if _, err := o.ResolveCUK(); err == nil {
		t.Fatal("no error without a file")
	}
	files["var/lib/cloud/data/instance-id"] = &fstest.MapFile{Data: []byte(instance)}
	if got, err := o.ResolveCUK(); got != instance || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestWhereTheTokenFileIsFound(t *testing.T) {
	const (
		credential = "/run/credentials/agent/role-token"
		own        = "/etc/k2hdkc/role-token"
		antpickax  = "/etc/antpickax/k2hr3-role-token"
		env        = "CREDENTIALS_DIRECTORY=/run/credentials/agent"
	)
	files := func(names ...string) map[string]string {
		m := map[string]string{}
		for _, n := range names {
			m[n] = token
		}
		return m
	}
	tests := []struct {
		name         string
		host         Host
		args         []string
		file, source string
	}{
		{"given, even if it does not exist", host(files(credential, own, antpickax), env), []string{"--role-token-file=/srv/t"}, "/srv/t", "flag --role-token-file"},
		{"credential first", host(files(credential, own, antpickax), env), nil, credential, credential},
		{"credential only where systemd says so", host(files(credential, own, antpickax)), nil, own, own},
		{"no relative credentials", host(files(credential, own), "CREDENTIALS_DIRECTORY=run/credentials/agent"), nil, own, own},
		{"credentials without a token", host(files(own, antpickax), env), nil, own, own},
		{"own file before antpickax", host(files(own, antpickax)), nil, own, own},
		{"antpickax last", host(files(antpickax)), nil, antpickax, antpickax},
		{"none", host(nil, env), nil, "", "default"},
		{"one that must not be looked at is not passed over", deny(host(files(own, antpickax)), own), nil, own, own},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := mustLoad(t, tt.host, tt.args...)
			if o.RoleTokenFile != tt.file || o.Source("role-token-file").String() != tt.source {
				t.Errorf("got %q from %s, want %q from %s", o.RoleTokenFile, o.Source("role-token-file"), tt.file, tt.source)
			}
		})
	}
}

func TestTokenFileIsLookedForAgain(t *testing.T) {
	files := fstest.MapFS{}
	o := mustLoad(t, Host{Files: files})
	files["etc/k2hdkc/role-token"] = &fstest.MapFile{Data: []byte(token)}
	if got, _ := o.FindRoleTokenFile(); got != "/etc/k2hdkc/role-token" {
		t.Errorf("got %q", got)
	}
}

func TestInputsNameEveryFileAValueMayComeFrom(t *testing.T) {
	h := host(nil, "CREDENTIALS_DIRECTORY=/run/credentials/agent")
	got := mustLoad(t, h, "--ca-file", "/etc/ca.pem", "--antpickax-dir", "/opt/a").Inputs()
	for _, want := range []string{
		"/etc/k2hdkc/slave-agent.ini", "/etc/k2hdkc/role-token", "/run/credentials/agent/role-token", "/etc/ca.pem",
		"/opt/a/k2hr3-role-token", "/opt/a/k2hr3-api-uri", "/opt/a/k2hr3-role-name", "/opt/a/k2hr3-cuk",
		"/var/lib/cloud/data/instance-id",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %q", want, got)
		}
	}
}
