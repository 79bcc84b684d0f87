package fakechmpx_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

const (
	group   = "orders"
	ctlPort = 18031
)

// revision is a file of the cluster orders with the server nodes named.
func revision(version int, servers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[GLOBAL]\nGROUP = %s\nFILEVERSION = %d\nMODE = SLAVE\nDELIVERMODE = hash\n", group, version)
	fmt.Fprintf(&b, "CHMPXIDTYPE = CUSTOM\nMAXCHMPX = 8\nK2HMASKBIT = 4\nSELFCTLPORT = %d\n", ctlPort)
	for _, name := range servers {
		fmt.Fprintf(&b, "\n[SVRNODE]\nNAME = %s\nPORT = 18020\nCTLPORT = 18021\nCUSTOM_ID_SEED = seed-%s\n", name, name)
	}
	fmt.Fprintf(&b, "\n[SLVNODE]\nNAME = [.]*\nCTLPORT = %d\nCUSTOM_ID_SEED = shop-1\n", ctlPort)
	return b.String()
}

// bench is a running stand-in with its own file and state.
type bench struct {
	t        *testing.T
	ctx      context.Context
	programs fakechmpx.Programs
	state    fakechmpx.StateDir
	conf     string
	process  *fakechmpx.Process
}

func newBench(t *testing.T) *bench {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	dir := t.TempDir()
	b := &bench{
		t: t, ctx: ctx, programs: fakechmpx.BuildT(t),
		state: fakechmpx.StateDir(filepath.Join(dir, "state")),
		conf:  filepath.Join(dir, "slave.ini"),
	}
	if err := os.Mkdir(string(b.state), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs chmpx on text until the test ends.
func (b *bench) start(text string, opts ...fakechmpx.Option) {
	b.t.Helper()
	b.write(text)
	p, err := fakechmpx.Start(b.ctx, b.programs, b.conf, append(opts, fakechmpx.WithState(b.state))...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.process = p
	b.t.Cleanup(func() { p.Stop(b.ctx) })
}

// write replaces the file by rename.
func (b *bench) write(text string) {
	b.t.Helper()
	next := filepath.Join(filepath.Dir(b.conf), ".next.ini")
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(next, b.conf); err != nil {
		b.t.Fatal(err)
	}
}

// await waits until the running chmpx's state is as wanted.
func (b *bench) await(what string, ok func(fakechmpx.Snapshot) bool) fakechmpx.Snapshot {
	b.t.Helper()
	shot, err := b.state.Await(b.ctx, group, ctlPort, ok)
	if err != nil {
		b.t.Fatalf("waiting for %s: %v; last state %+v\n%s", what, err, shot, b.process.Output())
	}
	return shot
}

func version(want int) func(fakechmpx.Snapshot) bool {
	return func(s fakechmpx.Snapshot) bool { return s.FileVersion == want }
}

// run runs one of the programs and returns its output and status.
func (b *bench) run(program string, args ...string) (output string, status int) {
	b.t.Helper()
	cmd := exec.CommandContext(b.ctx, program, args...)
	cmd.Env = append(os.Environ(), b.state.Env())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		b.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestChmpxAppliesReplacementsUntilHungUp(t *testing.T) {
	b := newBench(t)
	b.start(revision(7, "db1.shop.test"))
	first := b.await("the start", version(7))
	if first.PID != b.process.PID() || first.Free != 6 {
		t.Errorf("state is of process %d with %d free slots, want %d with 6", first.PID, first.Free, b.process.PID())
	}

	b.write(revision(8, "db1.shop.test", "db2.shop.test"))
	second := b.await("the reload", version(8))
	if len(second.Servers) != 2 || second.PID != first.PID {
		t.Errorf("after the reload process %d has %d servers, want 2 in process %d", second.PID, len(second.Servers), first.PID)
	}
	out, status := b.run(b.programs.Status, "-conf", b.conf)
	if status != 0 || !strings.Contains(out, "configuration file version                   = 8\n") {
		t.Errorf("chmpxstatus: status %d\n%s", status, out)
	}

	if err := b.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	exit, err := b.process.Wait(b.ctx)
	if err != nil || exit != (fakechmpx.Exit{}) {
		t.Errorf("after SIGHUP: %+v, %v; want status 0", exit, err)
	}
	out, status = b.run(b.programs.Status, "-conf", b.conf)
	if status != 1 || !strings.Contains(out, "[ERR] Could not initialize(attach) chmpx shared memory.") {
		t.Errorf("chmpxstatus of nothing: status %d\n%s", status, out)
	}
}

// expectExit waits for the end of chmpx.
func (b *bench) expectExit(want fakechmpx.Exit) {
	b.t.Helper()
	exit, err := b.process.Wait(b.ctx)
	if err != nil || exit != want {
		b.t.Fatalf("ended with %+v (%v), want %+v\n%s", exit, err, want, b.process.Output())
	}
}

func (b *bench) expectNoState() {
	b.t.Helper()
	if _, err := os.Stat(b.state.Path(group, ctlPort)); !os.IsNotExist(err) {
		b.t.Errorf("the state file: %v, want it removed", err)
	}
}

// startError starts chmpx on text, which must not succeed.
func (b *bench) startError(text string) *fakechmpx.NotStartedError {
	b.t.Helper()
	b.write(text)
	_, err := fakechmpx.Start(b.ctx, b.programs, b.conf, fakechmpx.WithState(b.state))
	var failed *fakechmpx.NotStartedError
	if !errors.As(err, &failed) {
		b.t.Fatalf("start: %v, want a NotStartedError", err)
	}
	return failed
}

func TestChmpxEndsInOrderOnAFatalReload(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	b.write(revision(2)) // no server
	b.expectExit(fakechmpx.Exit{})
	b.expectNoState()
}

func TestChmpxDiesOfTooManyServers(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	b.write(revision(2, servers(8)...))
	b.expectExit(fakechmpx.Exit{Code: -1, Signal: syscall.SIGSEGV})
}

func TestChmpxStartedWithTooManyServersDiesAtItsEnd(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, servers(8)...))
	b.process.Signal(syscall.SIGHUP)
	b.expectExit(fakechmpx.Exit{Code: -1, Signal: syscall.SIGSEGV})
}

func TestChmpxRefusesToStart(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want fakechmpx.Exit
	}{
		"the load fails":      {revision(1), fakechmpx.Exit{Code: 1}},
		"not in the list":     {strings.Replace(revision(1, server1), "[.]*", "192.0.2.50", 1), fakechmpx.Exit{Code: 1}},
		"no room for a node":  {strings.Replace(revision(1, server1), "MAXCHMPX = 8", "MAXCHMPX = 0", 1), fakechmpx.Exit{Code: -1, Signal: syscall.SIGSEGV}},
		"GROUP with a slash":  {strings.Replace(revision(1, server1), "orders", "shop/orders", 1), fakechmpx.Exit{Code: 1}},
		"no seed of the node": {strings.Replace(revision(1, server1), "CUSTOM_ID_SEED = shop-1", "", 1), fakechmpx.Exit{Code: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			failed := b.startError(c.text)
			if failed.Exit != c.want {
				t.Errorf("%+v, want %+v", failed.Exit, c.want)
			}
			if c.want.Code == 1 && !strings.Contains(failed.Output, "ERROR: Could not initialize process.\n") {
				t.Errorf("output:\n%s", failed.Output)
			}
			b.expectNoState()
		})
	}
}

func TestSignals(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	for i, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM} {
		if err := b.process.Signal(s); err != nil {
			t.Fatal(err)
		}
		b.write(revision(2+i, server1))
		b.await(fmt.Sprintf("a reload after signal %v", s), version(2+i))
	}
	b.process.Signal(syscall.SIGINT)
	b.expectExit(fakechmpx.Exit{})
	b.expectNoState()
}

func TestKilledChmpxLeavesItsStateWhichIsNotTakenForARunningOne(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	b.process.Signal(syscall.SIGKILL)
	b.expectExit(fakechmpx.Exit{Code: -1, Signal: syscall.SIGKILL})
	if _, status := b.run(b.programs.Status, "-conf", b.conf); status != 1 {
		t.Errorf("chmpxstatus of a dead process: status %d, want 1", status)
	}
	b.start(revision(2, server1))
	b.await("the second start", version(2))
	if _, err := os.Stat(b.state.Path(group, ctlPort) + ".bup"); err != nil {
		t.Error(err)
	}
}

func TestRunningChmpxFollowsTheRing(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	servers := func(want int) func(fakechmpx.Snapshot) bool {
		return func(s fakechmpx.Snapshot) bool { return len(s.Servers) == want }
	}
	for _, c := range []struct {
		members []fakechmpx.Member
		want    int
	}{
		{[]fakechmpx.Member{member(server1, ""), member(server2, ""), member(server3, "")}, 3},
		{[]fakechmpx.Member{member(server1, ""), member(server2, "")}, 2},
		{nil, 1},
	} {
		if err := b.state.SetRing(c.members...); err != nil {
			t.Fatal(err)
		}
		b.await(fmt.Sprintf("a ring of %d", len(c.members)), servers(c.want))
	}
}

func TestStatusIsFoundByGroupAndControlPort(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	probe := filepath.Join(filepath.Dir(b.conf), "probe.ini")
	const text = "[GLOBAL]\nFILEVERSION = 1\nGROUP = %s\nMODE = SLAVE\nDELIVERMODE = hash\nSELFCTLPORT = %d\n" +
		"[SVRNODE]\nNAME = localhost\nPORT = 1\nCTLPORT = 1\n[SLVNODE]\nNAME = localhost\nCTLPORT = %[2]d\n"
	for _, c := range []struct {
		group  string
		port   int
		args   []string
		status int
	}{
		{group, ctlPort, nil, 0},
		{group, ctlPort, []string{"-self"}, 0},
		{group, 18032, nil, 1},
		{group, 18032, []string{"-ctlport", fmt.Sprint(ctlPort)}, 0},
		{"carts", ctlPort, nil, 1},
		{"", ctlPort, nil, 1},
		{"/../" + group, ctlPort, nil, 1},
	} {
		if err := os.WriteFile(probe, fmt.Appendf(nil, text, c.group, c.port), 0o644); err != nil {
			t.Fatal(err)
		}
		out, status := b.run(b.programs.Status, append([]string{"-conf", probe}, c.args...)...)
		if status != c.status {
			t.Errorf("%s-%d %v: status %d, want %d\n%s", c.group, c.port, c.args, status, c.status, out)
		}
	}
	os.WriteFile(probe, []byte("[GLOBAL]\nGROUP = orders\n"), 0o644)
	if _, status := b.run(b.programs.Status, "-conf", probe); status != 1 {
		t.Errorf("a probe file that does not load: status %d, want 1", status)
	}
}

func TestStatusWaits(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	for _, c := range []struct {
		args, out string
		status    int
	}{
		{"-live up -ring slave -nosuspend -timeout 3", "SUCCEED\n", 0},
		{"-live up -ring servicein -nosuspend -timeout 1", "FAILED\n", 1},
		{"-live up -ring slave", "[ERR] wait mode(-wait) needs -live, -ring and -nosuspend(or -suspend) option.\n", 1},
	} {
		out, status := b.run(b.programs.Status, append([]string{"-conf", b.conf, "-wait"}, strings.Fields(c.args)...)...)
		if out != c.out || status != c.status {
			t.Errorf("%s: %q, status %d; want %q, status %d", c.args, out, status, c.out, c.status)
		}
	}
}

func TestConftestTellsByItsOutputOnly(t *testing.T) {
	b := newBench(t)
	b.write(revision(1, server1))
	out, status := b.run(b.programs.Conftest, "-conf", b.conf, "-no_check_update")
	if status != 0 || !strings.HasPrefix(out, "configuration{\n\tGROUP           = orders\n") {
		t.Errorf("a good file: status %d\n%s", status, out)
	}
	b.write(revision(1))
	out, status = b.run(b.programs.Conftest, "-conf", b.conf, "-no_check_update", "-d", "err")
	if status != 0 || strings.Contains(out, "configuration{") || !strings.Contains(out, "\n[NOTICE]\n") || !strings.Contains(out, "[CHMPX-ERR]") {
		t.Errorf("a bad file: status %d\n%s", status, out)
	}
	for _, path := range []string{b.conf + ".tmp", filepath.Join(filepath.Dir(b.conf), "gone.ini")} {
		if _, status := b.run(b.programs.Conftest, "-conf", path, "-no_check_update"); status != 1 {
			t.Errorf("%s: status %d, want 1", path, status)
		}
	}
}

func TestConftestWithoutItsFlagNeverEnds(t *testing.T) {
	b := newBench(t)
	b.write(revision(1, server1))
	cmd := exec.CommandContext(b.ctx, b.programs.Conftest, "-conf", b.conf)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := bufio.NewScanner(out)
	for printed.Scan() && printed.Text() != "}" {
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		t.Errorf("it ended: %v", err)
	case <-time.After(50 * time.Millisecond):
		cmd.Process.Kill()
		<-ended
	}
}

func (b *bench) inject(f fakechmpx.Fault, value string) {
	b.t.Helper()
	if err := b.state.Inject(f, value); err != nil {
		b.t.Fatal(err)
	}
}

// awaitTaken waits until a fault that is taken once has struck.
func (b *bench) awaitTaken(f fakechmpx.Fault) {
	b.t.Helper()
	for b.state.Has(f) {
		if b.ctx.Err() != nil {
			b.t.Fatalf("fault %s is never taken\n%s", f, b.process.Output())
		}
		time.Sleep(time.Millisecond)
	}
}

// awaitOutput waits until chmpx has printed text.
func (b *bench) awaitOutput(text string) {
	b.t.Helper()
	for !strings.Contains(b.process.Output(), text) {
		if b.ctx.Err() != nil {
			b.t.Fatalf("%q is never printed\n%s", text, b.process.Output())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestFaultStatusHangs(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	b.inject(fakechmpx.FaultStatusHang, "")
	ctx, cancel := context.WithTimeout(b.ctx, 100*time.Millisecond)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.programs.Status, "-conf", b.conf)
	cmd.Env = append(os.Environ(), b.state.Env())
	if err := cmd.Run(); ctx.Err() == nil {
		t.Errorf("chmpxstatus ended: %v", err)
	}
	if err := b.state.Clear(fakechmpx.FaultStatusHang); err != nil {
		t.Fatal(err)
	}
	if _, status := b.run(b.programs.Status, "-conf", b.conf); status != 0 {
		t.Errorf("afterwards: status %d", status)
	}
}

func TestFaultSlowLoad(t *testing.T) {
	b := newBench(t)
	b.start(revision(1, server1))
	b.inject(fakechmpx.FaultLoadDelay, "150ms")
	begin := time.Now()
	b.write(revision(2, server1))
	b.await("the slow reload", version(2))
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("the load took %v", took)
	}
}

func TestReplacementDuringTheFirstLoadIsMissed(t *testing.T) {
	b := newBench(t)
	b.inject(fakechmpx.FaultLoadDelay, "")
	go func() {
		for !b.state.Loading() && b.ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		os.WriteFile(b.conf+".next", []byte(revision(2, server1)), 0o644)
		os.Rename(b.conf+".next", b.conf)
		b.state.Clear(fakechmpx.FaultLoadDelay)
	}()
	b.start(revision(1, server1))
	if shot := b.await("the start", func(fakechmpx.Snapshot) bool { return true }); shot.FileVersion != 1 {
		t.Errorf("FILEVERSION %d is in force, want 1", shot.FileVersion)
	}
	b.write(revision(3, server1))
	b.await("the next replacement", version(3))
}

func TestFaultsThatLoseAnUpdate(t *testing.T) {
	for fault, next := range map[fakechmpx.Fault]bool{ // whether the next update is taken
		fakechmpx.FaultAbsorb:    true,
		fakechmpx.FaultDropEvent: false,
		fakechmpx.FaultWatchLost: false,
	} {
		t.Run(string(fault), func(t *testing.T) {
			b := newBench(t)
			b.start(revision(1, server1))
			b.inject(fault, "")
			b.write(revision(2, server1))
			b.awaitTaken(fault)
			b.write(revision(3, server1))
			if next {
				b.await("the next update", version(3))
				return
			}
			ctx, cancel := context.WithTimeout(b.ctx, 50*time.Millisecond)
			defer cancel()
			if shot, err := b.state.Await(ctx, group, ctlPort, version(3)); err == nil {
				t.Errorf("the next update was taken: %+v", shot)
			}
			if _, err := b.process.Stop(b.ctx); err != nil {
				t.Fatal(err)
			}
			b.start(revision(4, server1))
			b.await("a restart", version(4))
		})
	}
}

func TestFaultCrashAtStart(t *testing.T) {
	b := newBench(t)
	b.inject(fakechmpx.FaultCrashAtStart, "")
	if failed := b.startError(revision(1, server1)); failed.Exit.Signal != syscall.SIGSEGV {
		t.Errorf("%+v, want SIGSEGV", failed.Exit)
	}
}

// freePort is a control port nobody listens on at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if port <= 32767 {
			return port
		}
	}
	return 20000 + os.Getpid()%10000
}

func TestControlConnectionAbsorbsAChange(t *testing.T) {
	b := newBench(t)
	port := freePort(t)
	ours := func(text string) string { return strings.ReplaceAll(text, fmt.Sprint(ctlPort), fmt.Sprint(port)) }
	await := func(want int) {
		t.Helper()
		if shot, err := b.state.Await(b.ctx, group, port, version(want)); err != nil {
			t.Fatalf("waiting for %d: %v, %+v", want, err, shot)
		}
	}
	ask := func() string {
		t.Helper()
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(conn, "VERSION\n")
		reply, _ := io.ReadAll(conn)
		return string(reply)
	}
	b.start(ours(revision(1, server1)), fakechmpx.WithControlPort())

	old, err := os.Open(b.conf) // holds the event back
	if err != nil {
		t.Fatal(err)
	}
	b.write(ours(revision(2, server1)))
	if reply := ask(); !strings.HasPrefix(reply, "Version 1.0.113 ") {
		t.Errorf("VERSION: %q", reply)
	}
	old.Close()
	b.awaitOutput(", unchanged.")
	await(1)
	b.write(ours(revision(3, server1)))
	await(3)

	if old, err = os.Open(b.conf); err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	b.write(ours(revision(4)))
	ask()
	b.expectExit(fakechmpx.Exit{})
}

func TestProgramsFindTheirStateWithoutEnvironment(t *testing.T) {
	b := newBench(t)
	programs, err := fakechmpx.BuildStandin(filepath.Join(t.TempDir(), "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := programs.UseState(b.state); err != nil {
		t.Fatal(err)
	}
	b.start(revision(1, server1))
	cmd := exec.CommandContext(b.ctx, programs.Status, "-conf", b.conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("chmpxstatus: %v\n%s", err, out)
	}
}

func TestInstalledProgramsArePreferred(t *testing.T) {
	installed := t.TempDir()
	for _, name := range []string{"chmpx", "chmpxstatus", "chmpxconftest"} {
		if err := os.WriteFile(filepath.Join(installed, name), []byte("#!/bin/true\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", installed)
	p, err := fakechmpx.Build(t.TempDir())
	if err != nil || !p.Real || p.Dir != installed || p.Status != filepath.Join(installed, "chmpxstatus") {
		t.Errorf("%+v, %v; want what is installed in %s", p, err, installed)
	}
}

func TestStandinsOnThePathAreNotTakenForRealOnes(t *testing.T) {
	t.Setenv("PATH", fakechmpx.BuildT(t).Dir+":"+os.Getenv("PATH"))
	p, err := fakechmpx.Build(filepath.Join(t.TempDir(), "bin"))
	if err != nil || p.Real {
		t.Errorf("%+v, %v; want new stand-ins", p, err)
	}
}
