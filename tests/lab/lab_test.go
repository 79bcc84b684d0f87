package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/netns"
	"k2hdkc-slave-agent/tests/parallel"
)

// The test binary is the lab too.
const envLab = "K2HDKC_TEST_LAB"

func TestMain(m *testing.M) {
	if os.Getenv(envLab) != "" || os.Getenv(envInside) != "" {
		main()
	}
	parallel.Waiting()
	os.Exit(m.Run())
}

// give gives up at last.
const give = 5 * time.Minute

// show is a lab that prints to the test.
type show struct {
	t     *testing.T
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // has room for one
}

func newShow(t *testing.T) *show { return &show{t: t, grown: make(chan struct{}, 1)} }

func (s *show) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	select {
	case s.grown <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (s *show) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the lab has printed something.
func (s *show) await(expression string) {
	s.t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.After(give); ; {
		if re.MatchString(s.String()) {
			return
		}
		select {
		case <-s.grown:
		case <-deadline:
			s.t.Fatalf("no %s in\n%s", expression, s)
		}
	}
}

// expect fails the test unless each of the expressions is found, after what was
// found for the one before.
func (s *show) expect(expressions ...string) {
	s.t.Helper()
	rest := s.String()
	for _, expression := range expressions {
		at := regexp.MustCompile(expression).FindStringIndex(rest)
		if at == nil {
			s.t.Errorf("no %s in\n%s", expression, rest)
			return
		}
		rest = rest[at[1]:]
	}
}

// Somebody types commands, right and wrong ones; each gets an answer, and the end
// of input is the end of the lab.
func TestEachCommandIsAnsweredAndTheEndOfInputEndsTheLab(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "--stock"} {
		t.Run("k2hr3"+kind, func(t *testing.T) {
			t.Parallel()
			p := start(t, strings.Fields("--keep "+kind)...)
			p.types("join 4\njoin 4\n\nleave 9\njoin x\nleave\nbreak\nbreak\njoin 5\nmend\nmend\nopen sesame\n" +
				"down\ndown\nleave 1\nbreak\ndoctor\nup\nup\nleave 2\nleave 3\nleave 4\nleave 5\nbreak\njoin 5\nstatus\nhelp\nhelp me\n")
			p.ends(0)
			const same = `ok +K2HR3, slave.ini and chmpx have the same `
			p.expect("this machine alone", "compiling", "compiled in",
				"1/6", "  ok", "2/6", same+"1 server: revision 1", "3/6", same+"3 servers", "4/6", same+"2 servers",
				"5/6", "ok +refused", "6/6", same+"3 servers", "ok +revision", "nothing has failed: ", "what now",
				"server-4.* joins", same+"4 servers",
				"!! +server-4 is there already",
				"!! +server-9 is not there; there are: server-1, server-2, server-3, server-4",
				"!! +which server node", "!! +which server node",
				"ok +refused", "!! .*broken already",
				"ok +K2HR3 has it, but not in the broken RESOURCE", same+"5 servers", "!! .*not broken",
				`!! +there is no command "open"; type `,
				"ok +the agent keeps slave.ini", "!! .*down already", "ok +K2HR3 has it, but does not answer",
				"!! .*does not answer", "failed +k2hr3", "skipped +file|ok +file", "1 failed, .*begin with k2hr3", same+"4 servers", "!! .*not down",
				same+"3 servers", same+"2 servers", same+"1 server", "ok +refused: a file without a server",
				"!! +without a server", same+"1 server",
				"K2HR3 +has server-5", "file +is revision", "chmpx +runs revision", "agent +runs, pid",
				"quit +end the lab", "!! +help stands alone",
				"the agent is stopped", "ok +chmpx runs on")
			if found := regexp.MustCompile(`.*\(GET\): 0.*`).FindString(p.String()); found != "" {
				t.Errorf("a request that nobody answered has a status: %s", found)
			}
		})
	}
}

// Whoever breaks what the lab has started keeps the lab, and can start it again.
func TestTheLabOutlivesChmpxAndTheAgent(t *testing.T) {
	t.Parallel()
	p := start(t, "--keep")
	p.await(`Break what you like below `)
	file := regexp.MustCompile(`(?m)^slave.ini +(\S+)$`).FindStringSubmatch(p.String())
	if file == nil {
		t.Fatal("the lab names no slave.ini")
	}
	if err := os.WriteFile(file[1], []byte("garbage\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.await(`chmpx +has ended; type start chmpx`)
	for until := time.Now().Add(give); ; time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(file[1]); err == nil && strings.Contains(string(b), "[GLOBAL]") {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("the agent does not put slave.ini back:\n%s", p)
		}
	}
	p.types("join 4\nstart chmpx\nstart chmpx\nstop agent\nstop agent\njoin 5\nbreak\nstatus --brief\nstart agent\n" +
		"stop chmpx\ndoctor --only chmpx\nstart\nstop everything\nstatus --verbose\n")
	p.ends(0)
	p.expect("has ended; type start chmpx", "GROUP is missing",
		"ok +K2HR3 has it, and chmpx does not run", "chmpx +started on the file", "!! +chmpx runs already",
		"agent +ended with status 0", "!! +agent does not run; type start agent", "ok +K2HR3 has it, and no agent runs",
		"!! +the agent and chmpx have to run for that", "failed: the agent does not run", "agent +started",
		"chmpx +has ended", "failed +chmpx", "!! +type start agent or start chmpx", "!! +type stop agent or stop chmpx", "unknown flag --verbose")
}

// Ctrl-C reaches the lab and all that it has started which is not kept from it.
func TestCtrlCEndsTheLabAndAllItHasStarted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, at string
		status   int
	}{
		{"while it compiles", "compiling", 1},
		{"during the story", "1/6", 1},
		{"while it stays up", "what now", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "--keep")
			p.await(tt.at)
			if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			p.ends(tt.status)
			if said := strings.Contains(p.errs.String(), "interrupted"); said != (tt.status == 1) {
				t.Errorf("it says: %s", p.errs)
			}
		})
	}
}

func TestAMachineWithoutAnAddressIsGivenOne(t *testing.T) {
	t.Parallel()
	lonely := netns.New(t, netns.Spec{Name: "lonely"})
	p := newProcess(t)
	if err := lonely.Do(p.cmd.Start); err != nil {
		t.Fatal(err)
	}
	p.ends(0)
	p.expect("no address but the loopback's", "6/6", "  ok", "Every step came out right")
}

func TestAWrongCommandLineIsAnswered(t *testing.T) {
	for args, want := range map[string]string{"--stok": "--stock", "keep": `no argument "keep"`} {
		var out, errs bytes.Buffer
		if status := command(t.Context(), []string{args}, nil, &out, &errs); status != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: status %d: %s", args, status, &errs)
		}
	}
	var out bytes.Buffer
	if status := command(t.Context(), []string{"--help"}, nil, &out, io.Discard); status != 0 || !strings.Contains(out.String(), "--keep") {
		t.Errorf("--help: status %d: %s", status, &out)
	}
}

// process is a lab that is a process of its own, with a process group.
type process struct {
	*show
	cmd  *exec.Cmd
	in   io.WriteCloser
	temp string
	errs *show
}

func newProcess(t *testing.T, args ...string) *process {
	p := &process{show: newShow(t), temp: t.TempDir(), errs: newShow(t)}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), envLab+"=1", "TMPDIR="+p.temp)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = p.show, p.errs
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.Process != nil {
			p.cmd.Process.Kill() // it has ended long ago
		}
	})
	return p
}

func start(t *testing.T, args ...string) *process {
	p := newProcess(t, args...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// types gives the lab all its input.
func (p *process) types(text string) {
	go func() {
		io.WriteString(p.in, text)
		p.in.Close()
	}()
}

// ends fails the test unless the lab ends with a status, and leaves nothing.
func (p *process) ends(status int) {
	p.t.Helper()
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(give):
		p.t.Fatalf("it does not end:\n%s", p)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("status %d, want %d: %s\n%s", got, status, p.errs, p)
	}
	p.nothingLeft()
}

// nothingLeft fails the test unless the lab has removed its folder and ended its
// processes.
func (p *process) nothingLeft() {
	p.t.Helper()
	left, err := filepath.Glob(filepath.Join(p.temp, "*"))
	if err != nil || len(left) != 0 {
		p.t.Errorf("left behind: %q, %v", left, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		p.t.Fatal(err)
	}
	for _, line := range lines {
		if b, _ := os.ReadFile(line); strings.Contains(string(b), p.temp) {
			p.t.Errorf("%s runs: %q", filepath.Dir(line), b)
		}
	}
}
