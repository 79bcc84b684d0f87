package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"k2hdkc-slave-agent/cmd/options"
)

// The pages are man(7) text with two liberties, see roff.

//go:embed k2hdkc-slave-agent.8.tmpl
var template8 string

//go:embed slave-agent.ini.5.tmpl
var template5 string

// page makes a man page from its template.
func page(text string) func() (string, error) {
	return func() (string, error) {
		made, err := fill(text, struct {
			Verbs    []options.Verb
			Sections []string
		}{options.Verbs(), options.Sections()}, template.FuncMap{
			"text":     roffText,
			"sentence": sentence,
			"values":   pageValues,
			"title":    sectionTitle,
			"join":     strings.Join,
			"in":       options.OfSection,
		})
		var b strings.Builder
		for line := range strings.Lines(made) {
			b.WriteString(roff(line))
		}
		return b.String(), err
	}
}

var code = regexp.MustCompile("`([^`]+)`")

// roff makes man(7) of a line: what stands between ` and ` is bold, and every -
// becomes \-, which can be copied from the page as it was typed. Nearly all of
// them are part of a name here.
func roff(line string) string {
	if strings.HasPrefix(line, `.\"`) || strings.HasPrefix(line, ".TH ") {
		return line
	}
	line = code.ReplaceAllString(line, `\fB$1\fP`)
	return strings.ReplaceAll(strings.ReplaceAll(line, `\-`, "-"), "-", `\-`)
}

var sentenceEnd = regexp.MustCompile(`([.!?]) +([A-Z0-9]|chmpx)`)

// roffText makes a plain text one of man(7), with a line for each sentence.
func roffText(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "`", `\(ga`, "~", `\(ti`, "^", `\(ha`).Replace(text)
	lines := strings.Split(sentenceEnd.ReplaceAllString(text, "$1\n$2"), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// sentence begins a text with a capital, unless it begins with chmpx's name, and
// ends it with a full stop.
func sentence(text string) string {
	if text == "" || strings.HasPrefix(text, "chmpx") {
		return text + "."
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

// sectionTitle is what the options of a section are listed under.
func sectionTitle(section string) string {
	return map[string]string{
		"k2hr3": "K2HR3",
		"slave": "this slave node and its file",
		"chmpx": "the running chmpx",
		"agent": "the agent itself",
	}[section]
}

// pageValues says which values an option takes, where its text does not.
func pageValues(o options.Option) string {
	var said []string
	if o.Kind == options.KindChoice {
		said = append(said, "One of "+strings.Join(o.Choices, ", ")+".")
	}
	if o.Empty != "" && !strings.Contains(strings.ToLower(o.Long), "empty") {
		said = append(said, fmt.Sprintf("Empty means: %s.", o.Empty))
	}
	return strings.Join(said, " ")
}
