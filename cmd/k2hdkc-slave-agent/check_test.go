package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

// inPlace is what the chmpx of these tests runs. It has room for two servers
// more.
const inPlace = `[GLOBAL]
FILEVERSION = 7
GROUP = orders
MODE = SLAVE
DELIVERMODE = HASH
CHMPXIDTYPE = NAME
SELFCTLPORT = 9021
MAXCHMPX = 4
[SVRNODE]
NAME = 192.0.2.31
PORT = 9030
CTLPORT = 9031
[SLVNODE]
NAME = localhost
CTLPORT = 9021
`

// with is inPlace, each old text replaced by the new one that follows it.
func with(oldNew ...string) string { return strings.NewReplacer(oldNew...).Replace(inPlace) }

// server is one more server node.
func server(addr string) string {
	return "[SVRNODE]\nNAME = " + addr + "\nPORT = 9030\nCTLPORT = 9031\n"
}

// stage is a host with chmpx's programs and, if it was started, a chmpx.
type stage struct {
	t        *testing.T
	programs fakechmpx.Programs
	state    fakechmpx.StateDir
	dir, tmp string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	need.Address(t)
	s := &stage{t: t, programs: fakechmpx.BuildT(t), state: fakechmpx.StateDir(t.TempDir()), dir: t.TempDir(), tmp: t.TempDir()}
	t.Setenv(fakechmpx.EnvState, string(s.state))
	t.Setenv("TMPDIR", s.tmp)
	return s
}

func (s *stage) output() string { return filepath.Join(s.dir, "slave.ini") }

// start puts a file in place and starts chmpx on it.
func (s *stage) start(text string) {
	s.t.Helper()
	s.put(text)
	if _, err := fakechmpx.StartT(s.t, s.programs, s.output(), fakechmpx.WithState(s.state)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) put(text string) {
	s.t.Helper()
	fatal.If(s.t, os.WriteFile(s.output(), []byte(text), 0o600))
}

type result struct {
	status         int
	stdout, stderr string
}

// check runs the verb on a text on standard input; with an argument, on what
// that says.
func (s *stage) check(text string, args ...string) result {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	p := program{
		stdin: strings.NewReader(text), stdout: &stdout, stderr: &stderr,
		system: options.System{Files: os.DirFS("/"), Dir: s.dir, Environ: []string{
			"K2HDKC_SLAVE_CONFIG=/dev/null",
			"K2HDKC_SLAVE_OUTPUT=" + s.output(),
			"K2HDKC_SLAVE_RUN_DIR=" + filepath.Join(s.dir, "run"),
			"K2HDKC_SLAVE_STATUS_COMMAND=" + s.programs.Status,
			"K2HDKC_SLAVE_CHECK_COMMAND=" + s.programs.Conftest,
		}},
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	status := p.main(s.t.Context(), append([]string{"check"}, args...))
	left, err := os.ReadDir(s.tmp)
	if err != nil || len(left) != 0 {
		s.t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "run")); err == nil {
		s.t.Error("check wrote into the folder of the agent that runs")
	}
	return result{status, stdout.String(), stderr.String()}
}

func TestCheckKnowsTheRunningChmpx(t *testing.T) {
	s := newStage(t)
	s.start(inPlace)
	tests := []struct {
		name, text string
		want       string // first line
		says       string
	}{
		{"what runs", inPlace, "accept", ""},
		{"a server more", inPlace + server("192.0.2.32"), "accept", ""},
		{"more servers than it has room for", with("MAXCHMPX = 4", "MAXCHMPX = 40") + server("192.0.2.32") + server("192.0.2.33") + server("192.0.2.34"),
			"dangerous", "3 server nodes are new to the running chmpx"},
		{"another group", with("GROUP = orders", "GROUP = stock"), "dangerous", "the running chmpx has GROUP"},
		{"another identity type, which only the file in place tells", with("CHMPXIDTYPE = NAME", "CHMPXIDTYPE = CUSTOM", "CTLPORT = 9031", "CTLPORT = 9031\nCUSTOM_ID_SEED = a", "NAME = localhost", "NAME = localhost\nCUSTOM_ID_SEED = b"),
			"dangerous", "the running chmpx has CHMPXIDTYPE NAME"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.check(tt.text)
			first, rest, _ := strings.Cut(got.stdout, "\n")
			if first != tt.want || !strings.Contains(rest, tt.says) || (got.status == 0) != (tt.want == "accept") || got.stderr != "" {
				t.Errorf("%+v", got)
			}
		})
	}

	another := filepath.Join(s.dir, "another.ini")
	fatal.If(t, os.WriteFile(another, []byte(with("FILEVERSION = 7", "FILEVERSION = 8")), 0o600))
	identity, group, many := tests[len(tests)-1], tests[3], tests[2]
	if got := s.check(identity.text, "-", "--output="+another); got.status != 0 {
		t.Errorf("chmpx is not known to run the file in place: %+v", got)
	}
	none := "--output=" + filepath.Join(s.dir, "none.ini")
	if got := s.check(many.text, "-", none); !strings.HasPrefix(got.stdout, "dangerous\n") {
		t.Errorf("nothing in place: %+v", got)
	}
	if got := s.check(group.text, "-", none); got.status != 0 {
		t.Errorf("nothing in place, and no chmpx of that group: %+v", got)
	}
}

func TestCheckWithoutARunningChmpx(t *testing.T) {
	s := newStage(t)
	if got, want := s.check(inPlace), (result{0, "accept\n", ""}); got != want {
		t.Errorf("%+v", got)
	}
	for _, flag := range []string{"--status-command=", "--status-command=no-such-chmpxstatus"} {
		if got, want := s.check(inPlace, "-", flag), (result{0, "accept\n", ""}); got != want {
			t.Errorf("%s: %+v", flag, got)
		}
	}
	got := s.check(inPlace, "-", "--status-command=/bin/true")
	if got.status != 0 || got.stdout != "accept\n" || !strings.Contains(got.stderr, "cannot look at the running chmpx") {
		t.Errorf("%+v", got)
	}
}

// script makes a check-command out of shell.
func (s *stage) script(text string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "chmpxconftest")
	fatal.If(s.t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return path
}

func TestCheckAndTheSecondOpinion(t *testing.T) {
	s := newStage(t)
	s.put(inPlace)
	refuses := s.script(`echo '[CHMPX-ERR] LoadConfiguration(12) : the day is not good.' >&2`)
	accepts := s.script(`echo 'configuration{'`)
	dangerous := with("PORT = 9030", "PORT = 40000")
	danger := s.check(dangerous).stdout
	if !strings.HasPrefix(danger, "dangerous\n") {
		t.Fatal(danger)
	}
	broken := with("GROUP = orders", "")
	breakage := s.check(broken).stdout
	if !strings.HasPrefix(breakage, "reject\n") || strings.Contains(breakage, "chmpxconftest") {
		t.Fatal(breakage)
	}
	tests := []struct {
		name, text, command string
		want                result
	}{
		{"both accept", inPlace, s.programs.Conftest, result{0, "accept\n", ""}},
		{"it prints more than the verdict", inPlace, s.script(`cat "$2"; echo 'configuration{'`), result{0, "accept\n", ""}},
		{"it refuses", inPlace, refuses,
			result{1, "reject\nfile: chmpxconftest refuses what this agent accepts: the day is not good.\n", ""}},
		{"it refuses what is dangerous", dangerous, refuses,
			result{1, strings.Replace(danger, "dangerous\n", "reject\nfile: chmpxconftest does not load it: the day is not good.\n", 1), ""}},
		{"both refuse", broken, refuses, result{1, breakage, ""}},
		{"it knows less", dangerous, accepts, result{1, danger, ""}},
		{"it accepts what does not load", broken, accepts,
			result{1, breakage + "file: chmpxconftest loads it, which this agent does not: this is worth a bug report\n", ""}},
		{"there is none", inPlace, "", result{0, "accept\n", ""}},
		{"it is not installed", inPlace, "/nowhere/chmpxconftest", result{0, "accept\n", ""}},
		{"it cannot be run", inPlace, "/etc/passwd",
			result{0, "accept\n", "k2hdkc-slave-agent: chmpxconftest gives no verdict: /etc/passwd cannot be run: fork/exec /etc/passwd: permission denied\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, s.check(tt.text, "-", "--check-command="+tt.command), cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// chmpx cannot reload while somebody has the old file open.
func TestCheckGivesTheFileInPlaceToNobody(t *testing.T) {
	s := newStage(t)
	s.start(inPlace)
	seen := filepath.Join(s.dir, "seen")
	conftest := s.script(`echo "$2" >` + seen + `; echo 'configuration{'`)
	if got := s.check("", s.output(), "--check-command="+conftest); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	b, err := os.ReadFile(seen)
	if err != nil || !strings.HasPrefix(string(b), s.tmp) || !strings.HasSuffix(string(b), ".ini\n") {
		t.Errorf("chmpxconftest was given %q, %v", b, err)
	}
}
