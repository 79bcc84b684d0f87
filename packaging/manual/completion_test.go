package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

// script is the absolute path of a completion.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../completions", name))
	fatal.If(t, err)
	return path
}

// folder is one to complete names of files in, with programs that are found
// first: an agent that answers with its arguments, a systemctl and one of chmpx's.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"orders.ini", "shop slave.ini"} {
		fatal.If(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	for _, name := range []string{"state", "bin"} {
		fatal.If(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	units := "#!/bin/sh\nprintf '%s\\n' 'chmpx.service enabled enabled' 'cron.service enabled enabled'\n"
	agent := "#!/bin/sh\nprintf '%s\\n' \"$@\" . >\"$ANSWERS\"\n"
	for name, text := range map[string]string{"k2hdkc-slave-agent": agent, "systemctl": units, "chmpxstatus-of-a-test": "#!/bin/sh\n"} {
		fatal.If(t, os.WriteFile(filepath.Join(dir, "bin", name), []byte(text), 0o755))
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	return dir
}

// shell completes command lines.
type shell struct {
	name string
	// offers begins a session; the function it returns lists what may stand for
	// the last word of a line.
	offers func(t *testing.T, dir string) func(t *testing.T, line string) []string
	// typed begins a session; the function it returns types a line, a tab and a
	// return, and returns the arguments the program gets.
	typed func(t *testing.T, dir string) func(t *testing.T, line string) []string
}

func shells() []shell {
	return []shell{
		{"bash", bashOffers, bashTyped},
		{"zsh", zshOffers, zshTyped},
		{"fish", fishOffers, fishTyped},
	}
}

// bashOffers parts words as readline does, at = too.
func bashOffers(t *testing.T, dir string) func(*testing.T, string) []string {
	ask := bashAsks(t, dir)
	return func(t *testing.T, line string) []string {
		words := strings.Split(strings.ReplaceAll(line, "=", " = "), " ")
		if strings.HasSuffix(line, "=") {
			words = words[:len(words)-1]
		}
		return ask(t, words...)
	}
}

// bashAsks asks the function that the script registers.
func bashAsks(t *testing.T, dir string) func(*testing.T, ...string) []string {
	const ask = `
		source "$1"
		shift
		compopt() { echo "compopt $*"; }
		name=$(complete -p k2hdkc-slave-agent)
		name=${name#*-F } name=${name%% *}
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		"$name"
		((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"`
	return func(t *testing.T, words ...string) []string {
		args := []string{"--norc", "--noprofile", "-c", ask, "bash", script(t, "k2hdkc-slave-agent.bash")}
		return output(t, dir, "bash", append(args, words...)...)
	}
}

func fishOffers(t *testing.T, dir string) func(*testing.T, string) []string {
	need.Programs(t, "fish")
	t.Setenv("HOME", t.TempDir())
	return func(t *testing.T, line string) []string {
		var words []string
		for _, said := range output(t, dir, "fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, script(t, "k2hdkc-slave-agent.fish"), line) {
			word, _, _ := strings.Cut(said, "\t")
			if strings.HasPrefix(word, "--") {
				if _, value, isValue := strings.Cut(word, "="); isValue {
					word = value
				}
			}
			words = append(words, word)
		}
		return words
	}
}

// output is what a program prints, by lines. It must have nothing to complain of.
func output(t *testing.T, dir, name string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if name == "bash" && err != nil && errs.Len() == 0 {
		err = nil // compgen found nothing
	}
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v\n%s", name, err, &errs)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// zshSetup loads zsh's completion system and the script as it is installed.
const zshSetup = `
	PS1= PS2= LISTMAX=0
	autoload -Uz compinit
	compinit -D -u
	autoload -Uz +X _k2hdkc-slave-agent
	bindkey '^I' complete-word
`

func openZsh(t *testing.T, dir, setup string) *terminal {
	fpath := "fpath=('" + filepath.Dir(script(t, "_k2hdkc-slave-agent")) + "' $fpath)\n"
	return open(t, dir, ".zshrc", fpath+zshSetup+setup, "zsh", "-d", "-i")
}

// zshOffers writes down what the functions of the completion system add.
func zshOffers(t *testing.T, dir string) func(*testing.T, string) []string {
	term := openZsh(t, dir, `
		compadd() {
			if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
				local -a found
				builtin compadd -A found "$@"
				offered+=($found)
			fi
			builtin compadd "$@"
		}
		offered=()
		tell() { print -l -- $offered . >$ANSWERS; offered=(); zle kill-buffer; }
		zle -N tell
		bindkey '^T' tell
	`)
	return func(t *testing.T, line string) []string {
		term.t = t
		term.typed(line + "\t\x14")
		return term.answer()
	}
}

func zshTyped(t *testing.T, dir string) func(*testing.T, string) []string {
	return typing(openZsh(t, dir, ""))
}

func bashTyped(t *testing.T, dir string) func(*testing.T, string) []string {
	setup := "source '" + script(t, "k2hdkc-slave-agent.bash") + "'\n"
	return typing(open(t, dir, ".bashrc", setup, "bash", "--noprofile", "-i"))
}

func fishTyped(t *testing.T, dir string) func(*testing.T, string) []string {
	setup := "source '" + script(t, "k2hdkc-slave-agent.fish") + "'\n"
	return typing(open(t, dir, "setup.fish", setup, "fish", "--no-config", "-C", "source ~/setup.fish", "-i"))
}

func typing(term *terminal) func(*testing.T, string) []string {
	return func(t *testing.T, line string) []string {
		term.t = t
		term.typed(line + "\t\n")
		return term.answer()
	}
}

func TestScriptsAreRight(t *testing.T) {
	for _, check := range [][]string{
		{"bash", "-n", "k2hdkc-slave-agent.bash"},
		{"zsh", "-n", "_k2hdkc-slave-agent"},
		{"fish", "-n", "k2hdkc-slave-agent.fish"},
	} {
		if out, complaints := run(t, check[0], check[1], script(t, check[2])); out+complaints != "" {
			t.Errorf("%s:\n%s%s", check[2], out, complaints)
		}
	}
}

func TestOffers(t *testing.T) {
	var verbs []string
	for _, v := range options.Verbs() {
		verbs = append(verbs, v.Name)
	}
	tests := []struct {
		line string
		want []string
	}{
		{"", verbs},
		{"re", []string{"register"}},
		{"help ", verbs},
		{"help run v", nil},
		{"help un", []string{"unregister"}},
		{"once --dr", []string{"--dry-run"}},
		{"run --dr", nil},
		{"run --reload ", []string{"auto", "restart", "none"}},
		{"run --reload=", []string{"auto", "restart", "none"}},
		{"run --reload r", []string{"restart"}},
		{"run --reload=a", []string{"auto"}},
		{"run --log-level=debug --stamp ", []string{"yes", "no"}},
		{"run --log-level debug --log-format=j", []string{"json"}},
		{"check --unit=chm", []string{"chmpx.service"}},
		{"check --unit c", []string{"chmpx.service", "cron.service"}},
		{"run --owner roo", []string{"root"}},
		{"run --group=roo", []string{"root"}},
		{"run --check-command chmpxstatus-of", []string{"chmpxstatus-of-a-test"}},
		{"user-data --format=", []string{"cloud-config", "script"}},
		{"user-data --repo-", []string{"--repo-key-file"}},
		{"run --format", nil},
		{"run --interval ", nil},
		{"run --role=", nil},
		{"register --reload", nil},
		{"version --c", nil},
		{"nonsense --c", nil},
	}
	for _, sh := range shells() {
		t.Run(sh.name, func(t *testing.T) {
			offers := sh.offers(t, folder(t))
			for _, tt := range tests {
				if diff := cmp.Diff(sorted(tt.want), sorted(offers(t, "k2hdkc-slave-agent "+tt.line))); diff != "" {
					t.Errorf("%q (-want +got):\n%s", tt.line, diff)
				}
			}
		})
	}
}

func TestFlagsOfEachVerbAreThoseOfItsHelp(t *testing.T) {
	for _, sh := range shells() {
		t.Run(sh.name, func(t *testing.T) {
			offers := sh.offers(t, folder(t))
			for _, v := range options.Verbs() {
				want := []string{"--help"}
				for _, s := range v.Switches {
					want = append(want, "--"+s.Name)
				}
				for _, o := range v.Flags {
					want = append(want, o.Flag())
				}
				for _, o := range options.Table() {
					if slices.Contains(v.Sections, o.Section) {
						want = append(want, o.Flag())
					}
				}
				if diff := cmp.Diff(sorted(want), sorted(offers(t, "k2hdkc-slave-agent "+v.Name+" --"))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", v.Name, diff)
				}
			}
		})
	}
}

func TestThereMayBeNoSystemd(t *testing.T) {
	for _, sh := range shells() {
		t.Run(sh.name, func(t *testing.T) {
			bin := t.TempDir()
			for _, name := range []string{sh.name, "cut"} {
				need.Programs(t, name)
				path, err := exec.LookPath(name)
				fatal.If(t, err)
				fatal.If(t, os.Symlink(path, filepath.Join(bin, name)))
			}
			dir := folder(t)
			t.Setenv("PATH", bin)
			offers := sh.offers(t, dir)
			if got := offers(t, "k2hdkc-slave-agent run --unit "); len(got) > 0 {
				t.Errorf("got %q", got)
			}
			if diff := cmp.Diff([]string{"restart"}, offers(t, "k2hdkc-slave-agent run --reload r")); diff != "" {
				t.Errorf("what follows (-want +got):\n%s", diff)
			}
		})
	}
}

// readline gives --flag=value as one word to whoever has taken = out of
// COMP_WORDBREAKS.
func TestBashMayNotPartWordsAtEquals(t *testing.T) {
	dir := folder(t)
	ask := bashAsks(t, dir)
	for _, tt := range []struct{ word, want string }{
		{"--reload=a", "--reload=auto"},
		{"--output=ord", "--output=orders.ini"},
		{"--state-dir=sta", "--state-dir=state"},
		{"--unit=chm", "--unit=chmpx.service"},
		{"--owner=roo", "--owner=root"},
	} {
		if diff := cmp.Diff([]string{tt.want}, ask(t, "k2hdkc-slave-agent", "run", tt.word)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.word, diff)
		}
	}
}

func sorted(words []string) []string {
	words = append([]string{}, words...)
	slices.Sort(words)
	return slices.Compact(words)
}

func TestTyped(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"unre", []string{"unregister"}},
		{"check ord", []string{"check", "orders.ini"}},
		{"check shop", []string{"check", "shop slave.ini"}},
		{"check --output=ord", []string{"check", "--output=orders.ini"}},
		{"check --output shop", []string{"check", "--output", "shop slave.ini"}},
		{"check --reload=a", []string{"check", "--reload=auto"}},
		{"check --state-dir sta", []string{"check", "--state-dir", "state"}},
		{"check --state-dir=sta", []string{"check", "--state-dir=state"}},
		{"check --state-dir ord", []string{"check", "--state-dir", "ord"}},
		{"check -- ord", []string{"check", "--", "orders.ini"}},
		{"check --unit=chm", []string{"check", "--unit=chmpx.service"}},
		{"help ord", []string{"help", "ord"}},
		{"run ord", []string{"run", "ord"}},
	}
	for _, sh := range shells() {
		t.Run(sh.name, func(t *testing.T) {
			typed := sh.typed(t, folder(t))
			for _, tt := range tests {
				if diff := cmp.Diff(tt.want, typed(t, "k2hdkc-slave-agent "+tt.line), withoutSlash); diff != "" {
					t.Errorf("%q (-want +got):\n%s", tt.line, diff)
				}
			}
		})
	}
}

// Whether a / stays after the name of a folder is the shell's own affair.
var withoutSlash = cmp.Transformer("withoutSlash", func(s string) string { return strings.TrimSuffix(s, "/") })
