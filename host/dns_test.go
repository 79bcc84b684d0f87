package host

import (
	"net"
	"strings"
	"testing"
)

func TestDNSQuery(t *testing.T) {
	q, ok := dnsQuery("web-1.shop.")
	if want := "k2\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05web-1\x04shop\x00\x00\x01\x00\x01"; !ok || string(q) != want {
		t.Errorf("got %q", q)
	}
	for _, name := range []string{"", ".", "a..b", strings.Repeat("a", 64), strings.Repeat("a.", 200)} {
		if _, ok := dnsQuery(name); ok {
			t.Errorf("%.20q is no name to ask for", name)
		}
	}
	answer := func(flags3 byte, answers byte) []byte {
		return []byte{'k', '2', 0x81, flags3, 0, 1, 0, answers, 0, 0, 0, 0}
	}
	for _, c := range []struct {
		answer []byte
		want   bool
	}{{answer(0x80, 1), true}, {answer(0x80, 0), false}, {answer(0x83, 1), false}, {answer(0x80, 1)[:11], false}, {[]byte("xxxxxxxxxxxx"), false}} {
		if got := hasAnswer(q, c.answer); got != c.want {
			t.Errorf("%x: %v", c.answer, got)
		}
	}
}

// TestAskDNS asks a name server on the loopback interface.
func TestAskDNS(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		buf[2] |= 0x80 // a response
		buf[7] = 1     // with one answer
		conn.WriteTo(buf[:n], from)
	}()
	q, _ := dnsQuery("web-1.shop.internal")
	answer, err := askDNS(t.Context(), conn.LocalAddr().String(), q)
	<-done
	if err != nil || !hasAnswer(q, answer) {
		t.Errorf("answer %x, %v", answer, err)
	}
}
