package host

import (
	"slices"
	"testing"
)

func TestTheResolversDomainIsTheLastSearchWordElseTheDomain(t *testing.T) {
	for _, tt := range []struct{ conf, want string }{
		{"search shop.example\n", "shop.example"},
		{"search a.example b.example\n", "b.example"},
		{"domain d.example\nsearch a.example b.example\n", "b.example"},
		{"search a.example\ndomain d.example\n", "a.example"},
		{"nameserver 10.20.0.2\ndomain d.example\n", "d.example"},
		{"search .\n", ""},
		{"search .shop.example.\n", "shop.example"},
		{"# search no.example\nsearch\n", ""},
		{"", ""},
	} {
		if got := parseResolvConf(tt.conf).domain; got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.conf, got, tt.want)
		}
	}
}

func TestTheNameServersOfResolvConf(t *testing.T) {
	got := parseResolvConf("# x\nsearch shop\nnameserver 10.0.0.2\n nameserver  fd00::2 # y\nnameserver\n").servers
	if want := []string{"10.0.0.2", "fd00::2"}; !slices.Equal(got, want) {
		t.Errorf("name servers %q, want %q", got, want)
	}
}
