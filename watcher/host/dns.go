package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsTimeout is how long one name server may take.
const dnsTimeout = 2 * time.Second

// inDNS reports whether the DNS has an address record for exactly that name.
// chmpx asks the DNS itself here, past the hosts file and without search
// domains, and only then counts the kernel's host name among its own
// (docs/chmpx.md C.3); Go's resolver has no way to leave the hosts file out.
func inDNS(ctx context.Context, name string) bool {
	for _, server := range readResolvConf().servers {
		found, err := askDNS(ctx, net.JoinHostPort(server, "53"), name)
		if err == nil {
			return found
		}
	}
	return false
}

// askDNS asks one name server, a host:port, whether a name has an A record. An
// error means that the server gave no usable answer and another may be asked.
func askDNS(ctx context.Context, server, name string) (found bool, err error) {
	q, err := newDNSQuery(name)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	found, err = q.ask(ctx, "udp", server)
	if errors.Is(err, errTruncated) {
		found, err = q.ask(ctx, "tcp", server)
	}
	return found, err
}

// dnsQuery is one question, and the identifier that its answer has to carry.
// Both are checked, because the answer decides which names are this host's.
type dnsQuery struct {
	id       uint16
	question dnsmessage.Question
	packed   []byte
}

func newDNSQuery(name string) (dnsQuery, error) {
	full, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil || full.Length == 1 {
		return dnsQuery{}, fmt.Errorf("%.80q is no name for the DNS", name)
	}
	q := dnsQuery{
		id:       uint16(rand.Uint32()),
		question: dnsmessage.Question{Name: full, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, RecursionDesired: true})
	if err := errors.Join(b.StartQuestions(), b.Question(q.question)); err != nil {
		return dnsQuery{}, err
	}
	q.packed, err = b.Finish()
	return q, err
}

func (q dnsQuery) ask(ctx context.Context, network, server string) (found bool, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, server)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		return q.overTCP(conn)
	}
	return q.overUDP(conn)
}

// overUDP reads on when a message is not the answer: a late or forged one must
// not keep the true one from being read.
func (q dnsQuery) overUDP(conn net.Conn) (found bool, err error) {
	if _, err := conn.Write(q.packed); err != nil {
		return false, err
	}
	buf := make([]byte, 1500)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return false, err
		}
		if found, err = q.read(buf[:n]); !errors.Is(err, errNotTheAnswer) {
			return found, err
		}
	}
}

// overTCP sends and reads messages with their length, in two bytes, in front.
func (q dnsQuery) overTCP(conn net.Conn) (found bool, err error) {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(q.packed)))
	if _, err := conn.Write(append(b, q.packed...)); err != nil {
		return false, err
	}
	if _, err := io.ReadFull(conn, b); err != nil {
		return false, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(b))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return false, err
	}
	return q.read(answer)
}

var (
	errNotTheAnswer = errors.New("the message does not answer the question")
	errTruncated    = errors.New("the answer is truncated")
)

// read reports whether an answer has a record. A name that does not exist has
// none, which is no error.
func (q dnsQuery) read(message []byte) (found bool, err error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || h.ID != q.id {
		return false, errNotTheAnswer
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || !q.asked(asked[0]) {
		return false, errNotTheAnswer
	}
	switch {
	case h.Truncated:
		return false, errTruncated
	case h.RCode == dnsmessage.RCodeNameError:
		return false, nil
	case h.RCode != dnsmessage.RCodeSuccess:
		return false, fmt.Errorf("the name server answers %s", h.RCode)
	}
	_, err = p.AnswerHeader()
	if errors.Is(err, dnsmessage.ErrSectionDone) {
		return false, nil
	}
	return err == nil, err
}

// asked compares questions; a server may write the name in other letters' case.
func (q dnsQuery) asked(other dnsmessage.Question) bool {
	return other.Type == q.question.Type && other.Class == q.question.Class &&
		strings.EqualFold(other.Name.String(), q.question.Name.String())
}
