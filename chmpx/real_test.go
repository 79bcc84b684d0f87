package chmpx

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/chmpx/conftest"
	"k2hdkc-slave-agent/tests/chmpxhost"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/netns"
	"k2hdkc-slave-agent/tests/selfsigned"
)

// realLimit bounds one run of a real program.
const realLimit = 20 * time.Second

// realDiffers are the cases of which the real programs make something else than
// they are judged to, and why that is as it should be.
var realDiffers = map[string]struct {
	is  outcome
	why string
}{
	"self/the own CUK under a name that can't be looked up": {doesntStart, noAnswer},
	"self/a name that can't be looked up, and no CUK":       {doesntStart, noAnswer},
}

// realSkips are the cases that are not given to the real programs.
var realSkips = map[string]string{
	"global/K2HMASKBIT that fills the disk":      "it would fill the disk",
	"nodes/a pattern beyond every table":         "it would take chmpx a minute",
	"nodes/a pattern chmpx never gets done with": "it would take all memory",
	"nodes/patterns beyond counting":             "it would take all memory",
}

// TestRealAgrees holds every case against the real chmpxconftest, the
// configuration it prints, and a real start of chmpx, where they are installed,
// on a host like shop.
func TestRealAgrees(t *testing.T) {
	r := newRealShop(t)
	for _, c := range readCases(t) {
		t.Run(c.name, func(t *testing.T) {
			if why, skip := realSkips[c.name]; skip {
				t.Skip(why)
			}
			report := Judge(context.Background(), []byte(c.text), shop(), nil)
			want := report.outcome()
			if d, differs := realDiffers[c.name]; differs {
				t.Log(d.why)
				want = d.is
			}
			is, said := r.try(t, c.text)
			if is != want {
				t.Errorf("chmpx %s, want: %s\n%s", is, want, said)
			}
			if is == doesntLoad || report.Config == nil {
				return
			}
			if diff := cmp.Diff(r.print(t), printed(report.Config.standin())); diff != "" {
				t.Errorf("chmpx has another configuration (-chmpx +here):\n%s", diff)
			}
		})
	}
}

// realShop is shop, made of namespaces.
type realShop struct {
	host     *netns.Host
	programs fakechmpx.Programs
	conftest string // runs there, whoever starts it
	conf     string // there and here
}

func newRealShop(t *testing.T) *realShop {
	t.Helper()
	programs, ok := fakechmpx.Installed()
	if !ok {
		t.Skip("chmpx, chmpxstatus and chmpxconftest are not installed")
	}
	if version, err := exec.Command(programs.Chmpx, "-v").Output(); err == nil {
		first, _, _ := bytes.Cut(bytes.TrimSpace(version), []byte("\n"))
		t.Logf("%s", first)
	}
	cert, key := selfsigned.Pair(t)
	r := &realShop{programs: programs, conf: filepath.Join(t.TempDir(), "slave.ini")}
	r.host = chmpxhost.New(t, "web-1", []string{"10.20.0.31", "fd00:20::31"}, map[string]string{
		"hosts": `127.0.0.1 localhost
10.20.0.31 web-1.shop.internal web-1 web.shop.example cname.shop.internal
203.0.113.31 web-1.shop.internal
10.20.0.11 db-1.shop.internal
`,
		"resolv.conf":     "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
		"orders/cert.pem": cert, "orders/key.pem": key, "orders/ca.pem": cert, "orders/ca/ca.pem": cert,
	})
	r.conftest = r.host.Program(t, programs.Conftest)
	return r
}

// try gives a text to chmpxconftest, and to chmpx if it loads.
func (r *realShop) try(t *testing.T, text string) (is outcome, said string) {
	t.Helper()
	fatal.If(t, os.WriteFile(r.conf, []byte(text), 0o644))
	err := r.host.Do(func() error {
		checker := conftest.Checker{Command: r.conftest, Timeout: realLimit}
		err := checker.Check(t.Context(), r.conf)
		var refused *conftest.RefusedError
		if errors.As(err, &refused) {
			is, said = doesntLoad, refused.Said
			return nil
		}
		if err != nil {
			return err
		}
		is, said, err = r.start(t)
		return err
	})
	fatal.If(t, err)
	return is, said
}

// print is the configuration that chmpxconftest prints, of the text tried last.
func (r *realShop) print(t *testing.T) string {
	t.Helper()
	var text []byte
	err := r.host.Do(func() (err error) {
		ctx, cancel := context.WithTimeout(t.Context(), realLimit)
		defer cancel()
		text, err = exec.CommandContext(ctx, r.programs.Conftest, "-conf", r.conf, "-no_check_update").Output()
		return err
	})
	fatal.If(t, err)
	_, rest, _ := strings.Cut(string(text), "configuration{\n")
	return withoutDate("configuration{\n" + rest)
}

// start starts chmpx, sees whether it comes up, and ends it.
func (r *realShop) start(t *testing.T) (is outcome, said string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), realLimit)
	defer cancel()
	p, err := fakechmpx.Start(ctx, r.programs, r.conf, func(cmd *exec.Cmd) { cmd.Dir = filepath.Dir(r.conf) })
	var failed *fakechmpx.NotStartedError
	switch {
	case ctx.Err() != nil:
		return "", "", fmt.Errorf("chmpx neither came up nor ended in %v", realLimit)
	case errors.As(err, &failed):
		return doesntStart, failed.Error(), nil
	case err != nil:
		return "", "", err
	}
	_, err = p.Stop(ctx)
	return starts, p.Output(), err
}

// TestRealSeesTheSameChanges has a running chmpx reload each changed file, and
// the file as it was, and hears whether it found a difference.
func TestRealSeesTheSameChanges(t *testing.T) {
	r := newRealShop(t)
	p := r.run(t, cluster)
	for _, c := range changeCases() {
		t.Run(c.name, func(t *testing.T) {
			want := len(c.want) > 0
			if is := p.reload(t, c.text(t)); is != want {
				t.Errorf("chmpx saw a change: %t, want %t", is, want)
			}
			if is := p.reload(t, cluster); is != want {
				t.Errorf("on the way back chmpx saw a change: %t, want %t", is, want)
			}
		})
	}
}

// realProcess is a running chmpx that tells all it does.
type realProcess struct {
	conf  string
	lines *bufio.Scanner
}

// run starts chmpx, which ends with the test.
func (r *realShop) run(t *testing.T, text string) *realProcess {
	t.Helper()
	fatal.If(t, os.WriteFile(r.conf, []byte(text), 0o644))
	ctx, cancel := context.WithTimeout(context.Background(), 3*realLimit)
	cmd := exec.CommandContext(ctx, r.programs.Chmpx, "-conf", r.conf, "-d", "msg")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	fatal.If(t, err)
	fatal.If(t, r.host.Do(cmd.Start))
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	p := &realProcess{conf: r.conf, lines: bufio.NewScanner(stderr)}
	p.until(t, idle)
	return p
}

// What chmpx says when it handles the replacement of its file, when it found no
// difference, and every 100 ms while it has nothing to do but to look for servers.
const (
	replaced = "is deleted("
	noChange = "but it is not changed"
	idle     = "InitialAllServerStatus("
)

// reload replaces the file and returns whether chmpx saw a change in it.
func (p *realProcess) reload(t *testing.T, text string) (changed bool) {
	t.Helper()
	next := p.conf + ".next"
	fatal.If(t, os.WriteFile(next, []byte(text), 0o644))
	fatal.If(t, os.Rename(next, p.conf))
	p.until(t, replaced)
	return p.until(t, idle, noChange) == idle
}

// until reads up to a line with one of the texts.
func (p *realProcess) until(t *testing.T, texts ...string) string {
	t.Helper()
	for p.lines.Scan() {
		for _, text := range texts {
			if strings.Contains(p.lines.Text(), text) {
				return text
			}
		}
	}
	t.Fatalf("chmpx ended, or took too long; it said none of %q", texts)
	return ""
}
