package chmpx

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx/conftest"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/netns"
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
	etc := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(etc, name)
		fatal.If(t, os.MkdirAll(filepath.Dir(path), 0o755))
		fatal.If(t, os.WriteFile(path, []byte(text), 0o600))
	}
	put("hosts", `127.0.0.1 localhost
10.20.0.31 web-1.shop.internal web-1 web.shop.example cname.shop.internal
203.0.113.31 web-1.shop.internal
10.20.0.11 db-1.shop.internal
`)
	put("nsswitch.conf", "hosts: files\n")
	put("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	cert, key := certificate(t)
	put("orders/cert.pem", cert)
	put("orders/key.pem", key)
	put("orders/ca.pem", cert)
	put("orders/ca/ca.pem", cert)

	r := &realShop{programs: programs, conf: filepath.Join(t.TempDir(), "slave.ini")}
	r.host = netns.New(t, netns.Spec{
		Name:    "web-1",
		Addrs:   []string{"10.20.0.31", "fd00:20::31"},
		Folders: map[string]string{"/etc": etc},
	})
	err := r.host.Do(func() error {
		// Where chmpx keeps its state, which goes with the host.
		if err := unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, "size=4g"); err != nil {
			return fmt.Errorf("mount /var/lib: %w", err)
		}
		return os.Mkdir("/var/lib/antpickax", 0o755)
	})
	fatal.If(t, err)
	r.conftest = r.host.Program(t, programs.Conftest)
	return r
}

// certificate makes a pair of throw-away PEM texts.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal.If(t, err)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &k.PublicKey, k)
	fatal.If(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	fatal.If(t, err)
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", private)
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
	cmd := exec.CommandContext(ctx, r.programs.Chmpx, "-conf", r.conf, "-d", "err")
	cmd.Dir = filepath.Dir(r.conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", "", err
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	is = doesntStart
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		said += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "STATUS ") { // the last line when it is up
			is = starts
			cmd.Process.Signal(syscall.SIGHUP)
		}
	}
	end := cmd.Wait()
	if ctx.Err() != nil {
		return "", "", fmt.Errorf("chmpx neither came up nor ended in %v", realLimit)
	}
	return is, fmt.Sprintf("%s%s%v", said, stderr.String(), end), nil
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
