package options

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"role", "resource", "reload", "unit", "wait", "state-dir", "restart-unconfirmed"}
	tests := []struct{ name, want string }{
		{"role", "role"},
		{"rolle", "role"},
		{"roel", "role"},
		{"rale", "role"},
		{"rol", "role"},
		{"ROLE", "role"},
		{"ressource", "resource"},
		{"state_dir", "state-dir"},
		{"statedir", "state-dir"},
		{"restart-unconfirmd", "restart-unconfirmed"},
		{"erstartuncofnirmed", "restart-unconfirmed"},
		{"erstartuncofnirmde", ""},
		{"restart", ""},
		{"x", ""},
		{"", ""},
		{"colour", ""},
	}
	for _, tt := range tests {
		if got, _ := nearest(tt.name, known); got != tt.want {
			t.Errorf("nearest to %q is %q, want %q", tt.name, got, tt.want)
		}
	}
}
