package watcher

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx"
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
	signed := func(started int64) string {
		when := at(started)
		var words []string
		for _, s := range c.signs(&when) {
			words = append(words, string(s.code)+": "+s.message)
		}
		return strings.Join(words, "; ")
	}
	look := func(wall int64) { c.look(start, at(wall)) }
	c.follow(start, config, at(3000))
	if got := signed(2000); got != "" || log.Len() > 0 {
		t.Errorf("certificates of before chmpx's start: %q, %s", got, &log)
	}
	if got := signed(500); !strings.Contains(got, "certificate_changed") || !strings.Contains(got, "ca.crt, client.crt") {
		t.Errorf("those that changed while no agent ran: %q", got)
	}
	// The same content under a new time is no other certificate; a slave never uses the server's.
	renew(t, dir, "client.crt", "first", at(3001))
	renew(t, dir, "server.crt", "second", at(3001))
	renew(t, dir, "server.key", "second", at(3001))
	look(3002)
	if got := signed(2000); got != "" || log.Len() > 0 {
		t.Errorf("nothing that counts has changed: %q, %s", got, &log)
	}
	renew(t, dir, "client.crt", "second", at(1000)) // as by cp -p
	look(3003)
	if got := signed(2000); !strings.Contains(got, "certificate_changed: chmpx has to be restarted") || !strings.Contains(got, "client.crt") || strings.Contains(got, "ca.crt") {
		t.Errorf("a renewed certificate: %q", got)
	}
	if !strings.Contains(log.String(), "certificates have changed") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("the log: %s", &log)
	}
	look(3004)
	if got := signed(3005); got != "" || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("after chmpx's restart: %q, %s", got, &log)
	}
	c.follow(start, &chmpx.Config{}, at(3006))
	if len(c.signs(&start)) != 0 || !c.next.at.IsZero() {
		t.Error("a configuration without TLS has certificates")
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
