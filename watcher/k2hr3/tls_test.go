package k2hr3

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates and keeps them in files.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	return newAuthorityCalled(t, "ca")
}

func newAuthorityCalled(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.file, _ = a.issue(t, name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue signs template and returns the files of the certificate and its key.
// The first one is the authority's own.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) (certFile, keyFile string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template.SerialNumber = must(rand.Int(rand.Reader, big.NewInt(1<<62)))
	template.Subject = pkix.Name{CommonName: name}
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer))
	if a.cert == nil {
		a.cert, a.key = must(x509.ParseCertificate(der)), key
	}
	certFile, keyFile = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
	return certFile, keyFile
}

// again returns another certificate of the authority's own name and key.
func (a *authority) again(t *testing.T, template *x509.Certificate) (file string) {
	t.Helper()
	template.SerialNumber, template.Subject = big.NewInt(1), a.cert.Subject
	file = filepath.Join(a.dir, "again.crt")
	writePEM(t, file, "CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)))
	return file
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	noError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func forServer() *x509.Certificate {
	return &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

func forClient() *x509.Certificate {
	return &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// serveTLS runs a K2HR3 that only answers Ping, and returns its address.
func serveTLS(t *testing.T, conf *tls.Config, handle http.HandlerFunc) API {
	t.Helper()
	server := httptest.NewUnstartedServer(handle)
	server.TLS = conf
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return must(ParseAPI(server.URL))
}

func pong(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"version":["v1"]}`) }

// pair issues a certificate for a server in this process.
func (a *authority) pair(t *testing.T, name string, template *x509.Certificate) tls.Certificate {
	t.Helper()
	certFile, keyFile := a.issue(t, name, template)
	return must(tls.LoadX509KeyPair(certFile, keyFile))
}

func TestSessionsAreResumed(t *testing.T) {
	ca := newAuthority(t)
	server := ca.pair(t, "server", forServer())
	var resumed []bool
	api := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{server}}, func(w http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.TLS.DidResume)
		if r.ProtoMajor != 1 || r.TLS.NegotiatedProtocol == "h2" {
			t.Errorf("spoke %s", r.Proto)
		}
		pong(w, r)
	})
	c := newClient(t, Config{API: api, CAFile: ca.file})
	for range 3 {
		noError(t, c.Ping(t.Context()))
	}
	if len(resumed) != 3 || resumed[0] || !resumed[1] || !resumed[2] {
		t.Errorf("resumed: %v", resumed)
	}
}

func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	server := ca.pair(t, "server", forServer())
	certFile, keyFile := ca.issue(t, "client", forClient())
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	var serials []string
	api := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{server}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, SessionTicketsDisabled: true,
	}, func(w http.ResponseWriter, r *http.Request) {
		serials = append(serials, r.TLS.PeerCertificates[0].SerialNumber.String())
		pong(w, r)
	})

	c := newClient(t, Config{API: api, CAFile: ca.file, CertFile: certFile, KeyFile: keyFile})
	noError(t, c.Ping(t.Context()))
	ca.issue(t, "client", forClient())
	noError(t, c.Ping(t.Context()))
	if len(serials) != 2 || serials[0] == serials[1] {
		t.Errorf("after a renewal on disk: certificates %v", serials)
	}

	noError(t, os.Remove(keyFile))
	if err := c.Ping(t.Context()); kindOf(t, err) != ErrTransport || !strings.Contains(err.Error(), keyFile) {
		t.Errorf("without the file: %v", err)
	}
}

func TestCertificateFilesThatCannotBeUsedAreNamed(t *testing.T) {
	ca := newAuthority(t)
	certFile, keyFile := ca.issue(t, "client", forClient())
	_, otherKey := ca.issue(t, "other", forClient())
	empty := filepath.Join(t.TempDir(), "empty.pem")
	noError(t, os.WriteFile(empty, []byte("nothing\n"), 0o600))
	encrypted, asOfOld := filepath.Join(t.TempDir(), "encrypted.key"), filepath.Join(t.TempDir(), "old.key")
	writePEM(t, encrypted, "ENCRYPTED PRIVATE KEY", []byte("x"))
	noError(t, os.WriteFile(asOfOld, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}}), 0o600))
	for name, tt := range map[string]struct {
		cfg    Config
		reason []string
	}{
		"CA missing":               {Config{CAFile: "/nonexistent/ca.pem"}, []string{"ca-file", "/nonexistent/ca.pem", "no such file"}},
		"CA empty":                 {Config{CAFile: empty}, []string{"ca-file", empty, "no certificate in it"}},
		"CA is a key":              {Config{CAFile: keyFile}, []string{"no certificate in it"}},
		"key not given":            {Config{CertFile: certFile}, []string{"belong together"}},
		"cert not given":           {Config{KeyFile: keyFile}, []string{"belong together"}},
		"key missing":              {Config{CertFile: certFile, KeyFile: "/nonexistent/key"}, []string{"key-file", "/nonexistent/key"}},
		"cert empty":               {Config{CertFile: empty, KeyFile: keyFile}, []string{"cert-file " + empty}},
		"key encrypted":            {Config{CertFile: certFile, KeyFile: encrypted}, []string{"key-file " + encrypted, "the key is encrypted", "without one"}},
		"key encrypted, as of old": {Config{CertFile: certFile, KeyFile: asOfOld}, []string{"key-file " + asOfOld, "the key is encrypted"}},
		"key of another":           {Config{CertFile: certFile, KeyFile: otherKey}, []string{"does not match"}},
		"both, but swapped":        {Config{CertFile: keyFile, KeyFile: certFile}, []string{"cert-file"}},
	} {
		tt.cfg.API = must(ParseAPI("https://k2hr3.example"))
		_, err := New(tt.cfg)
		says(t, name, err, tt.reason, nil)
	}
}
