package k2hr3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"k2hdkc-slave-agent/render/regularfile"
)

// roots are the authorities that K2HR3's certificate is checked against, as they are on the disk:
// those in ca-file, or the system's. Go itself reads the latter once in the life of a process.
type roots struct {
	file string // ca-file; empty: the system's

	mu   sync.Mutex
	seen []stamp // the files as they were when pool was read
	pool *x509.CertPool
	err  error // why what is on the disk now is not used
}

// stamp changes whenever a file does.
type stamp struct {
	path          string
	dev, inode    uint64
	size          int64
	changed, made syscall.Timespec
}

// get returns the authorities, another pool each time they have changed. While the files cannot be
// used, for somebody may be at work on them, it is the pool from before; nil if there is none.
func (r *roots) get() (*x509.CertPool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := r.files()
	now := stamps(files)
	if r.seen != nil && slices.Equal(now, r.seen) {
		return r.pool, r.err
	}
	pool, err := r.read(files)
	r.seen, r.err = now, err
	if err == nil {
		r.pool = pool
	}
	return r.pool, err
}

func (r *roots) read(files []string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if r.file == "" {
		for _, file := range files {
			if pem, err := regularfile.Read(file, maxBundle); err == nil {
				pool.AppendCertsFromPEM(pem)
			}
		}
		return pool, nil
	}
	pem, err := regularfile.Read(r.file, maxBundle)
	if err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca-file %s: no certificate in it (PEM is expected)", r.file)
	}
	return pool, nil
}

// maxBundle is much more than the authorities of a distribution have.
const maxBundle = 4 << 20

// Where distributions keep the authorities; the first file that is there counts, and everything in
// the folders. These are the places that Go's crypto/x509 knows, and so are the variables.
var (
	systemBundles = []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
		"/etc/ssl/ca-bundle.pem",                            // openSUSE
		"/etc/pki/tls/cacert.pem",                           // OpenELEC
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Red Hat
		"/etc/ssl/cert.pem",                                 // Alpine
	}
	systemFolders = []string{"/etc/ssl/certs", "/etc/pki/tls/certs"}
)

// files are those with the authorities in them.
func (r *roots) files() []string {
	if r.file != "" {
		return []string{r.file}
	}
	bundles, folders := systemBundles, systemFolders
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		bundles = []string{file}
	}
	if list := os.Getenv("SSL_CERT_DIR"); list != "" {
		folders = strings.Split(list, ":")
	}
	var files []string
	if i := slices.IndexFunc(bundles, exists); i >= 0 {
		files = []string{bundles[i]}
	}
	for _, folder := range folders {
		files = append(files, inFolder(folder)...)
	}
	return files
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// inFolder returns the files in a folder, without the links that give another file of the folder a
// second name.
func inFolder(folder string) []string {
	d, err := regularfile.OpenFolder(folder)
	if err != nil {
		return nil
	}
	defer d.Close()
	entries, err := d.ReadDir(maxEntries)
	if err != nil {
		return nil
	}
	var files []string
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if e.Type()&fs.ModeSymlink != 0 {
			if to, err := os.Readlink(path); err == nil && !strings.Contains(to, "/") {
				continue
			}
		}
		files = append(files, path)
	}
	slices.Sort(files)
	return files
}

// maxEntries is much more than a folder of authorities has.
const maxEntries = 4096

func stamps(files []string) []stamp {
	all := []stamp{}
	for _, path := range files {
		s := stamp{path: path}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err == nil {
			s = stamp{path, st.Dev, st.Ino, st.Size, st.Ctim, st.Mtim}
		}
		all = append(all, s)
	}
	return all
}

// fresh is a transport that checks K2HR3's certificate against the authorities on the disk at the
// time of each request.
type fresh struct {
	base  *http.Transport
	roots *roots

	mu  sync.Mutex
	now *http.Transport // base with pool
	of  *x509.CertPool
}

// newFresh returns a transport on base, which has not been used. With a ca-file, that has to be
// right.
func newFresh(base *http.Transport, caFile string) (*fresh, error) {
	t := &fresh{base: base, roots: &roots{file: caFile}}
	if caFile == "" {
		return t, nil // it is not read before there is a certificate to check
	}
	_, err := t.roots.get()
	return t, err
}

// RoundTrip does as http.Transport's.
func (t *fresh) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.secure(req) {
		return t.base.RoundTrip(req)
	}
	resp, err := t.current().RoundTrip(req)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		if _, problem := t.roots.get(); problem != nil {
			err = staleRootsError{err, problem}
		}
	}
	return resp, err
}

// secure reports whether TLS is spoken on the way of a request.
func (t *fresh) secure(req *http.Request) bool {
	if req.URL.Scheme == "https" || t.base.Proxy == nil {
		return req.URL.Scheme == "https"
	}
	proxy, err := t.base.Proxy(req)
	return err == nil && proxy != nil && proxy.Scheme == "https"
}

// current returns the transport with the authorities that are on the disk now. No connection is
// kept between requests, so nothing is left of the one before; sessions, which vouch for a
// certificate of before, are not resumed.
func (t *fresh) current() *http.Transport {
	pool, _ := t.roots.get()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil || pool != t.of {
		t.now, t.of = t.base.Clone(), pool
		t.now.TLSClientConfig.RootCAs = pool
		t.now.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(maxConns)
	}
	return t.now
}

// staleRootsError says that a certificate was checked against authorities that are no longer those
// on the disk.
type staleRootsError struct{ err, problem error }

func (e staleRootsError) Error() string {
	return fmt.Sprintf("%v (checked against the authorities from before: %v)", e.err, e.problem)
}
func (e staleRootsError) Unwrap() error { return e.err }
