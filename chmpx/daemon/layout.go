package daemon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"time"
)

// The layout of chmpx's memory as CHMINFO_VERSION 1.1 has it on a 64-bit machine that stores the
// low byte first: offsets in bytes (docs/chmpx.md F.9). Pointers in it are offsets from its
// beginning, 0 for none.
const (
	layoutVersion = "CHMINFO_VERSION 1.1"
	layoutSize    = 34704 // what the memory says of its first part's size

	atVersion  = 0 // 32 bytes, as all texts up to their first NUL
	atSize     = 32
	atPID      = 40
	atStarted  = 48
	atGroup    = 56 // 256 bytes
	atRevision = 312
	atMaxNodes = 336
	headSize   = 344

	atSelf     = 33128 // from here on these are offsets in the part that begins here
	inServers  = 24
	inSlaves   = 40
	inFree     = 48
	inClients  = 1536
	countsSize = 1544

	// A node: what chains it to the next, then the node itself, in two parts with the paths of
	// its certificates between them.
	inNext    = 8
	inName    = 24 + 8 // 1025 bytes
	inPort    = 24 + 1056
	inCtlPort = 24 + 1058
	inSSL     = 24 + 1060
	inSecond  = 24 + 6184
	inSockets = inSecond
	inStatus  = inSecond + 32
	inCUK     = inSecond + 40
	inSeed    = inCUK + 2048
	nodeSize  = inSeed + 2048

	linkSize = 24 // a socket, a client: two pointers and a number
)

// mostLinks bounds the chains that are followed, all together: chmpx has 32,768 nodes at most, and
// few connections to each.
const mostLinks = 1 << 17

var errLayout = errors.New("the agent does not know the layout of chmpx's memory")

// layout reads what [Status] needs from chmpx's memory. What it reads may change under it: only a
// status that was read twice is one.
type layout struct {
	io.ReaderAt

	size  int64
	links int // followed so far
	buf   [nodeSize]byte
	last  string // the latest state text: most nodes share it

	// What was read for the latest status: where, and the sum of it.
	parts []part
	sum   maphash.Hash
}

// part is a part of the memory.
type part struct {
	off int64
	n   int
}

// at returns n bytes, which are good until the next call.
func (l *layout) at(off int64, n int) ([]byte, error) {
	if off <= 0 && n != headSize || off > l.size-int64(n) {
		return nil, fmt.Errorf("%w: it points outside of itself", errLayout)
	}
	l.parts = append(l.parts, part{off, n})
	b := l.buf[:n]
	_, err := l.ReadAt(b, off)
	l.sum.Write(b)
	return b, err
}

// unchanged tells whether the parts that were read for the latest status hold what they held then.
func (l *layout) unchanged() bool {
	var sum maphash.Hash
	sum.SetSeed(l.sum.Seed())
	for _, p := range l.parts {
		b := l.buf[:p.n]
		if _, err := l.ReadAt(b, p.off); err != nil {
			return false
		}
		sum.Write(b)
	}
	return sum.Sum64() == l.sum.Sum64()
}

// status reads the whole.
func (l *layout) status() (st Status, err error) {
	l.links = 0
	l.parts = l.parts[:0]
	l.sum.Reset()
	head, err := l.at(0, headSize)
	if err != nil {
		return st, err
	}
	if cString(head[atVersion:atVersion+32]) != layoutVersion || number64(head[atSize:]) != layoutSize {
		return st, fmt.Errorf("%w: it is %.32q", errLayout, cString(head[atVersion:atVersion+32]))
	}
	st.PID = number32(head[atPID:])
	st.Started = time.Unix(int64(number64(head[atStarted:])), 0)
	st.Group = cString(head[atGroup:atRevision])
	st.Revision, st.MaxNodes = number64(head[atRevision:]), number64(head[atMaxNodes:])

	counts, err := l.at(atSelf, countsSize)
	if err != nil {
		return st, err
	}
	self, servers, slaves := pointer(counts), pointer(counts[inServers:]), pointer(counts[inSlaves:])
	clients := pointer(counts[inClients:])
	st.FreeNodes = number64(counts[inFree:])
	if st.Self, _, err = l.node(self, &st); err != nil {
		return st, err
	}
	if st.Servers, err = l.nodes(servers, self, &st); err != nil {
		return st, err
	}
	if st.Slaves, err = l.nodes(slaves, self, &st); err != nil {
		return st, err
	}
	st.Clients, err = l.count(clients)
	return st, err
}

// nodes follows a chain of nodes; the node of this chmpx itself is not one of them.
func (l *layout) nodes(next, self int64, st *Status) (list []Node, err error) {
	for next != 0 {
		var n Node
		at := next
		if n, next, err = l.node(at, st); err != nil {
			return nil, err
		}
		if at != self {
			list = append(list, n)
		}
	}
	return list, nil
}

func (l *layout) node(at int64, st *Status) (n Node, next int64, err error) {
	if err := l.follow(); err != nil {
		return n, 0, err
	}
	b, err := l.at(at, nodeSize)
	if err != nil {
		return n, 0, err
	}
	next = pointer(b[inNext:])
	n.Name = cString(b[inName : inName+1025])
	n.Port, n.CtlPort = number16(b[inPort:]), number16(b[inCtlPort:])
	n.SSL = b[inSSL] != 0
	st.SSL = st.SSL || n.SSL
	n.CUK, n.Seed = cString(b[inCUK:inCUK+2048]), cString(b[inSeed:inSeed+2048])
	sockets := pointer(b[inSockets:])
	if n.State, err = l.state(number64(b[inStatus:])); err != nil {
		return n, 0, err
	}
	n.Sockets, err = l.count(sockets)
	return n, next, err
}

// count returns how many links a chain has.
func (l *layout) count(next int64) (n int, err error) {
	for ; next != 0; n++ {
		if err := l.follow(); err != nil {
			return 0, err
		}
		b, err := l.at(next, linkSize)
		if err != nil {
			return 0, err
		}
		next = pointer(b[inNext:])
	}
	return n, nil
}

// follow counts what is followed.
func (l *layout) follow() error {
	if l.links++; l.links > mostLinks {
		return fmt.Errorf("%w: a chain without an end", errLayout)
	}
	return nil
}

// The bits of a node's state, and chmpxstatus's words for them (docs/chmpx.md E.8). 3 is no value
// of the first two.
var stateWords = [...]struct {
	shift, mask int
	words       []string
}{
	{4, 3, []string{"[SLAVE]", "[SERVICE OUT]", "[SERVICE IN]"}},
	{0, 1, []string{"[DOWN]", "[UP]"}},
	{8, 3, []string{"[n/a]", "[ADD]", "[DELETE]"}},
	{12, 3, []string{"[Nothing]", "[Pending]", "[Doing]", "[Done]"}},
	{16, 1, []string{"[NoSuspend]", "[Suspend]"}},
}

// state says in chmpxstatus's words what the bits of a state mean.
func (l *layout) state(bits int) (string, error) {
	var words bytes.Buffer
	rest := bits
	for _, part := range stateWords {
		value := bits >> part.shift & part.mask
		if value >= len(part.words) {
			return "", fmt.Errorf("%w: state %#x", errLayout, bits)
		}
		words.WriteString(part.words[value])
		rest &^= part.mask << part.shift
	}
	if rest != 0 {
		return "", fmt.Errorf("%w: state %#x", errLayout, bits)
	}
	if l.last != words.String() {
		l.last = words.String()
	}
	return l.last, nil
}

func cString(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}

func pointer(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }
func number64(b []byte) int  { return int(int64(binary.LittleEndian.Uint64(b))) }
func number32(b []byte) int  { return int(int32(binary.LittleEndian.Uint32(b))) }
func number16(b []byte) int  { return int(int16(binary.LittleEndian.Uint16(b))) }
