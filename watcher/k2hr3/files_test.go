package k2hr3

import (
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever is in the place of a certificate or key keeps nobody waiting, neither when a client is
// made nor at a handshake.
func TestCertificatesMayBeAnything(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue(t, "client", forClient())
	for name, put := range map[string]func(path string) error{
		"a FIFO":     func(path string) error { return unix.Mkfifo(path, 0o600) },
		"no end":     func(path string) error { return os.Symlink("/dev/zero", path) },
		"a terabyte": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40)) },
		"a circle":   func(path string) error { return os.Symlink(path, path) },
		"a folder":   func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		odd := filepath.Join(t.TempDir(), "odd.pem")
		noError(t, put(odd))
		if _, err := newFresh(&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, odd); err == nil {
			t.Errorf("%s is taken as ca-file", name)
		}
		for _, cfg := range []Config{{CertFile: odd, KeyFile: key}, {CertFile: cert, KeyFile: odd}} {
			if _, err := newTLS(cfg, new(atomic.Bool)); err == nil {
				t.Errorf("%s: %+v is taken", name, cfg)
			}
		}
		moving := filepath.Join(t.TempDir(), "moving.pem")
		noError(t, os.Link(cert, moving))
		conf, err := newTLS(Config{CertFile: moving, KeyFile: key}, new(atomic.Bool))
		if err != nil {
			t.Fatal(err)
		}
		noError(t, errors.Join(os.Remove(moving), os.Rename(odd, moving)))
		if _, err := conf.GetClientCertificate(nil); err == nil {
			t.Errorf("%s is taken at a handshake", name)
		}
	}
}
