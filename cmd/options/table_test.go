package options

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What users and packages rely on: names, places and defaults.
func TestTableIsComplete(t *testing.T) {
	want := [][3]string{
		{"", "config", "/etc/k2hdkc/slave-agent.ini"},
		{"k2hr3", "api-uri", ""},
		{"k2hr3", "role", ""},
		{"k2hr3", "resource", ""},
		{"k2hr3", "role-token-file", ""},
		{"k2hr3", "flavour", "auto"},
		{"k2hr3", "user-token-file", ""},
		{"k2hr3", "forget-bootstrap-token", "no"},
		{"k2hr3", "ca-file", ""},
		{"k2hr3", "cert-file", ""},
		{"k2hr3", "key-file", ""},
		{"k2hr3", "interval", "60s"},
		{"k2hr3", "wait", "55s"},
		{"k2hr3", "timeout", "20s"},
		{"slave", "output", "/etc/k2hdkc/slave.ini"},
		{"slave", "mode", ""},
		{"slave", "owner", ""},
		{"slave", "group", ""},
		{"slave", "cuk", ""},
		{"slave", "tag", ""},
		{"slave", "min-servers", "1"},
		{"slave", "stamp", "yes"},
		{"chmpx", "unit", "chmpx.service"},
		{"chmpx", "reload", "auto"},
		{"chmpx", "start", "yes"},
		{"chmpx", "status-command", "chmpxstatus"},
		{"chmpx", "check-command", "chmpxconftest"},
		{"chmpx", "confirm", "30s"},
		{"chmpx", "restart-unconfirmed", "no"},
		{"chmpx", "peek", "2s"},
		{"chmpx", "heal", "idle"},
		{"chmpx", "chmpx-user", "k2hdkc"},
		{"chmpx", "app-group", "k2hdkc"},
		{"agent", "state-dir", "/var/lib/k2hdkc-slave-agent"},
		{"agent", "run-dir", "/run/k2hdkc-slave-agent"},
		{"agent", "antpickax-dir", "/etc/antpickax"},
		{"agent", "instance-id-file", "/var/lib/cloud/data/instance-id"},
		{"agent", "log-level", "info"},
		{"agent", "log-format", "auto"},
		{"agent", "metrics-listen", ""},
		{"agent", "metrics-textfile", ""},
	}
	var got [][3]string
	for _, o := range Table() {
		got = append(got, [3]string{o.Section, o.Key, o.Default})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

func TestEveryOptionIsExplained(t *testing.T) {
	for _, o := range Table() {
		if o.Help == "" || o.Long == "" || o.Kind == "" || o.Placeholder == "" {
			t.Errorf("%s: help %q, long %q, kind %q and placeholder %q must not be empty", o.Key, o.Help, o.Long, o.Kind, o.Placeholder)
		}
		if o.DefaultText() == "" {
			t.Errorf("%s does not say what happens without a value", o.Key)
		}
		if o.Kind == KindChoice {
			for _, c := range o.Choices {
				if err := o.set(&Options{}, c); err != nil {
					t.Errorf("%s does not take its choice %s: %v", o.Key, c, err)
				}
			}
		}
	}
}
