package options

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"k2hdkc-slave-agent/cmd/prose"
)

// The help fits a terminal of 80 columns: names on the left, what they are from a column on.
const (
	lineWidth    = 80
	verbColumn   = 16
	optionColumn = 32
	exitColumn   = 6
)

// Overview writes the help of the whole program.
func Overview(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s VERB [OPTION]...\n\n", Program)
	writeParagraph(&b, "Keeps chmpx's configuration on a K2HDKC slave node right: registers this host with K2HR3, fetches the list of "+
		"server nodes, checks it as chmpx would, replaces the file whole and sees that chmpx took it.")
	b.WriteString("\nVerbs:\n")
	for _, v := range Verbs() {
		writeEntry(&b, verbColumn, strings.TrimSpace(v.Name+" "+v.Args), v.Synopsis)
	}
	fmt.Fprintf(&b, "\nOptions of a verb: %s VERB --help\n", Program)
	_, err := io.WriteString(w, b.String())
	return err
}

// Usage writes the help of one verb.
func Usage(w io.Writer, v Verb) error {
	var b strings.Builder
	line := Program + " " + v.Name
	if len(v.Sections)+len(v.Switches)+len(v.Flags) > 0 {
		line += " [OPTION]..."
	}
	if v.Args != "" {
		line += " " + v.Args
	}
	fmt.Fprintf(&b, "Usage: %s\n\n", line)
	about := v.Long
	if about == "" {
		about = strings.ToUpper(v.Synopsis[:1]) + v.Synopsis[1:] + "."
	}
	writeParagraph(&b, about)
	if len(v.Switches)+len(v.Flags) > 0 {
		b.WriteString("\nOnly for this verb:\n")
		for _, opt := range v.Flags {
			writeOption(&b, opt)
		}
		for _, s := range v.Switches {
			writeEntry(&b, optionColumn, "--"+s.Name, s.Help)
		}
	}
	writeOptions(&b, v)
	b.WriteString("\nExit status:\n")
	exits := append(slices.Clone(v.Exits), Exit{2, "the command line is wrong"})
	slices.SortStableFunc(exits, func(a, b Exit) int { return a.Status - b.Status })
	for _, e := range exits {
		writeEntry(&b, exitColumn, fmt.Sprint(e.Status), e.When)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeOptions(b *strings.Builder, v Verb) {
	for _, section := range v.Sections {
		if section == "" {
			b.WriteString("\nOptions:\n")
		} else {
			fmt.Fprintf(b, "\n[%s] in the configuration file:\n", section)
		}
		for _, opt := range OfSection(section) {
			writeOption(b, opt)
		}
	}
	if len(v.Sections) > 0 {
		b.WriteString("\n")
		writeParagraph(b, "Each option but config can also be set in the configuration file, by the same name, and each by an "+
			"environment variable such as "+Option{Key: "api-uri"}.Env()+". A flag beats the environment, which beats the file.")
	}
}

// DefaultText is what happens without a value, in words for a sentence.
func (o Option) DefaultText() string {
	if o.Default != "" {
		return o.Default
	}
	return o.DefaultNote
}

func writeOption(b *strings.Builder, opt Option) {
	writeEntry(b, optionColumn, opt.Flag()+" "+opt.Placeholder, fmt.Sprintf("%s (default: %s)", opt.Help, opt.DefaultText()))
}

func writeEntry(b *strings.Builder, column int, name, text string) {
	name = "  " + name
	lines := prose.Wrap(text, lineWidth-column)
	if len(name) >= column-1 {
		fmt.Fprintf(b, "%s\n", name)
		name = ""
	}
	for _, line := range lines {
		fmt.Fprintf(b, "%-*s%s\n", column, name, line)
		name = ""
	}
}

func writeParagraph(b *strings.Builder, text string) {
	for _, line := range prose.Wrap(text, lineWidth) {
		fmt.Fprintln(b, line)
	}
}
