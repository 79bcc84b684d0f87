package options

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsMissing(t *testing.T) {
	const (
		uri, role, cuk = "/etc/antpickax/k2hr3-api-uri", "/etc/antpickax/k2hr3-role-name", "/etc/antpickax/k2hr3-cuk"
		cloud          = "/var/lib/cloud/data/instance-id"
		api            = "http://k2hr3.example:18080"
	)
	all := map[string]string{uri: api, role: shopRole, cloud: instance}
	without := func(change map[string]string, names ...string) map[string]string {
		files := map[string]string{}
		for name, text := range all {
			files[name] = text
		}
		for name, text := range change {
			files[name] = text
		}
		for _, name := range names {
			delete(files, name)
		}
		return files
	}
	for _, tt := range []struct {
		name   string
		system System
		args   []string
		want   []string
		wrong  string
	}{
		{"nothing", system(all), nil, nil, ""},
		{"everything", system(nil), nil, []string{"api-uri", "role", "cuk"}, ""},
		{"what the configuration does not say", configured("[k2hr3]\nrole = " + shopRole), []string{"--cuk=x"}, []string{"api-uri"}, ""},
		{"a file that is not written yet", system(without(map[string]string{role: "\n"})), nil, []string{"role"}, ""},
		{"the instance id", system(without(nil, cloud)), nil, []string{"cuk"}, ""},
		{"an instance id that is not written yet", system(without(map[string]string{cloud: ""})), nil, []string{"cuk"}, ""},
		{"a k2hr3-cuk that is not written yet", system(without(map[string]string{cuk: ""})), nil, []string{"cuk"}, ""},
		{"what is wrong is not missing", system(without(map[string]string{uri: "k2hr3.example"})), nil, nil, "has no scheme"},
		{"nor is what may not be read", deny(system(all), role), nil, nil, "permission denied"},
		{"nor a key that cannot be used", system(without(map[string]string{cloud: "a b"})), nil, nil, "contains a blank"},
		{"something wrong goes before something missing", system(without(map[string]string{uri: "k2hr3.example"}, role)), nil, []string{"role"}, "has no scheme"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := mustLoad(t, tt.system, tt.args...).Missing()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if tt.wrong != "" {
				wantError(t, err, tt.wrong)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
