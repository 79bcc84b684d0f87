package k2hr3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k2hdkc-slave-agent/render/regularfile"
)

const (
	// What connecting may take: to an address, and to agree on TLS.
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	connectLimit     = dialTimeout + handshakeTimeout

	// A request that K2HR3 holds must not keep a registration waiting.
	maxConns = 2

	maxHeader = 64 << 10
)

// newTransport returns the transport of a client. HTTP/2 stays off: K2HR3 does
// not speak it, and Go reuses a dead HTTP/2 connection for minutes. Compression
// stays off so that the limit on an answer is a limit on what is kept.
//
// Connections are not kept. K2HR3 closes one that was idle for 5 s (docs/k2hr3.md
// B.6), and the agent asks less often than that; so keeping them would gain
// nothing, and now and then send a registration into one that is being closed,
// or go on asking where K2HR3's name led to long ago. Above all, net/http prints
// what it finds on a kept connection before the next request, and after an answer
// longer than it says that may be a token.
func newTransport(cfg Config, dial *dialer) (*http.Transport, error) {
	tlsConfig, err := newTLS(cfg)
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial.DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    handshakeTimeout,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxConnsPerHost:        maxConns,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              &protocols,
	}, nil
}

func newTLS(cfg Config) (*tls.Config, error) {
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Each request is a new connection; resuming the session saves K2HR3 a
		// signature each time.
		ClientSessionCache: tls.NewLRUClientSessionCache(maxConns),
	}
	if cfg.CAFile != "" {
		pool, err := readCA(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errors.New("cert-file and key-file belong together: only one of them is set")
	}
	if cfg.CertFile == "" {
		return conf, nil
	}
	if _, err := readPair(cfg); err != nil {
		return nil, err
	}
	// Read again for each handshake: client certificates are renewed on disk
	// while the agent runs.
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return readPair(cfg)
	}
	return conf, nil
}

func readCA(file string) (*x509.CertPool, error) {
	pem, err := regularfile.Read(file, regularfile.Small)
	if err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca-file %s: no certificate in it (PEM is expected)", file)
	}
	return pool, nil
}

func readPair(cfg Config) (*tls.Certificate, error) {
	cert, errCert := regularfile.Read(cfg.CertFile, regularfile.Small)
	key, errKey := regularfile.Read(cfg.KeyFile, regularfile.Small)
	if err := errors.Join(errCert, errKey); err != nil {
		return nil, fmt.Errorf("cert-file and key-file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cert-file %s with key-file %s: %w", cfg.CertFile, cfg.KeyFile, err)
	}
	return &pair, nil
}

// hintTransport says in the operator's words what a failure below HTTP may mean.
// named is where the server's address comes from.
func hintTransport(err error, now time.Time, named string) string {
	var (
		dns       *net.DNSError
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "this host's clock says " + now.UTC().Format(time.RFC3339) +
			": if that is right, K2HR3's certificate has to be renewed"
	case errors.As(err, &authority):
		return "ca-file has to name the authority that signed K2HR3's certificate"
	case errors.As(err, &name):
		return named + " has to use a name that is in K2HR3's certificate"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return named + " says https, but what answers there does not"
	case isAlert(err):
		return "K2HR3 ended the TLS handshake: if it asks for a client certificate, set cert-file and key-file"
	case errors.As(err, &dns):
		return "the host in " + named + " does not resolve here"
	case isTimeout(err):
		return "K2HR3 is down or overloaded, or the network to it drops packets"
	}
	return ""
}

// isCertificateError reports whether err is about certificates, which do not
// change within the seconds of a retry.
func isCertificateError(err error) bool {
	var verify *tls.CertificateVerificationError
	return errors.As(err, &verify) || isAlert(err)
}

// isAlert reports whether err is the server's refusal of the TLS handshake, to
// which crypto/tls gives no type of its own.
func isAlert(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "remote error"
}
