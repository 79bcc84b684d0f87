package watcher

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
)

// tlsFiles is a configuration whose nodes have certificates in a folder, and those files.
func tlsFiles(t *testing.T) (*chmpx.Config, string) {
	t.Helper()
	dir := t.TempDir()
	node := chmpx.Node{Name: "10.0.0.1", CAPath: dir + "/ca.crt", ServerCert: dir + "/server.crt", ServerPrivKey: dir + "/server.key",
		SlaveCert: dir + "/client.crt", SlavePrivKey: dir + "/client.key"}
	for _, name := range []string{"ca.crt", "server.crt", "server.key", "client.crt", "client.key"} {
		renew(t, dir, name, "first", time.Unix(1000, 0))
	}
	return &chmpx.Config{Servers: []chmpx.Node{node}, Slaves: []chmpx.Node{node}}, dir
}

func renew(t *testing.T, dir, name, text string, at time.Time) {
	t.Helper()
	path := filepath.Join(dir, name)
	noError(t, os.WriteFile(path, []byte(text), 0o600))
	noError(t, os.Chtimes(path, at, at))
}

func TestCertificatesThatChange(t *testing.T) {
	config, dir := tlsFiles(t)
	var log bytes.Buffer
	c := certs{log: slog.New(slog.NewTextHandler(&log, nil))}
	start := time.Now()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	// told returns what sign and log say of them for a chmpx that has started then.
	told := func(started int64) (sign, logged string) {
		var words []string
		log.Reset()
		st := &daemon.Status{Started: at(started)}
		c.compare(st)
		for _, s := range c.signs(st) {
			words = append(words, string(s.code)+": "+s.message)
		}
		return strings.Join(words, "; "), log.String()
	}
	silent := func(when string, started int64) {
		t.Helper()
		if sign, logged := told(started); sign != "" || logged != "" {
			t.Errorf("%s: %q, %s", when, sign, logged)
		}
	}
	look := func(wall int64) { c.look(start, at(wall)) }
	c.follow(start, config, at(3000))
	silent("certificates of before chmpx's start", 2000)
	if sign, logged := told(500); !strings.Contains(sign, "certificate_changed") || !strings.Contains(sign, "ca.crt, client.crt") || strings.Count(logged, "\n") != 1 {
		t.Errorf("those that changed while no agent ran: %q, %s", sign, logged)
	}
	// The same content under a new time is no other certificate; a slave never uses the server's.
	renew(t, dir, "client.crt", "first", at(3001))
	renew(t, dir, "server.crt", "second", at(3001))
	renew(t, dir, "server.key", "second", at(3001))
	look(3002)
	silent("nothing that counts has changed", 2000)
	renew(t, dir, "client.crt", "second", at(1000)) // as by cp -p
	look(3003)
	sign, logged := told(2000)
	if !strings.Contains(sign, "certificate_changed: chmpx has to be restarted") || !strings.Contains(sign, "client.crt") || strings.Contains(sign, "ca.crt") {
		t.Errorf("a renewed certificate: %q", sign)
	}
	if !strings.Contains(logged, "certificates have changed") || strings.Count(logged, "\n") != 1 {
		t.Errorf("the log: %s", logged)
	}
	if _, logged := told(2000); logged != "" {
		t.Errorf("told again: %s", logged)
	}
	look(3004)
	silent("after chmpx's restart", 3005)
	c.compare(nil)
	if log.Len() > 0 || len(c.signs(nil)) > 0 {
		t.Errorf("a chmpx that does not run goes on without: %s", &log)
	}
	c.follow(start, &chmpx.Config{}, at(3006))
	if len(c.signs(&daemon.Status{Started: start})) != 0 || !c.next.at.IsZero() {
		t.Error("a configuration without TLS has certificates")
	}
}

// TestCertificatesThatChangeAroundAStart: chmpx says the second of its start, and the agent looks
// at certificates each 30 s. Which came first shows all the same.
func TestCertificatesThatChangeAroundAStart(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name   string
		change func(dir, file string) error // next.crt and the folder dir.next have the new one
	}{
		{"in place", func(_, file string) error { return os.WriteFile(file, []byte("second"), 0o600) }},
		{"in place, under its old time", func(_, file string) error {
			return errors.Join(os.WriteFile(file, []byte("second"), 0o600), os.Chtimes(file, old, old))
		}},
		{"by the rename of a file that was made before", func(dir, file string) error {
			return os.Rename(filepath.Join(dir, "next.crt"), file)
		}},
		{"by a link to a file that was made before", func(dir, file string) error {
			return errors.Join(os.Symlink("next.crt", file+".tmp"), os.Rename(file+".tmp", file))
		}},
		{"by another folder behind a link, as a Secret's", func(dir, _ string) error {
			return errors.Join(os.Symlink(filepath.Base(dir)+".next", dir+".tmp"), os.Rename(dir+".tmp", dir))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config, dir := tlsFiles(t)
			noError(t, os.Rename(dir, dir+".first"))
			noError(t, os.Symlink(dir+".first", dir))
			c := certs{log: slog.New(slog.DiscardHandler)}
			c.follow(time.Now(), config, time.Now())
			renew(t, dir, "next.crt", "second", old)
			noError(t, os.CopyFS(dir+".next", os.DirFS(dir+".first")))
			renew(t, dir+".next", "client.crt", "second", old)
			before := aMomentLater()
			noError(t, tt.change(dir, filepath.Join(dir, "client.crt")))
			after := aMomentLater()
			c.look(time.Now(), time.Now().Add(certsEvery))
			for what, tt := range map[string]struct {
				began time.Time
				want  string
			}{"began before it": {before, "client.crt"}, "began after it": {after, ""}} {
				st := daemon.Status{Started: tt.began.Truncate(time.Second), Began: tt.began}
				if got := bases(c.outdated(&st)); got != tt.want {
					t.Errorf("a chmpx that %s has to be restarted for %q, want %q", what, got, tt.want)
				}
			}
		})
	}
}

// aMomentLater returns a time that no file can have that was written before or is written after:
// the kernel's times of files are some milliseconds old.
func aMomentLater() time.Time {
	const coarse = 20 * time.Millisecond
	time.Sleep(coarse)
	defer time.Sleep(coarse)
	return time.Now()
}

// TestACertificateThatIsAwayForAWhile: it is known by what it was before.
func TestACertificateThatIsAwayForAWhile(t *testing.T) {
	config, dir := tlsFiles(t)
	c := certs{log: slog.New(slog.DiscardHandler)}
	c.follow(time.Now(), config, time.Now())
	running := daemon.Status{Started: time.Now(), Began: aMomentLater()}
	file := filepath.Join(dir, "client.crt")
	for what, tt := range map[string]struct{ text, want string }{"the same": {"first", ""}, "another, under the old time": {"second", "client.crt"}} {
		noError(t, os.Remove(file))
		c.look(time.Now(), time.Now())
		if c.outdated(&running) != nil {
			t.Error("one that is away is another")
		}
		renew(t, dir, "client.crt", tt.text, time.Unix(1000, 0))
		c.look(time.Now(), time.Now())
		if got := bases(c.outdated(&running)); got != tt.want {
			t.Errorf("%s: chmpx has to be restarted for %q, want %q", what, got, tt.want)
		}
		renew(t, dir, "client.crt", "first", time.Unix(1000, 0))
		c.seen = nil
		c.look(time.Now(), time.Now())
	}
}

// TestCertificatesOfAClockThatWasAhead: the next start of chmpx is one after them, and not the
// first of many.
func TestCertificatesOfAClockThatWasAhead(t *testing.T) {
	config, dir := tlsFiles(t)
	c := certs{log: slog.New(slog.DiscardHandler)}
	wall := time.Now()
	renew(t, dir, "client.crt", "first", wall.Add(time.Hour))
	c.follow(wall, config, wall)
	if got := c.outdated(&daemon.Status{Started: wall.Add(-time.Minute)}); got != nil {
		t.Errorf("chmpx has to be restarted for %q, which may be of before its start", got)
	}
	renew(t, dir, "client.crt", "second", wall)
	c.look(wall, wall.Add(certsEvery))
	back := wall.Add(-time.Hour)
	c.look(wall, back)
	if c.outdated(&daemon.Status{Started: back.Add(-time.Hour)}) == nil {
		t.Error("a certificate that has changed before the clock was set back is forgotten")
	}
	if got := c.outdated(&daemon.Status{Started: back.Add(time.Second)}); got != nil {
		t.Errorf("the chmpx that has started since has to be restarted for %q", got)
	}
}

// TestACertificateWhoseInodeShowsNoTime: a file system may keep another clock, or none.
func TestACertificateWhoseInodeShowsNoTime(t *testing.T) {
	config, dir := tlsFiles(t)
	c := certs{log: slog.New(slog.DiscardHandler)}
	later := time.Now().Add(time.Hour)
	c.follow(time.Now(), config, later)
	renew(t, dir, "client.crt", "second", later)
	c.look(time.Now(), later.Add(certsEvery))
	if c.outdated(&daemon.Status{Started: later, Began: later.Add(certsEvery / 2)}) == nil {
		t.Error("a change of an unknown moment between two looks needs no restart")
	}
	if got := c.outdated(&daemon.Status{Started: later.Add(certsEvery)}); got != nil {
		t.Errorf("a chmpx that has started after both looks has to be restarted for %q", got)
	}
}

func TestCertificatesThatAreMissing(t *testing.T) {
	config, dir := tlsFiles(t)
	var log bytes.Buffer
	c := certs{log: slog.New(slog.NewTextHandler(&log, nil))}
	c.follow(time.Now(), config, time.Now())
	noError(t, os.Remove(filepath.Join(dir, "server.key")))
	for range 2 {
		c.look(time.Now(), time.Now())
	}
	signs := c.signs(nil)
	if len(signs) != 1 || signs[0].code != CertificateMissing || !strings.Contains(signs[0].message, "ends at its next load") {
		t.Errorf("signs %+v", signs)
	}
	renew(t, dir, "server.key", "back", time.Now())
	c.look(time.Now(), time.Now())
	if len(c.signs(nil)) != 0 || strings.Count(log.String(), "missing") != 1 || !strings.Contains(log.String(), "all there again") {
		t.Errorf("signs %+v, log %s", c.signs(nil), &log)
	}
}

// issued returns a certificate for clients that becomes valid then, and its key, as in files.
func issued(t *testing.T, by *authority, valid time.Duration) (certificate, key string) {
	t.Helper()
	pair := by.issue(x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, valid)
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return encoded("CERTIFICATE", pair.Certificate[0]), encoded("PRIVATE KEY", der)
}

func encoded(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestNewCertificatesRestartChmpx: where restart-unconfirmed lets the agent restart chmpx it does
// so for new certificates, once they are good, and otherwise not.
func TestNewCertificatesRestartChmpx(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		onHost(t, fmt.Sprintf("allowed %v", allowed), func(t *testing.T, h *host) {
			ca := newAuthority(t)
			dir := t.TempDir()
			put := func(name, text string) { renew(t, dir, name, text, time.Now()) }
			putPair := func(by *authority, valid time.Duration) {
				cert, key := issued(t, by, valid)
				put("client.crt", cert)
				put("client.key", key)
			}
			cert, key := issued(t, ca, 0)
			for name, text := range map[string]string{"ca.crt": encoded("CERTIFICATE", ca.cert.Raw), "server.crt": cert, "server.key": key, "client.crt": cert, "client.key": key} {
				put(name, text)
			}
			lines := "SSL = on\nSSL_VERIFY_PEER = on\n"
			for key, name := range map[string]string{"CAPATH": "ca.crt", "SERVER_CERT": "server.crt", "SERVER_PRIKEY": "server.key", "SLAVE_CERT": "client.crt", "SLAVE_PRIKEY": "client.key"} {
				lines += key + " = " + filepath.Join(dir, name) + "\n"
			}
			h.cluster.SetText(strings.Replace(without(h.textWithSelf(), "SSL "), "[SVRNODE]", lines+"\n[SVRNODE]", 1))
			h.config.RestartUnconfirmed = allowed
			h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled"), restarted: h.chmpx.begin}
			h.applied()

			restarts := 0
			step := func(what string, restart bool) {
				t.Helper()
				h.pass(2*certsEvery + time.Second)
				if restart && allowed {
					restarts++
				}
				if got := strings.Count(h.unit.jobs(), "restart"); got != restarts {
					t.Errorf("%s: %d restarts, want %d", what, got, restarts)
				}
			}
			step("nothing has changed", false)
			cert, key = issued(t, ca, 0)
			put("client.crt", cert)
			step("the certificate alone is there", false)
			put("client.key", key)
			step("its key is there, too", true)
			putPair(ca, 0)
			step("another, a short while after", false)
			h.pass(leastRestart)
			step("it had to wait", true)
			h.pass(leastRestart)
			h.asNobody()
			h.chmod(h.config.File.Path, 0o600)
			putPair(ca, 0)
			step("good ones, and chmpx cannot read slave.ini", false)
			h.chmod(h.config.File.Path, 0o644)
			step("it can read it", true)
			h.pass(leastRestart)
			h.chmpx.stop()
			h.pass(time.Minute)
			h.chmpx.start(t)
			h.pass(1500 * time.Millisecond)
			putPair(ca, 0)
			h.send(AskNow)
			h.pass(h.config.Peek)
			if allowed {
				restarts++
			}
			if got := strings.Count(h.unit.jobs(), "restart"); got != restarts {
				t.Errorf("as soon as the chmpx is seen that has started before them: %d restarts, want %d", got, restarts)
			}
			h.pass(leastRestart)
			putPair(ca, -3*time.Hour)
			step("one that has ended", false)
			putPair(newAuthority(t), 0)
			step("one of an authority that no server trusts", false)
			if n := h.log.count("certificates have changed, and chmpx cannot use the new ones"); (n >= 2) != allowed {
				t.Errorf("told %d times that they cannot be used", n)
			}
			if n := h.log.count("certificates have changed; chmpx goes on with the previous ones"); n < 4 {
				t.Errorf("told %d times that they have changed", n)
			}
		})
	}
}
