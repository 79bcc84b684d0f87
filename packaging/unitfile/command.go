package unitfile

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// Environ returns the environment that the unit gives its processes besides
// systemd's own, each NAME=value; of two with one name the last counts. With an
// error come those that could be told: a specifier such as %i is resolved by
// systemd alone, and what it would become is not known here.
func (u Unit) Environ(files fs.FS) (environ []string, err error) {
	var problems []error
	for _, value := range u.List("Environment") {
		list, err := Words(value)
		if err != nil {
			problems = append(problems, fmt.Errorf("Environment=%s: %w", value, err))
		}
		environ = append(environ, list...)
	}
	for _, value := range u.List("EnvironmentFile") {
		list, err := environmentFile(files, value)
		if err != nil {
			problems = append(problems, fmt.Errorf("EnvironmentFile=%s: %w", value, err))
		}
		environ = append(environ, list...)
	}
	return environ, errors.Join(problems...)
}

// environmentFile reads a file of lines NAME=value. With a - before its name it
// may be missing.
func environmentFile(files fs.FS, value string) (environ []string, err error) {
	name, optional := strings.CutPrefix(value, "-")
	text, err := read(files, strings.TrimPrefix(name, "/"))
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", "")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		unquoted, err := split(value)
		if err != nil {
			return environ, fmt.Errorf("%s: %w", key, err)
		}
		environ = append(environ, strings.TrimSpace(key)+"="+strings.Join(unquoted, " "))
	}
	return environ, nil
}

// Command returns the program that the unit runs, and its arguments; nil if it
// runs none. environ fills in ${NAME}, and $NAME where that is a word of its own.
func (u Unit) Command(environ []string) ([]string, error) {
	list := u.List("ExecStart")
	if len(list) == 0 {
		return nil, nil
	}
	words, err := Words(strings.TrimLeft(list[0], "@-:+!|"))
	if err != nil {
		return nil, fmt.Errorf("ExecStart=%s: %w", list[0], err)
	}
	variables := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	var argv []string
	for _, word := range words {
		if name := variable.FindStringSubmatch(word); name != nil {
			argv = append(argv, strings.Fields(variables[name[1]])...)
			continue
		}
		argv = append(argv, braced.ReplaceAllStringFunc(word, func(s string) string {
			if s == "$$" {
				return "$"
			}
			return variables[s[2:len(s)-1]]
		}))
	}
	return argv, nil
}

var (
	variable = regexp.MustCompile(`^\$(\w+)$`)
	braced   = regexp.MustCompile(`\$\$|\$\{\w+\}`)
)

// specifier is one that stands for something else than a percent sign.
var specifier = regexp.MustCompile(`%[^%]`)

// Words takes a value apart at its blanks, as systemd does: quotes of either kind
// keep blanks in a word, a backslash is an escape as in C, and %% is a percent
// sign. A word with another specifier is left out, and is an error.
func Words(value string) (words []string, err error) {
	all, err := split(value)
	for _, word := range all {
		plain := strings.ReplaceAll(word, "%%", "")
		if s := specifier.FindString(plain); s != "" {
			err = errors.Join(err, fmt.Errorf("what %s stands for is not known here", s))
			continue
		}
		words = append(words, strings.ReplaceAll(word, "%%", "%"))
	}
	return words, err
}

// split takes a value apart at its blanks.
func split(value string) (words []string, err error) {
	var word strings.Builder
	var quote byte // of the quotes that are open; 0: none
	begun := false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for value != "" {
		c := value[0]
		switch {
		case quote == 0 && strings.IndexByte(" \t\n\r", c) >= 0:
			end()
			value = value[1:]
			continue
		case c == '\\' && len(value) > 1:
			var char string
			char, value = unescape(value)
			word.WriteString(char)
			begun = true
			continue
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		default:
			word.WriteByte(c)
		}
		begun = true
		value = value[1:]
	}
	if quote != 0 {
		return words, fmt.Errorf("a %c is not closed", quote)
	}
	end()
	return words, nil
}

// unescape returns what the escape at the beginning of a value stands for, and
// the rest. One that is none stands for itself.
func unescape(value string) (char, rest string) {
	switch value[1] {
	case '"', '\'':
		return value[1:2], value[2:]
	case 's':
		return " ", value[2:]
	}
	r, multibyte, rest, err := strconv.UnquoteChar(value, 0)
	switch {
	case err != nil:
		return value[:2], value[2:]
	case multibyte:
		return string(r), rest
	}
	return string([]byte{byte(r)}), rest
}
