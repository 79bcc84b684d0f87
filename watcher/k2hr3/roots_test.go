package k2hr3

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// rotation is a K2HR3 whose certificate is renewed, and two authorities.
type rotation struct {
	t        *testing.T
	old, new *authority
	resumes  bool // K2HR3 resumes sessions, and shows no certificate then
	api      API
	shown    atomic.Pointer[tls.Config]
}

func newRotation(t *testing.T) *rotation {
	r := &rotation{t: t, old: newAuthority(t), new: newAuthority(t)}
	r.show(r.old)
	r.api = serveTLS(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.shown.Load(), nil }}, pong)
	return r
}

// show has K2HR3 show a certificate of an authority.
func (r *rotation) show(by *authority) {
	r.shown.Store(&tls.Config{
		Certificates:           []tls.Certificate{by.pair(r.t, "server", forServer())},
		SessionTicketsDisabled: !r.resumes,
	})
}

func (a *authority) pem(t *testing.T) []byte { return must(os.ReadFile(a.file)) }

// write writes a file in place, replace by a rename.
func write(t *testing.T, path string, content []byte) {
	t.Helper()
	noError(t, os.WriteFile(path, content, 0o644))
}

func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	write(t, path+".next", content)
	noError(t, os.Rename(path+".next", path))
}

// want asks K2HR3 once.
func (r *rotation) want(c *Client, step, words string) {
	r.t.Helper()
	err := c.Ping(r.t.Context())
	if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
		r.t.Errorf("%s: %v, want %q", step, err, words)
	}
}

const unsigned = "ca-file has to name the authority"

func TestAnAuthorityThatChangesOnTheDiskIsTakenUp(t *testing.T) {
	for name, renew := range map[string]func(t *testing.T, path string, content []byte){
		"by a rename": replace,
		"in place":    write,
		"by a link": func(t *testing.T, path string, content []byte) { // as Kubernetes does
			dir := t.TempDir()
			write(t, filepath.Join(dir, "ca.pem"), content)
			noError(t, errors.Join(os.Remove(path), os.Symlink(filepath.Join(dir, "ca.pem"), path)))
		},
		"by removal, and again": func(t *testing.T, path string, content []byte) {
			noError(t, os.Remove(path))
			write(t, path, content)
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			r := newRotation(t)
			file := filepath.Join(t.TempDir(), "ca.pem")
			renew2 := func(content []byte) { renew(t, file, content) }
			write(t, file, r.old.pem(t))
			c := newClient(t, Config{API: r.api, CAFile: file})
			r.want(c, "at the beginning", "")
			renew2(slices.Concat(r.old.pem(t), r.new.pem(t)))
			r.want(c, "with both authorities", "")
			r.show(r.new)
			r.want(c, "with the new certificate", "")
			renew2(r.new.pem(t))
			r.want(c, "with the new authority alone", "")
			r.show(r.old)
			r.want(c, "the old certificate is good no longer", unsigned)
		})
	}
}

// Nothing of a session from before vouches for a certificate that is trusted no longer.
func TestASessionOfAnAuthorityThatIsGoneIsNotResumed(t *testing.T) {
	r := newRotation(t)
	r.resumes = true
	r.show(r.old)
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, r.old.pem(t))
	c := newClient(t, Config{API: r.api, CAFile: file})
	r.want(c, "first", "")
	r.want(c, "resumed", "")
	replace(t, file, r.new.pem(t))
	r.want(c, "without the authority", unsigned)
}

func TestAuthoritiesThatCannotBeReadJustNowAreThoseFromBefore(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, path string)
		words string
	}{
		"gone":       {func(t *testing.T, path string) { noError(t, os.Remove(path)) }, "no such file"},
		"half there": {func(t *testing.T, path string) { write(t, path, must(os.ReadFile(path))[:100]) }, "no certificate in it"},
		"empty":      {func(t *testing.T, path string) { write(t, path, nil) }, "no certificate in it"},
		"a FIFO": {func(t *testing.T, path string) {
			noError(t, errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o644)))
		}, "not a regular file"},
		"too large": {func(t *testing.T, path string) { noError(t, os.Truncate(path, 1<<40)) }, "more than"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			r := newRotation(t)
			file := filepath.Join(t.TempDir(), "ca.pem")
			write(t, file, r.old.pem(t))
			c := newClient(t, Config{API: r.api, CAFile: file})
			r.want(c, "at the beginning", "")
			tt.spoil(t, file)
			r.want(c, "with the certificate of before", "")
			r.show(r.new)
			r.want(c, "with another certificate", tt.words)
			r.want(c, "with another certificate, again", unsigned)
			replace(t, file, r.new.pem(t))
			r.want(c, "when it is right again", "")
		})
	}
}

func TestTheSystemsAuthoritiesThatChangeAreTakenUp(t *testing.T) {
	for name, set := range map[string]func(t *testing.T, dir string) (path string){
		"a bundle": func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "bundle.pem")
			t.Setenv("SSL_CERT_FILE", path)
			t.Setenv("SSL_CERT_DIR", filepath.Join(dir, "none"))
			return path
		},
		"a folder": func(t *testing.T, dir string) string {
			t.Setenv("SSL_CERT_FILE", filepath.Join(dir, "none"))
			t.Setenv("SSL_CERT_DIR", dir)
			return filepath.Join(dir, "own.pem")
		},
		"the second folder": func(t *testing.T, dir string) string {
			t.Setenv("SSL_CERT_FILE", filepath.Join(dir, "none"))
			t.Setenv("SSL_CERT_DIR", filepath.Join(dir, "none")+":"+dir)
			noError(t, syscall.Mkfifo(filepath.Join(dir, "fifo.pem"), 0o644)) // nobody waits for it
			return filepath.Join(dir, "own.pem")
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			r := newRotation(t)
			file := set(t, t.TempDir())
			c := newClient(t, Config{API: r.api})
			r.want(c, "without the authority", unsigned)
			replace(t, file, r.old.pem(t))
			r.want(c, "with the authority", "")
			r.show(r.new)
			r.want(c, "with another certificate", unsigned)
			replace(t, file, r.new.pem(t))
			r.want(c, "with the new authority", "")
			noError(t, os.Remove(file))
			r.want(c, "without it", unsigned)
		})
	}
}
