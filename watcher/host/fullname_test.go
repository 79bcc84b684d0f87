package host

import "testing"

func TestTheFullNameIsThatOfK2HR3sInitScript(t *testing.T) {
	for _, tt := range []struct{ host, domain, canonical, want string }{
		{"vm-7", "shop.example", "", "vm-7.shop.example"},
		{"vm-7", "shop.example", "vm-7.other.example.", "vm-7.shop.example"},
		{"vm-7", "", "vm-7.other.example.", "vm-7.other.example"},
		{"vm-7", "", "vm-7.", "vm-7"},
		{"vm-7", "", "", "vm-7"},
		{"vm-7.", "shop.example", "", "vm-7.shop.example"},
		{"vm-7", "shop.example.", "", "vm-7.shop.example"},
	} {
		if got := join(tt.host, tt.domain, tt.canonical); got != tt.want {
			t.Errorf("join(%q, %q, %q) = %q, want %q", tt.host, tt.domain, tt.canonical, got, tt.want)
		}
	}
}

func TestOnlyANameOfThisHostsAddressesIsItsOwn(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1": true, "192.0.2.1": false, "2001:db8::1": false} {
		if got := resolvesHere(t.Context(), addr); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}
