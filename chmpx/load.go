package chmpx

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx/ini"
)

// PathKind is what a path leads to.
type PathKind int

// The kinds of paths that chmpx distinguishes, after following symbolic links.
const (
	NoPath PathKind = iota
	RegularFile
	Directory
	OtherPath
)

// Load does what chmpx's load does (docs/chmpx.md A, B, C.1, C.2), without asking
// who this host is. paths says what a path in a TLS key leads to; nil asks the
// file system. The configuration is nil if the load would fail; the findings then
// hold every reason, not only the first one, at which chmpx would stop.
//
// One rule of the load needs the host and is left to Judge: MODE=SLAVE with
// this host among the server nodes, and MODE=SERVER without it.
func Load(b []byte, paths func(path string) PathKind) (*Config, []Finding) {
	l := &loader{findings: &findings{}, paths: paths}
	cfg := l.load(b)
	return cfg, l.sorted()
}

// load fills in l.cfg, and returns it unless the load fails.
func (l *loader) load(b []byte) *Config {
	if l.paths == nil {
		l.paths = pathKind
	}
	if rule, text, found := notAConfiguration(b); found {
		l.add(Reject, rule, 0, "", "%s", text)
		l.loadFailed = true
		return nil
	}
	l.cfg = &Config{}
	l.scan(b)
	l.loadGlobal()
	l.loadServers()
	l.loadSlaves()
	l.checkNodeTLS()
	l.sortNodes()
	l.settleMerge()
	l.checkCut(b)
	if l.worst == Reject {
		l.loadFailed = true
		return nil
	}
	return l.cfg
}

// loader is the state of one load.
type loader struct {
	*findings
	paths      func(string) PathKind
	cfg        *Config
	loadFailed bool

	global   map[string]entry
	svr, slv blocks
	row      []block  // blocks not yet used
	lastLine ini.Line // the last line that is not blank
	unread   int      // the line that hides the header of the lines below it; 0: they have theirs
	tls      tlsState
}

// entry is a key's value and its line; line 0: the key is absent.
type entry struct {
	value string
	line  int
}

// block is one node as written, with the keys of all blocks merged into it.
type block struct {
	line int
	v    [numNodeKeys]entry
}

// blocks are the nodes of one kind.
type blocks struct {
	section string
	list    []*block
	byName  map[[2]string]*block // NAME and CTLPORT as written
	headers int                  // sections seen
	byLine  map[int]*block       // made when first needed
}

// newBlocks makes room for about as many nodes as b seems to have.
func newBlocks(section string, b []byte) blocks {
	const plenty = 1024
	n := min(bytes.Count(b, []byte("["+section+"]")), plenty)
	return blocks{section: section, list: make([]*block, 0, n), byName: make(map[[2]string]*block, n)}
}

// scan reads the lines into global and the node blocks.
func (l *loader) scan(b []byte) {
	l.global = make(map[string]entry, 48)
	l.svr = newBlocks(ini.SvrNode, b)
	l.slv = newBlocks(ini.SlvNode, b)
	l.lost = map[lostKey]int{}
	odd := l.scanBytes(b)

	var open *block
	var in *blocks
	for line := range ini.Lines(b) {
		if line.Kind != ini.Blank {
			l.lastLine = line
		}
		if odd {
			l.checkBytes(b, line)
		}
		l.checkHidden(b, line)
		switch line.Kind {
		case ini.Section:
			l.closeBlock(in, open)
			open, in = nil, nil
			l.unread = 0
			switch line.Section {
			case ini.SvrNode:
				in, open = &l.svr, l.newBlock(line.Number)
			case ini.SlvNode:
				in, open = &l.slv, l.newBlock(line.Number)
			case "":
				l.noteUnknownSection(line)
			}
		case ini.Dropped:
			l.noteDropped(line)
		case ini.Pair:
			if open == nil {
				l.setGlobal(line)
			} else {
				l.setNode(open, line)
			}
		}
	}
	l.closeBlock(in, open)
}

// newBlock takes a block from a row that is allocated for several.
func (l *loader) newBlock(line int) *block {
	if len(l.row) == 0 {
		l.row = make([]block, 32)
	}
	b := &l.row[0]
	l.row = l.row[1:]
	b.line = line
	return b
}

func (l *loader) setGlobal(line ini.Line) {
	if !isGlobalKey(line.Key) {
		l.noteUnknownKey(line, 0)
		return
	}
	if old := l.global[line.Key]; old.line != 0 {
		l.noteDuplicate(line, old)
	}
	l.global[line.Key] = entry{line.Value, line.Number}
}

func (l *loader) setNode(open *block, line ini.Line) {
	k := nodeKeyOf(line.Key)
	if k == noNodeKey {
		l.noteUnknownKey(line, open.line)
		return
	}
	if old := open.v[k]; old.line != 0 {
		l.noteDuplicate(line, old)
	}
	open.v[k] = entry{line.Value, line.Number}
}

// closeBlock files a finished node block. A block whose NAME and CTLPORT texts
// were seen before is merged into that node.
func (l *loader) closeBlock(in *blocks, b *block) {
	if b == nil {
		return
	}
	in.headers++
	if b.v[keyName].line == 0 {
		l.add(Accept, RuleNodeNoName, b.line, "NAME", "this [%s] has no NAME: chmpx drops it silently", in.section)
		return
	}
	id := [2]string{b.v[keyName].value, b.v[keyCtlPort].value}
	first := in.byName[id]
	if first == nil {
		in.byName[id] = b
		in.list = append(in.list, b)
		return
	}
	l.add(Accept, RuleMergedNodes, b.line, "NAME",
		"NAME %s and CTLPORT %s are the same as in the [%s] in line %d: chmpx merges the two into one node, and the later keys win; give two nodes on one address different CTLPORTs",
		quote(id[0]), quote(id[1]), in.section, first.line)
	for k, e := range b.v {
		if e.line != 0 {
			first.v[k] = e
		}
	}
}

// sort puts the blocks into chmpx's order: by NAME, then by CTLPORT, as texts.
func (bs *blocks) sort() {
	slices.SortStableFunc(bs.list, func(a, b *block) int {
		return cmp.Or(strings.Compare(a.v[keyName].value, b.v[keyName].value),
			strings.Compare(a.v[keyCtlPort].value, b.v[keyCtlPort].value))
	})
}

func (l *loader) noteUnknownSection(line ini.Line) {
	l.unread = line.Number
	name := strings.ToUpper(strings.Trim(line.Key, " \t"))
	switch name {
	case ini.Global, ini.SvrNode, ini.SlvNode:
		l.add(Accept, RuleUnknownSection, line.Number, "", "chmpx does not know the section [%s] and skips it; you probably mean [%s], in upper case without blanks", clip(line.Key), name)
	case "K2HDKC": // for the k2hdkc server daemon
	default:
		l.add(Accept, RuleUnknownSection, line.Number, "", "chmpx does not know the section [%s] and skips its lines", clip(line.Key))
	}
}

func (l *loader) noteDropped(line ini.Line) {
	switch line.Reason {
	case ini.UnknownSection:
		l.lose(line.Key, line.Number, 0)
	case ini.NoSection:
		l.lose(line.Key, line.Number, 0)
		if l.unread == line.Number { // which is said
			return
		}
		l.unread = cmp.Or(l.unread, line.Number)
		l.add(Accept, RuleDroppedLine, line.Number, "", "chmpx ignores this line: it comes before the first section header")
	case ini.NoKey:
		l.add(Accept, RuleDroppedLine, line.Number, "", "chmpx drops this line: %s", line.Reason)
	default:
		v, key := Accept, ""
		if knownIn(line.Section, line.Key) {
			v, key = Dangerous, line.Key
		}
		l.add(v, RuleDroppedLine, line.Number, key, "chmpx drops this line: %s; chmpx has no continuation lines, and a quote has to close on its own line", line.Reason)
	}
}

// noteUnknownKey is for a line of the node's section that begins in line in, or of [GLOBAL].
func (l *loader) noteUnknownKey(line ini.Line, in int) {
	upper := strings.ToUpper(line.Key)
	l.lose(upper, line.Number, in)
	switch {
	case l.unread == line.Number: // which is said
	case upper == include:
		l.add(Accept, RuleUnknownKey, line.Number, "", "chmpx has no %s: it ignores this line, and what that file has is missing", include)
	case knownIn(line.Section, upper):
		l.add(Accept, RuleUnknownKey, line.Number, upper, "chmpx does not know the key %s and ignores it; you probably mean %s, in upper case", quote(line.Key), upper)
	case isGlobalKey(line.Key) || nodeKeyOf(line.Key) != noNodeKey:
		l.add(Accept, RuleUnknownKey, line.Number, line.Key, "chmpx does not read %s in [%s] and ignores it", line.Key, line.Section)
	default:
		l.add(Accept, RuleUnknownKey, line.Number, "", "chmpx does not know the key %s and ignores it", quote(line.Key))
	}
}

// lose remembers a key that chmpx does not read for what a line is, or for the header that is
// hidden further up. in is the line of the node's section that it is lost for; 0: none.
func (l *loader) lose(key string, line, in int) {
	if l.unread != 0 {
		line, in = l.unread, 0
	}
	key = strings.ToUpper(key)
	if key == include { // what it would have brought
		for _, key := range []string{"GROUP", "FILEVERSION", "DELIVERMODE", "NAME"} {
			l.lost[lostKey{key, line}] = 0
		}
	}
	if isGlobalKey(key) || nodeKeyOf(key) != noNodeKey {
		l.lost[lostKey{key, line}] = in
	}
}

// include is a key that others than chmpx know (docs/chmpx.md A.2).
const include = "INCLUDE"

// checkHidden looks for the header of a section, and for more lines, that a line hides from chmpx.
func (l *loader) checkHidden(b []byte, line ini.Line) {
	text := b[line.Start:line.End]
	if bytes.IndexByte(text, '\r') >= 0 {
		l.checkCR(string(text), line.Number)
	}
	header := hiddenHeader(text, line.Kind)
	if header == "" || l.unread == line.Number {
		return
	}
	rule := RuleUnknownSection
	if controlIn(text) >= 0 {
		rule = RuleBytes
	}
	l.add(Accept, rule, line.Number, "", "chmpx does not take this line (%s) for the header of a section: that is %s], with nothing in front of it or behind it, not even a comment", quote(string(text)), header)
	l.unread = line.Number
	if header != "["+ini.Global {
		l.lose("NAME", line.Number, 0)
	}
}

// hiddenHeader is how the header of a section begins that is in a line which is none; empty: there
// is none in it.
func hiddenHeader(text []byte, kind ini.Kind) string {
	if kind != ini.Pair && kind != ini.Dropped || bytes.IndexByte(text, '[') < 0 {
		return ""
	}
	key, _, _ := strings.Cut(strings.ToUpper(string(text)), "=")
	for _, header := range []string{"[" + ini.Global, "[" + ini.SvrNode, "[" + ini.SlvNode} {
		if strings.Contains(key, header) {
			return header
		}
	}
	return ""
}

// checkCR looks for lines that end in CR alone.
func (l *loader) checkCR(text string, line int) {
	lost := len(l.lost)
	for _, part := range strings.Split(text, "\r")[1:] {
		key, _, _ := strings.Cut(part, "=")
		if strings.HasPrefix(part, "["+ini.SvrNode) || strings.HasPrefix(part, "["+ini.SlvNode) {
			key = "NAME"
		}
		l.lose(strings.TrimSpace(key), line, 0)
	}
	if len(l.lost) > lost {
		l.add(Accept, RuleBytes, line, "", "this line has a CR within it, which chmpx does not take for the end of a line; end lines with LF")
	}
}

func (l *loader) noteDuplicate(line ini.Line, old entry) {
	if line.Value == old.value {
		return
	}
	l.add(Accept, RuleDuplicateKey, line.Number, line.Key, "line %d sets %s too; the last one wins", old.line, line.Key)
}

// scanBytes deals with a byte order mark, and reports whether b has bytes for
// which each line has to be checked.
func (l *loader) scanBytes(b []byte) (odd bool) {
	if bytes.HasPrefix(b, []byte("\ufeff")) {
		first, _, _ := bytes.Cut(b[3:], []byte("\n"))
		first = bytes.Trim(first, " \t\r")
		if len(first) == 0 || first[0] == '#' {
			l.add(Accept, RuleBytes, 1, "", "the text begins with a UTF-8 byte order mark, which chmpx does not skip; here it does no harm, before a section header it would")
		} else {
			l.add(Dangerous, RuleBytes, 1, "", "the text begins with a UTF-8 byte order mark, which chmpx takes for part of the first line: a section header there is not recognised and its keys are lost; save the template without the mark")
			l.unread = 1
		}
	}
	return controlIn(b) >= 0
}

// controlIn is where the first control character is, -1 if there is none.
func controlIn(b []byte) int {
	return slices.IndexFunc(b, func(c byte) bool { return isControl[c] })
}

// isControl marks the control characters that a configuration has no use for.
var isControl = func() (t [256]bool) {
	for c := range byte(' ') {
		t[c] = c != '\n' && c != '\r' && c != '\t'
	}
	t[0x7f] = true
	return t
}()

// checkBytes looks for control characters where chmpx reads something.
func (l *loader) checkBytes(b []byte, line ini.Line) {
	text := b[line.Start:line.End]
	i := controlIn(text)
	if i < 0 {
		return
	}
	switch {
	case line.Kind == ini.Dropped && hiddenHeader(text, line.Kind) != "": // which checkHidden tells
	case line.Kind == ini.Comment, line.Reason == ini.UnknownSection, line.Reason == ini.NoSection:
		l.add(Accept, RuleBytes, line.Number, "", "this line has a control character (0x%02x); here it does no harm", text[i])
	case text[i] == 0:
		l.add(Dangerous, RuleBytes, line.Number, "", "this line has a NUL byte: chmpx reads key and value only up to it; something damaged the text on its way here")
	default:
		l.add(Dangerous, RuleBytes, line.Number, "", "this line has a control character (0x%02x), which chmpx takes for part of the text", text[i])
	}
}

// checkCut finds out whether the text seems to end too early.
func (l *loader) checkCut(b []byte) {
	if len(b) == 0 || b[len(b)-1] == '\n' {
		return
	}
	line := l.lastLine
	text := string(b[line.Start:line.End])
	switch {
	case strings.HasPrefix(text, "[") && !strings.HasSuffix(text, "]"),
		line.Kind == ini.Pair && line.NoEquals && beginsKnownKey(line.Section, line.Key),
		line.Reason == ini.OpenQuote:
		l.add(Dangerous, RuleCut, line.Number, "", "the text ends in the middle of this line (%s): it was probably cut off on its way here, and the rest is missing", quote(text))
	case l.worst == Reject:
		l.add(Accept, RuleCut, line.Number, "", "the text ends without a line feed: it may have been cut off on its way here")
	}
}
