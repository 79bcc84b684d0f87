package e2e

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// What the agent promises whatever it reads.
const (
	mostMemory  = 64 << 10 // KiB
	mostThreads = 40       // one that waits in open(2) for ever is one more each time
)

var (
	seed  = flag.Uint64("seed", 0, "of TestFileTypes, as it says; 0: another one each time")
	lasts = flag.Duration("file-types", 10*time.Minute, "how long TestFileTypes lasts")
)

// TestFileTypes turns the files that the agent reads into everything that a file can be, at random
// moments while it runs and while it starts, and holds it to this: it answers as soon as the files
// are files again, needs no more memory than it may, and ends when it is told to, at once.
func TestFileTypes(t *testing.T) {
	if !need.Full() {
		t.Skip("takes ten minutes, and a quiet machine; K2HDKC_TEST_FULL=1 runs it")
	}
	z := newFuzzing(t)
	for end := time.Now().Add(*lasts); time.Now().Before(end) && !t.Failed(); {
		z.round()
	}
	z.stop()
	t.Logf("%d rounds, %d files, %d ends by SIGTERM, the slowest %v; %d KiB at most, %d threads; seed %d",
		z.rounds, z.changes, z.ends, z.slowest.Round(time.Millisecond), z.memory, z.threads, z.seed)
}

// fuzzing is a slave VM whose files change their type.
type fuzzing struct {
	*slaveVM
	k2hr3 *minimalK2HR3
	rand  *mathrand.Rand
	seed  uint64
	paths []string          // of the files
	texts map[string][]byte // what the test has put into them; none: the agent's own
	args  []string
	agent *daemon

	rubbish string // a folder for what is cleared away
	cleared int

	rounds, changes, ends, memory, threads int
	slowest                                time.Duration
}

func newFuzzing(t *testing.T) *fuzzing {
	t.Helper()
	k := &minimalK2HR3{text: resourceText}
	z := &fuzzing{slaveVM: newSlaveVM(t, k), k2hr3: k, seed: cmp.Or(*seed, mathrand.Uint64()), texts: map[string][]byte{}}
	z.rand = mathrand.New(mathrand.NewPCG(z.seed, 0))
	z.rubbish = z.path("/rubbish")
	must(t, os.Mkdir(z.rubbish, 0o755))
	programs := fakechmpx.BuildT(t)
	z.args = []string{"--unit=", "--interval=1h", "--peek=200ms", "--owner=root", "--group=root", "--status-command", programs.Status}
	z.serveTLS()
	z.listen()
	for name, text := range map[string]string{
		"/etc/k2hdkc/slave-agent.ini":  "[k2hr3]\nca-file = /etc/k2hdkc/ca.pem\ncert-file = /etc/k2hdkc/own.pem\nkey-file = /etc/k2hdkc/own.key\n",
		"/etc/k2hdkc/role-token":       strings.Repeat("0123456789abcdef", 4) + "\n",
		"/etc/antpickax/k2hr3-cuk":     vmCUK + "\n",
		"/etc/antpickax/override.conf": "chmpx-service-helper.conf:CHMPX_INI_CONF_FILE = " + slaveINI + "\n",
		"/etc/passwd":                  "root:x:0:0:root:/root:/bin/sh\n",
		"/etc/group":                   "root:x:0:\n",
		"/etc/localtime":               "TZif" + strings.Repeat("\x00", 35) + "\x01\x00\x00\x00\x04" + "\x00\x00\x7e\x90\x00\x00JST\x00",
	} {
		write(t, z.path(name), text)
	}
	for _, name := range []string{
		"/etc/k2hdkc/slave-agent.ini", "/etc/k2hdkc/role-token", "/etc/k2hdkc/ca.pem", "/etc/k2hdkc/own.pem", "/etc/k2hdkc/own.key",
		"/etc/antpickax/k2hr3-api-uri", "/etc/antpickax/k2hr3-role-name", "/etc/antpickax/k2hr3-cuk", "/etc/antpickax/override.conf",
		"/var/lib/cloud/data/instance-id", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/localtime",
	} {
		z.texts[name] = []byte(read(t, z.path(name)))
	}
	z.paths = append(slices.Sorted(maps.Keys(z.texts)),
		slaveINI, "/etc/k2hdkc/.slave.next.ini", "/etc/k2hdkc/.slave.parked.ini", "/etc/k2hdkc/.slave.previous.ini", "/etc/k2hdkc/.slave.lock",
		"/var/lib/k2hdkc-slave-agent", "/var/lib/k2hdkc-slave-agent/state.json", "/var/lib/k2hdkc-slave-agent/identity.json",
		"/run/k2hdkc-slave-agent", "/run/k2hdkc-slave-agent/probe.ini", "/run/k2hdkc-slave-agent/status.json", "/run/k2hdkc-slave-agent/status.lock")
	z.run()
	return z
}

// serveTLS has K2HR3 served by TLS, which asks for a certificate.
func (z *fuzzing) serveTLS() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(z.tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: k2hr3Name}, DNSNames: []string{k2hr3Name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(z.tb, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(z.tb, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(z.tb, z.path("/etc/k2hdkc/ca.pem"), string(cert))
	write(z.tb, z.path("/etc/k2hdkc/own.pem"), string(cert))
	write(z.tb, z.path("/etc/k2hdkc/own.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))

	var l net.Listener
	z.inside(func() (err error) {
		l, err = net.Listen("tcp4", k2hr3Addr+":0")
		return err
	})
	s := &http.Server{Handler: z.k2hr3, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequireAnyClientCert,
	}}
	go s.ServeTLS(l, "", "")
	z.tb.Cleanup(func() { s.Close() })
	write(z.tb, z.path("/etc/antpickax/k2hr3-api-uri"), fmt.Sprintf("https://%s:%d\n", k2hr3Name, l.Addr().(*net.TCPAddr).Port))
}

// kinds put something in the place of a file.
var kinds = map[string]func(path string) error{
	"removed": func(string) error { return nil },
	"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
	"rubbish": func(path string) error { return os.WriteFile(path, []byte("\x00\xffrubbish\n"), 0o600) },
	"a line of 4 MiB": func(path string) error {
		return os.WriteFile(path, []byte(strings.Repeat("x", 4<<20)), 0o600)
	},
	"sparse": func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
	},
	"as long as may be": func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<20))
	},
	"unreadable": func(path string) error { return os.WriteFile(path, []byte("x"), 0) },
	"FIFO":       func(path string) error { return unix.Mkfifo(path, 0o600) },
	"socket":     func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	"directory":  func(path string) error { return os.Mkdir(path, 0o755) },
	"circle":     func(path string) error { return os.Symlink(filepath.Base(path), path) },
	"dangling":   func(path string) error { return os.Symlink("/no/such/file", path) },
	"endless":    func(path string) error { return os.Symlink("/dev/zero", path) },
	"terminal":   func(path string) error { return os.Symlink("/dev/tty", path) },
	"kernel log": func(path string) error { return os.Symlink("/proc/kmsg", path) },
	"large and plausible": func(path string) error {
		return os.WriteFile(path, []byte(large[:4<<20]), 0o600)
	},
}

// large is a configuration of chmpx's with more nodes than there can be.
var large = resourceText + strings.Repeat("[SLVNODE]\nNAME = 10.20.3.4\nCTLPORT = 8031\nCUK = x\n", 100_000)

// round changes a few files at random moments, and puts them right again.
func (z *fuzzing) round() {
	z.rounds++
	var done []string
	for _, i := range z.rand.Perm(len(z.paths))[:1+z.rand.IntN(6)] {
		done = append(done, z.change(z.paths[i]))
		if z.rand.IntN(3) == 0 {
			z.hangup()
		}
		time.Sleep(time.Duration(z.rand.IntN(150)) * time.Millisecond)
	}
	if z.rand.IntN(2) == 0 {
		z.stop()
		z.run() // on what it finds, which may be too little
		time.Sleep(time.Duration(z.rand.IntN(300)) * time.Millisecond)
	}
	z.mend()
	z.answers(strings.Join(done, ", "))
}

// change puts something else in the place of a file, and says what.
func (z *fuzzing) change(name string) string {
	names := slices.Sorted(maps.Keys(kinds))
	kind := names[z.rand.IntN(len(names))]
	path := z.path(name)
	folder := filepath.Dir(path)
	if info, err := os.Lstat(folder); err == nil && !info.IsDir() {
		return name + " unchanged, as its folder is none" // by a change before this one
	}
	z.changes++
	z.clear(path)
	if kind == "removed" {
		return name + " " + kind
	}
	aside := z.path("/etc/aside")
	must(z.tb, kinds[kind](aside))
	if kind == "circle" { // it leads to a name, which changes
		must(z.tb, errors.Join(os.Remove(aside), os.Symlink(filepath.Base(path), aside)))
	}
	for end := time.Now().Add(limit); ; {
		err := os.MkdirAll(folder, 0o755)
		if err == nil {
			err = os.Rename(aside, path)
		}
		if err == nil {
			return name + " " + kind
		}
		if time.Now().After(end) {
			z.tb.Fatalf("seed %d: %v", z.seed, err)
		}
		z.clear(path) // the agent has made its own one meanwhile
	}
}

// clear takes away what is at a path. It opens nothing there, as it may be a FIFO, or the agent may
// be about to write into it.
func (z *fuzzing) clear(path string) {
	z.cleared++
	err := os.Rename(path, filepath.Join(z.rubbish, strconv.Itoa(z.cleared)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		z.tb.Fatalf("seed %d: %v", z.seed, err)
	}
}

// mend puts right what an operator would: what the agent only reads, and what keeps it from
// writing.
func (z *fuzzing) mend() {
	for _, name := range z.paths {
		path := z.path(name)
		if text, ok := z.texts[name]; ok {
			z.clear(path)
			must(z.tb, os.WriteFile(path+".new", text, 0o600))
			must(z.tb, os.Rename(path+".new", path))
			continue
		}
		info, err := os.Lstat(path)
		folder := filepath.Ext(name) == "" && !strings.HasPrefix(filepath.Base(name), ".")
		if err == nil && (folder != info.IsDir() || !folder && !info.Mode().IsRegular()) {
			z.clear(path)
		}
		if folder {
			must(z.tb, os.MkdirAll(path, 0o755))
		}
	}
	os.RemoveAll(z.rubbish) // as far as it goes: the agent may be writing into a folder of its own there
	must(z.tb, os.MkdirAll(z.rubbish, 0o755))
}

// answers fails if the agent does not ask K2HR3 when it is told to, or if the file is not right
// then.
func (z *fuzzing) answers(after string) {
	z.k2hr3.requests()
	z.hangup()
	asked, again := time.Now(), false
	var file string
	for !z.right(&file) {
		switch {
		case z.over() && !again: // it has found too little when it was started
			z.run()
			again = true
		case z.over():
			z.tb.Fatalf("seed %d, %s: the agent has ended: %v\n%s", z.seed, after, z.agent.State(), z.agent)
		case time.Since(asked) > limit:
			stacks := z.stacks()
			z.agent.Signal(syscall.SIGABRT) // Go prints its own
			<-z.agent.Done()
			z.tb.Fatalf("seed %d, %s: the agent does not put the file right; it is\n%.3000s\n%s\n%s", z.seed, after, file, stacks, z.agent)
		}
		time.Sleep(5 * time.Millisecond)
	}
	z.measure()
	if z.memory > mostMemory && !raceEnabled {
		z.tb.Errorf("seed %d, %s: it has needed %d KiB, want %d at most", z.seed, after, z.memory, mostMemory)
	}
	if z.threads > mostThreads {
		z.tb.Errorf("seed %d, %s: it has %d threads, want %d at most\n%s", z.seed, after, z.threads, mostThreads, z.stacks())
	}
}

// right tells whether K2HR3 was asked, and slave.ini is what it has.
func (z *fuzzing) right(file *string) bool {
	z.k2hr3.mu.Lock()
	asked := slices.ContainsFunc(z.k2hr3.seen, func(s string) bool { return strings.HasPrefix(s, "GET") })
	z.k2hr3.mu.Unlock()
	info, err := os.Lstat(z.file())
	if !asked || err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
		*file = fmt.Sprint(info, err)
		return false
	}
	b, err := os.ReadFile(z.file())
	if err != nil {
		return false
	}
	*file = string(b)
	stamped := fileVersion.ReplaceAllString(ownText(resourceText), "${1}= 0")
	return fileVersion.ReplaceAllString(*file, "${1}= 0") == stamped
}

// run starts the agent, now and then as systemd does: then it waits for what it lacks.
func (z *fuzzing) run() {
	cmd := z.command(z.tb.Context(), append([]string{"run", "--log-format=json", "--log-level=debug"}, z.args...)...)
	if z.rand.IntN(2) == 0 {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notifySocket)
	}
	z.agent = &daemon{tb: z.tb}
	z.inside(func() (err error) {
		z.agent.Process, err = realagent.Start(z.tb.Context(), cmd, nil)
		return err
	})
}

const notifySocket = "/run/notify"

// listen reads what the agent tells systemd.
func (z *fuzzing) listen() {
	var conn *net.UnixConn
	z.inside(func() (err error) {
		conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notifySocket})
		return err
	})
	z.tb.Cleanup(func() { conn.Close() })
	go io.Copy(io.Discard, conn)
}

// hangup has the agent load its options and ask K2HR3, once it has got so far that it can be told
// to.
func (z *fuzzing) hangup() {
	if z.agent.Count() > 0 {
		z.agent.Signal(syscall.SIGHUP)
	}
}

// over tells whether the agent has ended by itself, as it does where it lacks what it needs.
func (z *fuzzing) over() bool {
	select {
	case <-z.agent.Done():
		return true
	default:
		return false
	}
}

// stop ends the agent, and fails if that takes long.
func (z *fuzzing) stop() {
	if z.over() {
		return
	}
	z.measure()
	start := time.Now()
	z.agent.Signal(syscall.SIGTERM)
	select {
	case <-z.agent.Done():
	case <-time.After(endLimit):
		z.tb.Errorf("seed %d: SIGTERM does not end it\n%s\n%s", z.seed, z.stacks(), z.agent)
		z.agent.Signal(syscall.SIGKILL)
		<-z.agent.Done()
	}
	z.ends++
	z.slowest = max(z.slowest, time.Since(start))
}

// measure reads what /proc says of the agent.
func (z *fuzzing) measure() {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", z.agent.PID()))
	if err != nil {
		return // it has ended
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch key {
		case "VmHWM":
			z.memory = max(z.memory, n)
		case "Threads":
			z.threads = max(z.threads, n)
		}
	}
}

// stacks are where the agent's threads wait in the kernel.
func (z *fuzzing) stacks() string { return waits(z.agent.PID()) }

// waits are where the threads of a process wait in the kernel.
func waits(pid int) string {
	var all strings.Builder
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
	for _, file := range threads {
		b, _ := os.ReadFile(file)
		fmt.Fprintf(&all, "%s ", b)
	}
	return all.String()
}
