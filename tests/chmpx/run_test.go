package chmpx_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/chmpx"
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
	programs chmpx.Programs
	state    chmpx.StateDir
	conf     string
	process  *chmpx.Process
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	dir := t.TempDir()
	b := &bench{
		t: t, ctx: ctx, programs: chmpx.BuildT(t),
		state: chmpx.StateDir(filepath.Join(dir, "state")),
		conf:  filepath.Join(dir, "slave.ini"),
	}
	if err := os.Mkdir(string(b.state), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs chmpx on text until the test ends.
func (b *bench) start(text string, opts ...chmpx.Option) {
	b.t.Helper()
	b.write(text)
	p, err := chmpx.Start(b.ctx, b.programs, b.conf, append(opts, chmpx.WithState(b.state))...)
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
func (b *bench) await(what string, ok func(chmpx.Snapshot) bool) chmpx.Snapshot {
	b.t.Helper()
	shot, err := b.state.Await(b.ctx, group, ctlPort, ok)
	if err != nil {
		b.t.Fatalf("waiting for %s: %v; last state %+v\n%s", what, err, shot, b.process.Output())
	}
	return shot
}

func version(want int) func(chmpx.Snapshot) bool {
	return func(s chmpx.Snapshot) bool { return s.FileVersion == want }
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
	if err != nil || exit != (chmpx.Exit{}) {
		t.Errorf("after SIGHUP: %+v, %v; want status 0", exit, err)
	}
	out, status = b.run(b.programs.Status, "-conf", b.conf)
	if status != 1 || !strings.Contains(out, "[ERR] Could not initialize(attach) chmpx shared memory.") {
		t.Errorf("chmpxstatus of nothing: status %d\n%s", status, out)
	}
}
