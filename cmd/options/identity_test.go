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
		system       System
		args         []string
		cuk, sourced string
	}{
		{"given", system(both), []string{"--cuk=given"}, "given", "flag --cuk"},
		{"antpickax", system(both), nil, "from-antpickax", own},
		{"instance id, without its line end", system(map[string]string{cloud: instance + "\n"}), nil, instance, cloud},
		{"other instance id file", system(map[string]string{"/srv/id": "x"}), []string{"--instance-id-file=/srv/id"}, "x", "/srv/id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := mustLoad(t, tt.system, tt.args...)
			got, err := o.ResolveCUK()
			if err != nil || got.String() != tt.cuk {
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
		name   string
		system System
		want   []string
	}{
		{"no file", system(nil), []string{"CUK is not known: cannot read " + cloud, "does not exist", "set cuk"}},
		{"unreadable", deny(system(map[string]string{own: "x", cloud: "y"}), own), []string{"cannot read " + own + ": permission denied"}},
		{"empty", system(map[string]string{cloud: "\n"}), []string{cloud + ": the CUK is empty"}},
		{"empty file goes before the other", system(map[string]string{own: "", cloud: "y"}), []string{own + ": the CUK is empty"}},
		{"blank", system(map[string]string{cloud: "a b"}), []string{cloud + ": the CUK contains a blank", "nobody can find or remove"}},
		{"two lines", system(map[string]string{cloud: "a\nb\n"}), []string{cloud + ": the CUK contains a blank"}},
		{"no-break space", system(map[string]string{cloud: "a\u00a0b"}), []string{"contains a blank"}},
		{"control character", system(map[string]string{cloud: "a\x01b"}), []string{cloud + ": the CUK contains a control character"}},
		{"backslash", system(map[string]string{cloud: `a\b`}), []string{cloud, `the CUK contains '\\'`}},
		{"directory", system(map[string]string{cloud + "/x": ""}), []string{cloud + ": it is not a regular file but a directory"}},
		{"not text", system(map[string]string{cloud: "\xff"}), []string{cloud + " is not UTF-8 text"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustLoad(t, tt.system).ResolveCUK()
			wantError(t, err, tt.want...)
		})
	}
}

func TestCUKIsReadAtEachCall(t *testing.T) {
	files := fstest.MapFS{}
	o := mustLoad(t, System{Files: files})
	if _, err := o.ResolveCUK(); err == nil {
		t.Fatal("no error without a file")
	}
	files["var/lib/cloud/data/instance-id"] = &fstest.MapFile{Data: []byte(instance)}
	if got, err := o.ResolveCUK(); got.String() != instance || err != nil {
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
		system       System
		args         []string
		file, source string
	}{
		{"given, even if it does not exist", system(files(credential, own, antpickax), env), []string{"--role-token-file=/srv/t"}, "/srv/t", "flag --role-token-file"},
		{"credential first", system(files(credential, own, antpickax), env), nil, credential, credential},
		{"credential only where systemd says so", system(files(credential, own, antpickax)), nil, own, own},
		{"no relative credentials", system(files(credential, own), "CREDENTIALS_DIRECTORY=run/credentials/agent"), nil, own, own},
		{"credentials without a token", system(files(own, antpickax), env), nil, own, own},
		{"own file before antpickax", system(files(own, antpickax)), nil, own, own},
		{"antpickax last", system(files(antpickax)), nil, antpickax, antpickax},
		{"none", system(nil, env), nil, "", "default"},
		{"one that must not be looked at is not passed over", deny(system(files(own, antpickax)), own), nil, own, own},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := mustLoad(t, tt.system, tt.args...)
			if o.RoleTokenFile != tt.file || o.Source("role-token-file").String() != tt.source {
				t.Errorf("got %q from %s, want %q from %s", o.RoleTokenFile, o.Source("role-token-file"), tt.file, tt.source)
			}
		})
	}
}

func TestTokenFileIsLookedForAgain(t *testing.T) {
	files := fstest.MapFS{}
	o := mustLoad(t, System{Files: files})
	files["etc/k2hdkc/role-token"] = &fstest.MapFile{Data: []byte(token)}
	if got, _ := o.FindRoleTokenFile(); got != "/etc/k2hdkc/role-token" {
		t.Errorf("got %q", got)
	}
}

func TestInputsNameEveryFileAValueMayComeFrom(t *testing.T) {
	h := system(nil, "CREDENTIALS_DIRECTORY=/run/credentials/agent")
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
