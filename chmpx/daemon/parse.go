package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// MaxOutput bounds what is read of chmpxstatus, in bytes. A server node takes
// a good 1 KiB, so 1,024 of them fit with room for long CUKs and paths.
const MaxOutput = 4 << 20

// ErrFormat says that a text is not the whole of what chmpxstatus prints.
var ErrFormat = errors.New("the agent does not understand what chmpxstatus prints")

// ParseStatus reads the full output of chmpxstatus (without -self). Keys it
// does not know are skipped. A text that lacks a needed key, ends early or
// lists more or fewer nodes than it announces gives an error that is
// ErrFormat; so does one over MaxOutput bytes.
func ParseStatus(b []byte) (Status, error) {
	p, err := parse(b)
	return p.st, err
}

func parse(b []byte) (parser, error) {
	if len(b) > MaxOutput {
		return parser{}, fmt.Errorf("%w: over %d bytes", ErrFormat, MaxOutput)
	}
	p := parser{rest: b}
	if err := p.top(); err != nil {
		return parser{}, fmt.Errorf("%w: line %d: %w", ErrFormat, p.line, err)
	}
	if missing := p.missing(); missing != "" {
		return parser{}, fmt.Errorf("%w: no %q", ErrFormat, missing)
	}
	return p, nil
}

// needed are the parts that a text has to have. The clients come last in
// chmpxstatus's output: a text that has them was not cut off.
var needed = [...]struct {
	name  string
	block bool
}{
	{"chmpx process id", false},
	{"process start time", false},
	{"chmpx name", false},
	{"configuration file version", false},
	{"maximum chmpx count", false},
	{"self chmpx", true},
	{"server chmpxs", true},
	{"free chmpx area count", false},
	{"joining client process", true},
}

type parser struct {
	rest []byte
	line int
	st   Status
	seen [len(needed)]bool
	last string // the latest state text: most nodes share it

	memory string // the path of chmpx's memory; empty: not said
}

func (p *parser) missing() string {
	for i, part := range needed {
		if !p.seen[i] {
			return part.name
		}
	}
	return ""
}

func (p *parser) saw(name []byte, block bool) {
	for i := range needed {
		if needed[i].name == string(name) && needed[i].block == block {
			p.seen[i] = true
		}
	}
}

// next returns the next line without its line end.
func (p *parser) next() ([]byte, bool) {
	if len(p.rest) == 0 {
		return nil, false
	}
	p.line++
	line, rest, _ := bytes.Cut(p.rest, []byte("\n"))
	p.rest = rest
	return bytes.TrimSuffix(line, []byte("\r")), true
}

var errCut = errors.New("the text ends within a block")

// within returns the next line of a block; more is false for the one that ends
// it.
func (p *parser) within() (line []byte, more bool, err error) {
	line, ok := p.next()
	if !ok {
		return nil, false, errCut
	}
	return line, string(bytes.TrimSpace(line)) != "}", nil
}

func (p *parser) top() error {
	for line, ok := p.next(); ok; line, ok = p.next() {
		if err := p.topLine(line); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) topLine(line []byte) error {
	if name, count, ok := header(line); ok {
		if err := p.block(name, count); err != nil {
			return err
		}
		p.saw(name, true)
		return nil
	}
	key, value, ok := pair(line)
	if !ok {
		return nil
	}
	p.saw(key, false)
	return p.global(key, value)
}

func (p *parser) global(key, value []byte) (err error) {
	switch string(key) {
	case "chmpx process id":
		p.st.PID, err = number(value)
		if err == nil && p.st.PID <= 0 {
			err = fmt.Errorf("the process id is %d", p.st.PID)
		}
	case "process start time":
		var sec int
		sec, err = number(value)
		p.st.Started = time.Unix(int64(sec), 0)
	case "chmpx shared memory file path":
		p.memory = string(value)
	case "chmpx name":
		p.st.Group = string(value)
	case "configuration file version":
		p.st.Revision, err = number(value)
	case "maximum chmpx count":
		p.st.MaxNodes, err = number(value)
	case "free chmpx area count":
		p.st.FreeNodes, err = number(value)
	}
	return err
}

func (p *parser) block(name []byte, count int) (err error) {
	switch string(name) {
	case "self chmpx":
		p.st.Self, err = p.node()
	case "server chmpxs":
		p.st.Servers, err = p.nodes(count)
	case "slave chmpxs":
		p.st.Slaves, err = p.nodes(count)
	case "joining client process":
		p.st.Clients, err = p.clients()
	default:
		err = p.skip()
	}
	return err
}

// nodes reads the node blocks of a list up to its end. Their number is not held against
// the one in the list's header: chmpx miscounts now and then (docs/chmpx.md F.7).
func (p *parser) nodes(count int) ([]Node, error) {
	if count < 0 {
		return nil, errors.New("a list of nodes without its length")
	}
	// Do not allocate for whatever length is announced: a node takes far more than
	// 64 bytes of text.
	list := make([]Node, 0, min(count, len(p.rest)/64))
	for {
		line, more, err := p.within()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if _, _, ok := header(line); !ok {
			return nil, errors.New("a list of nodes holds something else")
		}
		n, err := p.node()
		if err != nil {
			return nil, err
		}
		list = add(list, n)
	}
	return list, nil
}

// add appends a node, or folds it into the one that it is. chmpx lists a server twice that it has
// heard of from two others at the same moment, with its connections at one place, for as long as it
// runs (docs/chmpx.md F.7).
func add(list []Node, n Node) []Node {
	for i := range list {
		l := &list[i]
		if l.Name != n.Name || l.CtlPort != n.CtlPort || l.CUK != n.CUK {
			continue
		}
		if n.Sockets > l.Sockets {
			l.State = n.State
		}
		l.Sockets += n.Sockets
		return list
	}
	return append(list, n)
}

// node reads the lines of one node. No block nests in it, so a value may look
// like the start of one.
func (p *parser) node() (Node, error) {
	var n Node
	var hasPort bool
	for {
		line, more, err := p.within()
		if err != nil {
			return n, err
		}
		if !more {
			break
		}
		key, value, ok := pair(line)
		if !ok {
			continue
		}
		hasPort = hasPort || string(key) == "control port"
		if err := p.nodeKey(&n, key, value); err != nil {
			return n, err
		}
	}
	switch {
	case !hasPort:
		return n, errors.New(`a node without "control port"`)
	case n.State == "":
		return n, errors.New(`a node without "status"`)
	}
	p.st.SSL = p.st.SSL || n.SSL
	return n, nil
}

func (p *parser) nodeKey(n *Node, key, value []byte) (err error) {
	switch string(key) {
	case "hostname":
		n.Name = string(value)
	case "port":
		n.Port, err = number(value)
	case "control port":
		n.CtlPort, err = number(value)
	case "cuk":
		n.CUK = string(value)
	case "custom id seed":
		n.Seed = string(value)
	case "ssl":
		n.SSL = string(value) == "yes"
	case "sockets":
		if len(value) > 0 {
			n.Sockets = 1 + bytes.Count(value, []byte(","))
		}
	case "status":
		n.State, err = p.state(value)
	}
	return err
}

// state cuts "SAFE -> " off a status text. The same string is shared by all
// nodes in that state.
func (p *parser) state(value []byte) (string, error) {
	if _, words, ok := bytes.Cut(value, []byte("-> ")); ok {
		value = words
	}
	if len(value) < 2 || value[0] != '[' || value[len(value)-1] != ']' {
		return "", fmt.Errorf("unknown status %.64q", value)
	}
	if p.last != string(value) {
		p.last = string(value)
	}
	return p.last, nil
}

// clients counts the lines of the last block, one for each process.
func (p *parser) clients() (int, error) {
	for n := 0; ; n++ {
		if _, more, err := p.within(); err != nil || !more {
			return n, err
		}
	}
}

// skip passes over a block that is of no interest.
func (p *parser) skip() error {
	for depth := 1; depth > 0; {
		line, more, err := p.within()
		if err != nil {
			return err
		}
		if !more {
			depth--
		} else if _, _, ok := header(line); ok {
			depth++
		}
	}
	return nil
}

// header splits a line that opens a block: "NAME = {" or "NAME [ COUNT ] = {";
// count is -1 without one. The name of a block has one blank after it; a key is
// padded to its column with at least two, so a value "{" does not open a block.
func header(line []byte) (name []byte, count int, ok bool) {
	name, ok = bytes.CutSuffix(line, []byte(" = {"))
	if !ok || len(name) == 0 || name[len(name)-1] == ' ' {
		return nil, -1, false
	}
	name = bytes.TrimSpace(name)
	short, rest, found := bytes.Cut(name, []byte(" [ "))
	if !found {
		return name, -1, true
	}
	digits, found := bytes.CutSuffix(rest, []byte(" ]"))
	if !found {
		return name, -1, true
	}
	n, err := number(digits)
	if err != nil || n < 0 {
		return name, -1, true
	}
	return short, n, true
}

// pair splits "KEY = VALUE"; no key of chmpxstatus contains a "=".
func pair(line []byte) (key, value []byte, ok bool) {
	key, value, ok = bytes.Cut(line, []byte("="))
	return bytes.TrimSpace(key), bytes.TrimSpace(value), ok
}

// number reads the decimal number a value starts with; a unit may follow.
func number(value []byte) (int, error) {
	digits, _, _ := bytes.Cut(value, []byte(" "))
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		return 0, fmt.Errorf("%.32q is not a number", value)
	}
	return n, nil
}
