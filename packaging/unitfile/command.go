package unitfile

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/render/regularfile"
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
			problems = append(problems, fmt.Errorf("%s: Environment=: %w", u.name, err)) // it may hold a secret
		}
		environ = append(environ, list...)
	}
	for _, value := range u.List("EnvironmentFile") {
		list, err := environmentFile(files, value)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: EnvironmentFile=%s: %w", u.name, value, err))
		}
		environ = append(environ, list...)
	}
	return environ, errors.Join(problems...)
}

// environmentFile reads a file of lines NAME=value. With a - before its name it
// may be missing.
func environmentFile(files fs.FS, value string) (environ []string, err error) {
	name, optional := strings.CutPrefix(value, "-")
	text, err := regularfile.ReadFS(files, strings.TrimPrefix(name, "/"), regularfile.Small)
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
		return nil, fmt.Errorf("%s: ExecStart=: %w", u.name, err)
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

// part is a piece of a value: blanks, or text in quotes of one kind, or without.
var part = regexp.MustCompile(`^(?:[ \t\r\n]+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[^ \t\r\n"'\\]|\\.)+)`)

// split takes a value apart at its blanks.
func split(value string) (words []string, err error) {
	begun := false // a word that goes on in the next part
	for value != "" {
		text := part.FindString(value)
		if text == "" {
			return words, errors.New("a quote is not closed, or a backslash is the last character")
		}
		value = value[len(text):]
		if strings.TrimSpace(text) == "" {
			begun = false
			continue
		}
		if !begun {
			words = append(words, "")
			begun = true
		}
		if text[0] == '"' || text[0] == '\'' {
			text = text[1 : len(text)-1]
		}
		words[len(words)-1] += escape.ReplaceAllStringFunc(text, unescape)
	}
	return words, nil
}

// escape is what may stand for another character.
var escape = regexp.MustCompile(`\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)`)

// unescape returns what an escape stands for. One that is none stands for itself.
func unescape(s string) string {
	switch s {
	case `\"`, `\'`:
		return s[1:]
	case `\s`:
		return " "
	}
	if char, err := strconv.Unquote(`"` + s + `"`); err == nil {
		return char
	}
	return s
}
