package host

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

const webName = "web-1.shop.internal"

// dnsAnswer is the answer of a name server that has the name, and changes to it.
func dnsAnswer(t testing.TB, query []byte, change func(*dnsmessage.Message)) []byte {
	t.Helper()
	var m dnsmessage.Message
	noError(t, m.Unpack(query))
	m.Response = true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60},
		Body:   &dnsmessage.AResource{A: [4]byte{10, 20, 0, 31}},
	}}
	if change != nil {
		change(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func otherName(m *dnsmessage.Message) {
	m.Questions[0].Name = dnsmessage.MustNewName("web-2.shop.internal.")
}

func truncated(m *dnsmessage.Message) { m.Truncated, m.Answers = true, nil }

func TestDNSAnswers(t *testing.T) {
	q, err := newDNSQuery(webName)
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("any other error")
	for _, c := range []struct {
		name   string
		change func(*dnsmessage.Message)
		found  bool
		err    error
	}{
		{"a record", nil, true, nil},
		{"in another case", func(m *dnsmessage.Message) {
			m.Questions[0].Name = dnsmessage.MustNewName("WEB-1.shop.Internal.")
		}, true, nil},
		{"an alias", func(m *dnsmessage.Message) {
			m.Answers[0].Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("a.shop.internal.")}
		}, true, nil},
		{"no record", func(m *dnsmessage.Message) { m.Answers = nil }, false, nil},
		{"no such name", func(m *dnsmessage.Message) { m.RCode, m.Answers = dnsmessage.RCodeNameError, nil }, false, nil},
		{"no such name, with a record", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError }, false, nil},
		{"a server that fails", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }, false, failed},
		{"a server that refuses", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused }, false, failed},
		{"truncated", truncated, false, errTruncated},
		{"another id", func(m *dnsmessage.Message) { m.ID++ }, false, errNotTheAnswer},
		{"another name", otherName, false, errNotTheAnswer},
		{"another type", func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeAAAA }, false, errNotTheAnswer},
		{"another class", func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }, false, errNotTheAnswer},
		{"no question", func(m *dnsmessage.Message) { m.Questions = nil }, false, errNotTheAnswer},
		{"a second question", func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }, false, errNotTheAnswer},
		{"a query", func(m *dnsmessage.Message) { m.Response = false }, false, errNotTheAnswer},
	} {
		found, err := q.read(dnsAnswer(t, q.packed, c.change))
		if found != c.found || !errors.Is(err, c.err) && (c.err != failed || err == nil) {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, found, err, c.found, c.err)
		}
	}
	whole := dnsAnswer(t, q.packed, nil)
	for n := range len(whole) - 4 { // the last four are the address, which is not read
		if found, err := q.read(whole[:n]); found || err == nil {
			t.Errorf("cut after %d of %d bytes: %v, %v", n, len(whole), found, err)
		}
	}
}

func TestNamesThatTheDNSCannotHave(t *testing.T) {
	for _, name := range []string{"", ".", "a..b", ".a", strings.Repeat("a", 64), strings.Repeat("a.", 200)} {
		if _, err := newDNSQuery(name); err == nil {
			t.Errorf("%.20q is asked for", name)
		}
	}
}

func TestQueriesHaveIdentifiersOfTheirOwn(t *testing.T) {
	ids := map[uint16]bool{}
	for range 20 {
		q, err := newDNSQuery(webName)
		if err != nil {
			t.Fatal(err)
		}
		ids[q.id] = true
	}
	if len(ids) < 15 {
		t.Errorf("20 queries have %d identifiers", len(ids))
	}
}

// nameServer is a name server on the loopback interface that answers one query
// over UDP, with all that udp returns, and one over TCP.
func nameServer(t *testing.T, udp func(query []byte) [][]byte, tcp func(query []byte) []byte) (addr string) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = packets.LocalAddr().String()
	streams, err := net.Listen("tcp", addr)
	if err != nil {
		packets.Close()
		t.Skipf("the TCP port of the same number is taken: %v", err)
	}
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 512)
		n, from, err := packets.ReadFrom(buf)
		if err != nil {
			return
		}
		for _, b := range udp(buf[:n]) {
			packets.WriteTo(b, from)
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		conn, err := streams.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		b := tcp(query)
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	}()
	t.Cleanup(func() {
		packets.Close()
		streams.Close()
		<-done
		<-done
	})
	return addr
}

func TestAskDNS(t *testing.T) {
	has := func(query []byte) []byte { return dnsAnswer(t, query, nil) }
	hasNot := func(query []byte) []byte {
		return dnsAnswer(t, query, func(m *dnsmessage.Message) { m.RCode, m.Answers = dnsmessage.RCodeNameError, nil })
	}
	none := func([]byte) []byte { return nil }
	for _, c := range []struct {
		name string
		udp  func(query []byte) [][]byte
		tcp  func(query []byte) []byte
		want bool
	}{
		{"has it", func(q []byte) [][]byte { return [][]byte{has(q)} }, none, true},
		{"has it not", func(q []byte) [][]byte { return [][]byte{hasNot(q)} }, none, false},
		{"forged answers come first", func(q []byte) [][]byte {
			return [][]byte{
				dnsAnswer(t, q, func(m *dnsmessage.Message) { m.ID ^= 0x8001 }), dnsAnswer(t, q, otherName), q, []byte("x"), hasNot(q),
			}
		}, none, false},
		{"too much for UDP", func(q []byte) [][]byte { return [][]byte{dnsAnswer(t, q, truncated)} }, has, true},
		{"too much for UDP, but not there", func(q []byte) [][]byte { return [][]byte{dnsAnswer(t, q, truncated)} }, hasNot, false},
	} {
		got, err := askDNS(t.Context(), nameServer(t, c.udp, c.tcp), webName)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// Who asks may end at any time, whatever the name server does.
func TestAskDNSEndsWithItsContext(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn.ReadFrom(make([]byte, 512)) // the query has arrived
		cancel()
	}()
	if _, err := askDNS(ctx, conn.LocalAddr().String(), webName); !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() == nil {
		t.Errorf("ended by %v", err)
	}
}
