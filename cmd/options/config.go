package options

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/ini.v1"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// readConfig adds the values of the configuration file to found. The file may be absent if nobody
// named it.
func readConfig(h System, name string, named bool, found map[string]Setting, p *problems) {
	text, err := h.read(name)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return
	}
	if err != nil {
		p.add(fmt.Errorf("configuration: %w", err))
		return
	}
	c := configFile{name: name, found: found, problems: p, options: Table()}
	text = strings.TrimPrefix(text, "\ufeff")
	for line := range strings.Lines(text) {
		c.line++
		c.read(strings.TrimSpace(line))
	}
}

// configFile is a configuration file being read.
type configFile struct {
	name     string
	options  []Option
	found    map[string]Setting
	problems *problems

	line    int
	section string
	state   sectionState
}

type sectionState int

const (
	beforeSections sectionState = iota
	inKnownSection
	inUnknownSection // reported once; its keys are skipped
)

func (c *configFile) fail(format string, args ...any) {
	c.problems.add(fmt.Errorf("%s:%d: %w", c.name, c.line, fmt.Errorf(format, args...)))
}

func (c *configFile) read(line string) {
	switch {
	case line == "" || line[0] == '#' || line[0] == ';':
	case strings.ContainsFunc(line, invisible):
		c.fail("the line contains an invisible character: type it again")
	case line[0] == '[':
		c.readHeader(line)
	default:
		c.readKey(line)
	}
}

// invisible finds what an editor hides: control characters, and byte order marks in the middle of a
// file, which the library skips at the beginning of a line.
func invisible(r rune) bool { return r != '\t' && unicode.IsControl(r) || r == '\ufeff' }

// parse reads one line with the library. Given more, the library knows no line numbers, joins lines
// and keeps the last of two equal keys.
func parse(line string) (*ini.File, error) {
	return ini.LoadSources(ini.LoadOptions{
		IgnoreContinuation:  true,
		IgnoreInlineComment: true,
		KeyValueDelimiters:  "=",
	}, []byte(line))
}

func (c *configFile) readHeader(line string) {
	c.section, c.state = "", inUnknownSection
	name, ok := headerName(line)
	if !ok {
		c.fail("%s is not a section: write [k2hr3], [slave], [chmpx] or [agent]", k2hr3.Quote(line))
		return
	}
	if slices.Contains(Sections(), name) {
		c.section, c.state = name, inKnownSection
		return
	}
	hint := didYouMean(name, Sections(), func(s string) string { return "[" + s + "]" })
	if hint == "" {
		hint = ": the sections are [" + strings.Join(Sections(), "], [") + "]"
	}
	c.fail("unknown section [%s]%s", unquoted(name), hint)
}

// headerName allows nothing but a comment after the bracket, unlike the library.
func headerName(line string) (string, bool) {
	after := strings.TrimSpace(line[strings.LastIndex(line, "]")+1:])
	if after != "" && after[0] != '#' && after[0] != ';' {
		return "", false
	}
	file, err := parse(line)
	if err != nil {
		return "", false
	}
	names := file.SectionStrings()
	return strings.TrimSpace(names[len(names)-1]), true
}

var inlineComment = regexp.MustCompile(`[ \t][#;]`)

func (c *configFile) readKey(line string) {
	if c.state == inUnknownSection {
		return
	}
	file, err := parse(line)
	if err != nil {
		c.failLine(line, err)
		return
	}
	key := file.Section("").Keys()[0]
	opt, ok := c.lookup(key.Name())
	if !ok {
		return
	}
	value := key.Value() // not String(), which would expand %(name)s
	from := Source{Kind: FromConfig, Name: c.name, Line: c.line}
	if first, twice := c.found[opt.Key]; twice {
		c.fail("%s is given twice, first in line %d: keep one", opt.Key, first.Source.Line)
		return
	}
	if inlineComment.MatchString(value) {
		c.fail("%s: a comment needs a line of its own, here it would become part of the value", opt.Key)
		return
	}
	c.found[opt.Key] = Setting{Option: opt, Text: value, Source: from}
}

func (c *configFile) failLine(line string, err error) {
	name, value, assigned := strings.Cut(line, "=")
	value = strings.TrimSpace(value)
	switch {
	case !assigned:
		c.fail("%s is neither a [section] nor KEY = VALUE", k2hr3.Quote(line))
	case strings.TrimSpace(name) == "":
		c.fail("there is no key before the =")
	case strings.HasPrefix(value, "`") || strings.HasPrefix(value, `"""`):
		c.fail("%s: the quote is not closed: a value ends with its line", strings.TrimSpace(name))
	default:
		c.fail("cannot be read: %s", k2hr3.Quote(err.Error()))
	}
}

// lookup finds the option a key means, or says why there is none.
func (c *configFile) lookup(name string) (Option, bool) {
	i := slices.IndexFunc(c.options, func(o Option) bool { return o.Key == name })
	switch {
	case i < 0:
		c.fail("unknown key %s%s", k2hr3.Quote(name), c.suggest(name))
	case c.options[i].Section == "":
		c.fail("%s cannot be set here: use %s or %s", name, c.options[i].Flag(), c.options[i].Env())
	case c.state == beforeSections:
		c.fail("%s comes before the first section: put it under [%s]", name, c.options[i].Section)
	case c.options[i].Section != c.section:
		c.fail("%s does not belong in [%s]: put it under [%s]", name, c.section, c.options[i].Section)
	default:
		return c.options[i], true
	}
	return Option{}, false
}

func (c *configFile) suggest(name string) string {
	var keys []string
	for _, o := range c.options {
		if o.Section != "" {
			keys = append(keys, o.Key)
		}
	}
	return suggest(name, keys, func(s string) string { return s })
}

// suggest adds what to write instead of an unknown name.
func suggest(name string, known []string, written func(string) string) string {
	if hint := didYouMean(name, known, written); hint != "" {
		return hint
	}
	if strings.Contains(strings.ToLower(name), "token") {
		return fmt.Sprintf(": a token is only taken from a file, which %s names", written("role-token-file"))
	}
	return ""
}
