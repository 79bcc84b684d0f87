package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

var manPages = []string{"../man/k2hdkc-slave-agent.8", "../man/slave-agent.ini.5"}

// run runs a program that a test needs; see [need.Programs].
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	need.Programs(t, name)
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=100", "MANPAGER=cat", "MANOPT=")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String(), errs.String()
}

func TestMandocHasNothingToWarnOf(t *testing.T) {
	for _, page := range manPages {
		run(t, "mandoc", "-Tlint", "-W", "warning", page)
	}
}

func TestManHasNothingToWarnOf(t *testing.T) {
	for _, page := range manPages {
		if _, warnings := run(t, "man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page); warnings != "" {
			t.Errorf("%s:\n%s", page, warnings)
		}
	}
}

// What reads well in the source may be lost on the way to the screen.
func TestEverythingIsSeenInBothReaders(t *testing.T) {
	readers := map[string][]string{
		"man":    {"-l"},
		"mandoc": {"-T", "ascii"},
	}
	for name, args := range readers {
		t.Run(name, func(t *testing.T) {
			for _, page := range manPages {
				out, _ := run(t, name, append(args, page)...)
				text := plain(out)
				for _, want := range promised(page) {
					if !strings.Contains(text, plain(want)) {
						t.Errorf("%s: %q is not to be seen", page, want)
					}
				}
			}
		})
	}
}

// promised lists what a page has to say.
func promised(page string) []string {
	var list []string
	for _, o := range options.Table() {
		if strings.HasSuffix(page, ".8") {
			list = append(list, o.Flag()+" "+o.Placeholder, o.Env(), "Default: "+o.DefaultText()+".")
			continue
		}
		if o.Section != "" {
			list = append(list, o.Key+" = "+o.Placeholder, o.Long, "Default: "+o.DefaultText()+".")
		}
	}
	if strings.HasSuffix(page, ".5") {
		return list
	}
	for _, v := range options.Verbs() {
		list = append(list, strings.TrimSpace(options.Program+" "+v.Name), v.Long)
		for _, e := range v.Exits {
			list = append(list, e.When)
		}
		for _, o := range v.Flags {
			list = append(list, o.Flag()+" "+o.Placeholder, o.Long, "Default: "+o.DefaultText()+".")
		}
		for _, s := range v.Switches {
			list = append(list, "--"+s.Name, sentence(s.Help))
		}
	}
	return list
}

// plain is a text without line breaks and overstrikes, and with plain quotes.
func plain(text string) string {
	text = regexp.MustCompile(".\b").ReplaceAllString(text, "")
	text = regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
	text = strings.NewReplacer("’", "'", "‘", "`", "‐", "-").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

func TestTextOfATableIsNoMarkup(t *testing.T) {
	tests := []struct{ text, want string }{
		{"a-b", `a\-b`},
		{`C:\x`, `C:\ex`},
		{"One. Two.", "One.\nTwo."},
		{"One. chmpx does.", "One.\nchmpx does."},
		{"e.g. this", "e.g. this"},
		{"'quoted'", `\&'quoted'`},
		{".ini", `\&.ini`},
		{"a `b` ~ ^", `a \(gab\(ga \(ti \(ha`},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, roff(roffText(tt.text))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.text, diff)
		}
	}
}

// An administrator looks for a message that the agent really writes.
func TestMessagesOfDiagnosticsAreInTheSource(t *testing.T) {
	_, text, found := strings.Cut(template8, ".SH DIAGNOSTICS\n")
	if !found {
		t.Fatal("there is no section DIAGNOSTICS")
	}
	text, _, _ = strings.Cut(text, ".SH ")
	source := sourceCode(t)
	messages := 0
	for _, m := range regexp.MustCompile(`(?m)^\.TP\n(.*)$`).FindAllStringSubmatch(text, -1) {
		for message := range strings.SplitSeq(m[1], ", ") {
			messages++
			if !strings.Contains(source, message) {
				t.Errorf("nothing in the source says %q", message)
			}
		}
	}
	if messages < 5 {
		t.Errorf("only %d messages found", messages)
	}
}

// sourceCode is the text of the agent's own packages, and the system's errors.
func sourceCode(t *testing.T) string {
	var b strings.Builder
	b.WriteString("read-only file system\noperation not permitted\n")
	for _, dir := range []string{"cmd", "watcher", "render", "chmpx"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			b.Write(text)
			return err
		})
		fatal.If(t, err)
	}
	return b.String()
}
