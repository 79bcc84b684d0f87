package main

import (
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"k2hdkc-slave-agent/cmd/options"
)

//go:embed bash.tmpl
var bashTemplate string

//go:embed zsh.tmpl
var zshTemplate string

//go:embed fish.tmpl
var fishTemplate string

// completion makes a completion from its template.
func completion(text string) func() (string, error) {
	return func() (string, error) {
		return fill(text, commandLine(), template.FuncMap{
			"join":    strings.Join,
			"quote":   quote,
			"zshText": zshText,
			"values":  zshValues,
		})
	}
}

// fill executes a template.
func fill(text string, data any, funcs template.FuncMap) (string, error) {
	t, err := template.New("").Funcs(funcs).Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, data)
	return b.String(), err
}

// command is what may be typed.
type command struct {
	Program string
	Verbs   []verb
	Flags   []flag // of all verbs, each once for its verbs
}

type verb struct {
	Name  string
	Help  string
	Arg   string // what may follow besides flags: "file", "verb" or nothing
	Flags []flag
}

// Names are the flags of the verb, with their dashes.
func (v verb) Names() []string { return names(v.Flags, func(flag) bool { return true }) }

// Valued are those that take a value.
func (v verb) Valued() []string { return names(v.Flags, flag.takesValue) }

func names(flags []flag, which func(flag) bool) []string {
	var list []string
	for _, f := range flags {
		if which(f) {
			list = append(list, "--"+f.Name)
		}
	}
	return list
}

type flag struct {
	Name        string
	Help        string
	Kind        options.Kind // none: it takes no value
	Placeholder string
	Choices     []string
	Verbs       []string // that have it
}

func (f flag) takesValue() bool { return f.Kind != "" }

// same is true of one flag in two verbs.
func (f flag) same(g flag) bool {
	return f.Name == g.Name && f.Help == g.Help && f.Kind == g.Kind && slices.Equal(f.Choices, g.Choices)
}

// OfKind are the flags whose value is of a kind, with their dashes.
func (c command) OfKind(kind options.Kind) []string {
	list := names(c.Flags, func(f flag) bool { return f.Kind == kind })
	slices.Sort(list)
	return slices.Compact(list)
}

// Chosen are the flags whose value is one of a few.
func (c command) Chosen() []flag {
	return slices.DeleteFunc(slices.Clone(c.Flags), func(f flag) bool { return f.Kind != options.KindChoice })
}

func commandLine() command {
	c := command{Program: options.Program}
	for _, v := range options.Verbs() {
		c.Verbs = append(c.Verbs, verb{Name: v.Name, Help: v.Synopsis, Arg: argument(v), Flags: flags(v)})
	}
	for _, v := range c.Verbs {
		for _, f := range v.Flags {
			i := slices.IndexFunc(c.Flags, f.same)
			if i < 0 {
				i = len(c.Flags)
				c.Flags = append(c.Flags, f)
			}
			c.Flags[i].Verbs = append(c.Flags[i].Verbs, v.Name)
		}
	}
	return c
}

// argument tells what the placeholder of a verb's argument stands for.
func argument(v options.Verb) string {
	return strings.ToLower(strings.Trim(v.Args, "[]"))
}

// flags are those that the help of a verb lists; the others it takes too, as they
// may stand in the configuration file, but they do nothing.
func flags(v options.Verb) []flag {
	list := []flag{{Name: "help", Help: "print the help of this verb"}}
	for _, s := range v.Switches {
		list = append(list, flag{Name: s.Name, Help: s.Help})
	}
	for _, o := range slices.Concat(v.Flags, optionsOf(v)) {
		list = append(list, flag{Name: o.Key, Help: o.Help, Kind: o.Kind, Placeholder: o.Placeholder, Choices: o.Choices})
	}
	return list
}

func optionsOf(v options.Verb) []options.Option {
	return slices.DeleteFunc(options.Table(), func(o options.Option) bool { return !slices.Contains(v.Sections, o.Section) })
}

// quote makes one word of a text, for all three shells: fish too takes a ' in
// the middle as the end of a quoted part.
func quote(text string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`).Replace(text) + "'"
}

// zshText is a text in a specification of zsh's _arguments.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// zshValues is what zsh's _arguments does to complete a value.
func zshValues(f flag) string {
	switch f.Kind {
	case options.KindFile:
		return "_files"
	case options.KindDir:
		return "_path_files -/"
	case options.KindCommand:
		return "_command_names -e"
	case options.KindUnit:
		return "_k2hdkc-slave-agent_units"
	case options.KindUser:
		return "_users"
	case options.KindGroup:
		return "_groups"
	case options.KindChoice:
		return "(" + strings.Join(f.Choices, " ") + ")"
	}
	return " " // nothing but its description
}
