package host

import (
	"net"
	"testing"
)

func TestInterfaceAddrsHaveNoZoneAndNoPrefix(t *testing.T) {
	addrs, err := addresses()
	if err != nil || len(addrs) == 0 {
		t.Fatalf("%q, %v", addrs, err)
	}
	for _, a := range asText(addrs) {
		if net.ParseIP(a) == nil {
			t.Errorf("%q is no plain address", a)
		}
	}
}
