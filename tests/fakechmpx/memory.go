package fakechmpx

import (
	"encoding/binary"
	"os"
	"strings"
)

// Where the real chmpx has what it shows, in its memory (F.9). Pointers are offsets from the
// beginning.
const (
	infoVersion = "CHMINFO_VERSION 1.1"
	infoSize    = 34704
	nodesAt     = 34792 // the nodes begin behind the heads of all tables
	nodeSize    = 26776
	slotSize    = 27579 // of the file for each of MAXCHMPX
	linkSize    = 24
)

// image is a state as the real chmpx has it in its memory.
type image struct {
	b     []byte
	links int // where the next link goes
}

func newImage(s Snapshot) *image {
	links := nodesAt + (1+len(s.Servers))*nodeSize
	count := s.Clients + len(s.Self.Sockets)
	for _, e := range s.Servers {
		count += len(e.Sockets)
	}
	i := &image{b: make([]byte, links+count*linkSize), links: links}
	copy(i.b, infoVersion)
	i.put64(32, infoSize)
	i.put32(40, s.PID)
	i.put64(48, int(s.Start))
	copy(i.b[56:56+255], s.Group)
	i.put64(312, s.FileVersion)
	i.put64(336, s.Tuning.MaxChmpx)

	const self, servers = nodesAt, nodesAt + nodeSize
	i.put64(33128, self)
	i.node(self, s.Self)
	i.put64(33144, len(s.Servers))
	for n, e := range s.Servers {
		at := servers + n*nodeSize
		if n == 0 {
			i.put64(33152, at)
		} else {
			i.put64(at, at-nodeSize)
			i.put64(at-nodeSize+8, at)
		}
		i.node(at, e)
	}
	i.put64(33160, 1)
	i.put64(33168, self) // a slave's list of slaves is itself
	i.put64(33176, s.Free)
	i.put64(34664, i.chain(pids(s.PID+1, s.Clients)))
	return i
}

func pids(first, n int) (list []int) {
	for i := range n {
		list = append(list, first+i)
	}
	return list
}

// node writes an entry behind the two pointers, and the third, that chain it.
func (i *image) node(at int, e Entry) {
	at += 24
	i.put64(at, int(e.ID))
	copy(i.b[at+8:at+8+1024], e.Name)
	i.put16(at+1056, e.Port)
	i.put16(at+1058, e.CtlPort)
	if e.TLS.On {
		i.b[at+1060] = 1
	}
	i.put64(at+6184, i.chain(e.Sockets))
	i.put64(at+6216, bits(e.Status))
	copy(i.b[at+6224:at+6224+2047], e.CUK)
	copy(i.b[at+8272:at+8272+2047], e.Seed)
}

// chain writes numbers as links, and returns where the first is.
func (i *image) chain(numbers []int) (first int) {
	if len(numbers) == 0 {
		return 0
	}
	first = i.links
	for n, number := range numbers {
		if n > 0 {
			i.put64(i.links, i.links-linkSize)
		}
		if n < len(numbers)-1 {
			i.put64(i.links+8, i.links+linkSize)
		}
		i.put32(i.links+16, number)
		i.links += linkSize
	}
	return first
}

func (i *image) put64(at, n int) { binary.LittleEndian.PutUint64(i.b[at:], uint64(n)) }
func (i *image) put32(at, n int) { binary.LittleEndian.PutUint32(i.b[at:], uint32(n)) }
func (i *image) put16(at, n int) { binary.LittleEndian.PutUint16(i.b[at:], uint16(n)) }

// bits is the number that E.8's words of a state stand for.
func bits(status string) (n int) {
	for word, value := range map[string]int{
		"[UP]": 0x1, "[SERVICE OUT]": 0x10, "[SERVICE IN]": 0x20, "[ADD]": 0x100, "[DELETE]": 0x200,
		"[Pending]": 0x1000, "[Doing]": 0x2000, "[Done]": 0x3000, "[Suspend]": 0x10000,
	} {
		if strings.Contains(status, word) {
			n |= value
		}
	}
	return n
}

func memorySize(s Snapshot) int { return infoSize + (1+s.Slots)*slotSize }

// makeMemory makes the file that a chmpx has its state in; one that was left is replaced. The file
// stays open for as long as the process runs, and is written in place.
func makeMemory(path string, s Snapshot) (*os.File, error) {
	next := path + ".next"
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(int64(memorySize(s))); err == nil {
		err = writeMemory(f, s)
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func writeMemory(f *os.File, s Snapshot) error {
	_, err := f.WriteAt(newImage(s).b, 0)
	return err
}
