package fakechmpx_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/chmpxhost"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/netns"
)

// bench is where programs run: a host of its own, with a file.
type bench struct {
	*testing.T
	ctx      context.Context
	programs fakechmpx.Programs
	host     *netns.Host
	state    fakechmpx.StateDir
	conf     string
}

func newBench(t *testing.T, programs fakechmpx.Programs) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	b := &bench{T: t, ctx: ctx, programs: programs, state: fakechmpx.StateDir(t.TempDir()), conf: filepath.Join(t.TempDir(), "slave.ini")}
	b.host = chmpxhost.New(t, "shop1", []string{"198.51.100.5"}, map[string]string{"hosts": "127.0.0.1 localhost\n"})
	return b
}

// both runs a test with the stand-in, and with the real programs where they are.
func both(t *testing.T, f func(b *bench)) {
	t.Run("stand-in", func(t *testing.T) { f(newBench(t, fakechmpx.BuildT(t))) })
	t.Run("real", func(t *testing.T) {
		programs, ok := fakechmpx.Installed()
		if !ok {
			t.Skip("chmpx, chmpxstatus and chmpxconftest are not installed")
		}
		f(newBench(t, programs))
	})
}

// write replaces the file by rename.
func (b *bench) write(text string) {
	b.Helper()
	next := b.conf + ".next"
	err := os.WriteFile(next, []byte(text), 0o644)
	if err == nil {
		err = os.Rename(next, b.conf)
	}
	fatal.If(b, err)
}

// start starts chmpx on text.
func (b *bench) start(text string) (p *fakechmpx.Process, err error) {
	b.Helper()
	b.write(text)
	err = b.host.Do(func() (err error) {
		p, err = fakechmpx.StartT(b, b.programs, b.conf, fakechmpx.WithState(b.state))
		return err
	})
	return p, err
}

// run runs one of the programs and returns its output and status.
func (b *bench) run(program string, args ...string) (output string, status int) {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(b.ctx, program, args...)
	cmd.Env = append(os.Environ(), b.state.Env())
	cmd.Stdout, cmd.Stderr = &out, &out
	fatal.If(b, b.host.Do(cmd.Start))
	cmd.Wait() // its status says how it went
	return out.String(), cmd.ProcessState.ExitCode()
}

// await waits until chmpxstatus shows a version.
func (b *bench) await(version string) {
	b.Helper()
	for {
		out, status := b.run(b.programs.Status, "-conf", b.conf)
		if status == 0 && strings.Contains(out, "configuration file version                   = "+version+"\n") {
			return
		}
		if b.ctx.Err() != nil {
			b.Fatalf("waiting for version %s: status %d\n%s", version, status, out)
		}
	}
}

// exits waits for the end of chmpx.
func (b *bench) exits(p *fakechmpx.Process, want fakechmpx.Exit) {
	b.Helper()
	if exit, err := p.Wait(b.ctx); err != nil || exit != want {
		b.Errorf("ended with %+v (%v), want %+v\n%s", exit, err, want, p.Output())
	}
	if out, status := b.run(b.programs.Status, "-conf", b.conf); status != 1 {
		b.Errorf("chmpxstatus of nothing: status %d\n%s", status, out)
	}
}

func TestChmpxFollowsItsFileUntilItIsHungUp(t *testing.T) {
	both(t, func(b *bench) {
		p, err := b.start(revision(7, server1))
		fatal.If(b, err)
		b.await("7")
		p.Signal(syscall.SIGTERM) // which it ignores
		b.write(revision(8, server1, server2))
		b.await("8")
		p.Signal(syscall.SIGHUP)
		b.exits(p, fakechmpx.Exit{})

		if p, err = b.start(revision(1, server1)); err != nil {
			b.Fatal(err)
		}
		b.write(revision(2)) // no server
		b.exits(p, fakechmpx.Exit{})

		if p, err = b.start(revision(1, server1)); err != nil {
			b.Fatal(err)
		}
		p.Signal(syscall.SIGKILL)
		b.exits(p, fakechmpx.Exit{Code: -1, Signal: syscall.SIGKILL})
		if _, err = b.start(revision(2, server1)); err != nil {
			b.Fatal(err)
		}
		b.await("2")
	})
}

func TestChmpxRefusesToStart(t *testing.T) {
	both(t, func(b *bench) {
		for name, text := range map[string]string{
			"the load fails":      revision(1),
			"not in the list":     strings.Replace(revision(1, server1), "[.]*", "192.0.2.50", 1),
			"GROUP with a slash":  strings.Replace(revision(1, server1), "orders", "shop/orders", 1),
			"no seed of the node": strings.Replace(revision(1, server1), "CUSTOM_ID_SEED = shop-1", "", 1),
		} {
			var failed *fakechmpx.NotStartedError
			if _, err := b.start(text); !errors.As(err, &failed) || failed.Exit.Code != 1 {
				b.Errorf("%s: %v, want it to end with status 1", name, err)
			}
		}
	})
}

func TestStatusIsFoundByGroupAndControlPort(t *testing.T) {
	both(t, func(b *bench) {
		if _, err := b.start(revision(1, server1)); err != nil {
			b.Fatal(err)
		}
		b.await("1")
		probe := b.conf + ".probe.ini"
		good := revision(9, "192.0.2.1")
		for text, want := range map[string]int{
			good: 0,
			strings.ReplaceAll(good, "18031", "18032"):        1,
			strings.Replace(good, "= orders", "= carts", 1):   1,
			strings.Replace(good, "= orders", "=", 1):         1,
			"[GLOBAL]\nGROUP = orders\nSELFCTLPORT = 18031\n": 1,
		} {
			fatal.If(b, os.WriteFile(probe, []byte(text), 0o644))
			if out, status := b.run(b.programs.Status, "-conf", probe); status != want {
				b.Errorf("%s: status %d, want %d\n%s", text, status, want, out)
			}
		}
	})
}

// TestStatusHasTheRecordedShape holds what the stand-in prints to a recording of
// the real chmpxstatus, which has two servers in service as well. Values and the
// message queues, whose number is a setting, are left out.
func TestStatusHasTheRecordedShape(t *testing.T) {
	recorded, err := os.ReadFile("../../chmpx/daemon/testdata/healthy.txt")
	fatal.If(t, err)
	s := fakechmpx.NewSlave(load(t, revision(1, server1, server2)), host)
	s.SetRing(ring(server1, server2))
	var printed bytes.Buffer
	fakechmpx.WriteStatus(&printed, s.Snapshot(), "/var/lib/antpickax")
	if diff := cmp.Diff(shape(string(recorded)), shape(printed.String())); diff != "" {
		t.Errorf("(-recorded +printed):\n%s", diff)
	}
}

var queues = regexp.MustCompile(`(?s)\n(?:chmpx using MQ|client process using MQ|assigned MQ|joining client process).*?\n\}`)

// shape is a status without its values.
func shape(status string) (keys []string) {
	for line := range strings.Lines(queues.ReplaceAllString(status, "")) {
		key, _, _ := strings.Cut(line, " = ")
		keys = append(keys, strings.TrimRight(key, "\n"))
	}
	return keys
}

func TestStandinsOnThePathAreNotTakenForRealOnes(t *testing.T) {
	t.Setenv("PATH", fakechmpx.BuildT(t).Dir)
	if p, ok := fakechmpx.Installed(); ok {
		t.Errorf("%+v", p)
	}
}
