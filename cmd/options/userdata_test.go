package options

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

func elsewhere(t *testing.T, h System, args ...string) *Options {
	t.Helper()
	o, err := Load(verb(t, "user-data"), args, h)
	fatal.If(t, err)
	return o
}

// Whatever a value is, another host reads the same one.
func TestElsewhereReadsTheSame(t *testing.T) {
	args := []string{"--api-uri", "https://k2hr3.shop.example/", "--role", "yrn:yahoo:::Shop:role:Orders/slave",
		"--resource", "YRN:yahoo:::shop:resource:orders/other", "--tag", "app.shop.example"}
	for key, value := range map[string]string{
		"output": `/etc/it's "here"/100%.ini`, "state-dir": "'/var/lib/x'", "run-dir": `/run/a;b#c=d`, "owner": `"me"`, "group": "`us`",
		"status-command": "", "check-command": "/opt/chmpxconftest", "mode": "0640", "unit": `a\x2db.service`, "interval": "90s",
		"stamp": "NO", "wait": "0", "log-level": "Warning", "instance-id-file": "/x/${id}",
	} {
		if strings.HasPrefix(value, "'/") {
			value = strings.Trim(value, "'") // a path cannot begin with a quote
		}
		args = append(args, "--"+key+"="+value)
	}
	o := elsewhere(t, system(nil), args...)
	text, left, err := o.Elsewhere(nil)
	if err != nil || len(left) > 0 {
		t.Fatalf("%v, left out %v", err, left)
	}
	there, err := Load(verb(t, "run"), nil, configured(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	value := func(o *Options, key string) any {
		if s, ok := o.settings[key]; ok {
			return o.elsewhere(s, nil)
		}
		return nil
	}
	for _, opt := range Table() {
		if diff := cmp.Diff(value(o, opt.Key), value(there, opt.Key)); diff != "" && opt.Key != "config" {
			t.Errorf("%s (-here +there):\n%s", opt.Key, diff)
		}
	}
	if there.Output != o.Output || there.Role.String() != "yrn:yahoo:::shop:role:orders/slave" || there.APIURI.String() != "https://k2hr3.shop.example" || there.Owner != `"me"` {
		t.Errorf("there it is\n%s", text)
	}
}

func TestElsewhereIsWhatSomebodySet(t *testing.T) {
	h := configured("[k2hr3]\napi-uri = http://k2hr3\nrole = yrn:yahoo:::shop:role:orders/slave\nrole-token-file = /root/token\n[slave]\ncuk = me\ntag = me.example\n")
	o := elsewhere(t, h, "--ca-file", "roots.pem", "--peek", "3s")
	text, left, err := o.Elsewhere(map[string]string{"ca-file": "/there/ca.pem"})
	fatal.If(t, err)
	want := "[k2hr3]\napi-uri = http://k2hr3\nrole = yrn:yahoo:::shop:role:orders/slave\nca-file = /there/ca.pem\n\n[chmpx]\npeek = 3s\n"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if len(left) != 2 || left[0].Option.Key != "cuk" || left[1].Option.Key != "tag" {
		t.Errorf("left out: %v", left)
	}
}

func TestElsewhereRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  string
		want string
	}{
		{"a CUK", []string{"--cuk", "x"}, "", "flag --cuk: every VM has its own"},
		{"a CUK in the environment", nil, "K2HDKC_SLAVE_CUK=x", "environment K2HDKC_SLAVE_CUK: every VM has its own"},
		{"what looks like a comment", []string{"--run-dir", "/run/a #b"}, "", "flag --run-dir:"},
	} {
		h := system(nil)
		if tt.env != "" {
			h.Environ = append(h.Environ, tt.env)
		}
		_, _, err := elsewhere(t, h, tt.args...).Elsewhere(nil)
		wantError(t, err, tt.want)
		if isUsage(err) != (tt.args != nil) {
			t.Errorf("%s: usage error: %v", tt.name, err)
		}
	}
}

// A path of the new VM has nothing to do with where the command line is typed.
func TestPathsOfAnotherHost(t *testing.T) {
	v := verb(t, "user-data")
	for _, opt := range append(Table(), v.Flags...) {
		if opt.Kind != KindFile && opt.Kind != KindDir {
			continue
		}
		_, err := Load(v, []string{opt.Flag(), "some/where.ini"}, system(map[string]string{"/home/op/some/where.ini": ""}))
		here := opt.Section == "" || opt.Section == "k2hr3"
		relative := err != nil && strings.Contains(err.Error(), "not an absolute path")
		if here == relative {
			t.Errorf("%s: a path of this host: %v, but %v", opt.Flag(), here, err)
		}
	}
}

func TestPackagesAndUsersOfANewVM(t *testing.T) {
	for _, c := range []struct {
		args            []string
		packages, users []string
	}{
		{nil, []string{"k2hdkc"}, nil},
		{[]string{"--packages="}, nil, nil},
		{[]string{"--packages", "k2hdkc=1.0.19 libfoo,libbar+"}, []string{"k2hdkc=1.0.19", "libfoo", "libbar+"}, nil},
		{[]string{"--app-user", "shop", "--app-user=mail", "--app-user", "a b"}, []string{"k2hdkc"}, []string{"shop", "mail", "a", "b"}},
	} {
		o, err := Load(verb(t, "user-data"), append([]string{"--config", "/none"}, c.args...), system(map[string]string{"/none": ""}))
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		if !slices.Equal(o.UserData.Packages, c.packages) || !slices.Equal(o.UserData.AppUsers, c.users) {
			t.Errorf("%q: packages %q, users %q", c.args, o.UserData.Packages, o.UserData.AppUsers)
		}
	}
	for _, args := range [][]string{{"--packages", "a;b"}, {"--packages", "-y"}, {"--app-user", "$(id)"}, {"--app-user", ""}} {
		if _, err := Load(verb(t, "user-data"), args, system(nil)); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
