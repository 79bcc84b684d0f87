package options

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"role", "resource", "reload", "unit", "wait", "state-dir", "restart-unconfirmed"}
	tests := []struct{ name, want string }{
		{"role", "role"},
		{"rolle", "role"},
		{"roel", "role"},
		{"ROLE", "role"},
		{"ressource", "resource"},
		{"state_dir", "state-dir"},
		{"statedir", "state-dir"},
		{"restart-unconfirmd", "restart-unconfirmed"},
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

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"abc", "ab", 1}, {"abc", "abcd", 1}, {"abc", "axc", 1}, {"abc", "acb", 1}, {"abcd", "badc", 2}, {"kitten", "sitting", 3},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance of %q and %q is %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
