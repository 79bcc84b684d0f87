package k2hr3

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
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
func newTransport(cfg Config, dial *dialer, asked *atomic.Bool) (*fresh, error) {
	if err := checkProxy(cfg.API.base.Scheme); err != nil {
		return nil, err
	}
	tlsConfig, err := newTLS(cfg, asked)
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return newFresh(&http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: checkTunnel,
		DialContext:            dial.DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    handshakeTimeout,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxConnsPerHost:        maxConns,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              &protocols,
	}, cfg.CAFile)
}

// newTLS returns how TLS is spoken, but for the authorities. It takes note in asked that the server
// asks for a client certificate.
func newTLS(cfg Config, asked *atomic.Bool) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errors.New("cert-file and key-file belong together: only one of them is set")
	}
	if cfg.CertFile != "" {
		if _, err := readPair(cfg); err != nil {
			return nil, err
		}
	}
	// Read again for each handshake: client certificates are renewed on disk
	// while the agent runs.
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked.Store(true)
		if cfg.CertFile == "" {
			return &tls.Certificate{}, nil // none
		}
		return readPair(cfg)
	}
	return conf, nil
}

func readPair(cfg Config) (*tls.Certificate, error) {
	cert, errCert := regularfile.Read(cfg.CertFile, regularfile.Small)
	key, errKey := regularfile.Read(cfg.KeyFile, regularfile.Small)
	if err := errors.Join(errCert, errKey); err != nil {
		return nil, fmt.Errorf("cert-file and key-file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil && bytes.Contains(key, []byte("ENCRYPTED")) { // in the type or a header of its PEM
		err = errors.New("the key is encrypted, and nobody is there to give its passphrase: write it without one (openssl pkey -in KEY -out NEW)")
	}
	if err != nil {
		return nil, fmt.Errorf("cert-file %s with key-file %s: %w", cfg.CertFile, cfg.KeyFile, err)
	}
	return &pair, nil
}
