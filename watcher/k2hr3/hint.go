package k2hr3

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// route is how a client gets to its server, in the operator's words.
type route struct {
	server *url.URL
	named  string // what the server's address comes from
	caFile string // empty: the system's authorities
	cert   string // cert-file; empty: this host has no client certificate

	// wantsCert: the server asks for a client certificate.
	wantsCert *atomic.Bool
}

// explain returns what is wrong and helps after a failure below HTTP, and what that is called; the
// hint is empty where the error says it all.
func (r route) explain(err error, now time.Time) (hint string, named error) {
	if proxy := proxyOf(r.server); proxy != nil {
		variable := proxyVariable(r.server.Scheme)
		if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "proxyconnect" {
			return "K2HR3 is not reached without it: correct " + variable + ", or list K2HR3's host in NO_PROXY",
				fmt.Errorf("the proxy %s of %s: %w", proxy.Host, variable, dial.Err)
		}
		if tunnel, ok := errors.AsType[tunnelError](err); ok {
			return r.hintTunnel(tunnel.status), fmt.Errorf("the proxy %s of %s: %w", proxy.Host, variable, tunnel)
		}
	}
	if hint := r.hintTLS(err, now); hint != "" {
		return hint, err
	}
	return r.hintNetwork(err), err
}

// hintTunnel says what helps against a proxy that does not connect to the server.
func (r route) hintTunnel(status int) string {
	if status == http.StatusProxyAuthRequired {
		return r.hintPassword()
	}
	return "the proxy has to allow CONNECT to " + r.server.Host + ", or NO_PROXY has to list K2HR3's host"
}

func (r route) hintPassword() string {
	if proxyOf(r.server) == nil {
		return "what answers is a proxy that wants a user and password, though " + proxyVariable(r.server.Scheme) + " names none: " + r.named + " may name the proxy"
	}
	return "the proxy wants a user and password: write http://USER:PASSWORD@HOST:PORT in " +
		proxyVariable(r.server.Scheme) + ", or list K2HR3's host in NO_PROXY"
}

// hintNetwork says what helps against a failure below TLS and HTTP.
func (r route) hintNetwork(err error) string {
	var dns *net.DNSError
	var dial *net.OpError
	proxied := ""
	if proxyOf(r.server) != nil {
		proxied = ", or the proxy of " + proxyVariable(r.server.Scheme) + " is"
	}
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host in " + r.named + " does not resolve here: correct " + r.named + ", or have the name service of this host know it"
	case errors.As(err, &dns):
		return "this host's name service (/etc/resolv.conf) gives no answer"
	case errors.Is(err, errNotHTTP) && r.server.Scheme == "http":
		return r.named + " says http: if K2HR3 speaks https there, correct it"
	case errors.Is(err, errNotHTTP), errors.Is(err, errFaultyHTTP), errors.Is(err, errLongHead):
		return r.named + " may name another server, or a proxy or gateway on the way spoils K2HR3's answers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at that address and port, or a firewall refuses the connection: start K2HR3, or correct the port in " + r.named
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "this host has no way to that address, or a router refuses to go on: correct the address, this host's routes, or the security group or firewall on the way"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "this host itself does not let the agent connect: its firewall, or IPAddressDeny= in the agent's unit, has to allow it"
	case errors.Is(err, syscall.EINVAL) && strings.Contains(err.Error(), "[fe80:"):
		return "a link-local address (fe80::) is none to reach K2HR3 at: " + r.named + ", or the AAAA record of the host in it, has to have another one"
	case noAddress(err):
		return "the host in " + r.named + " has no address that this host can use: its name needs an A record (an AAAA record of ::ffff:… is none), or an AAAA record of an IPv6 address"
	case isTimeout(err) && errors.As(err, &dial) && dial.Op == "dial":
		return "nothing answers at that address: the host is down, or a firewall drops what is sent to it"
	case isTimeout(err):
		return "K2HR3 is overloaded or hangs" + proxied
	case isEnd(err) && r.server.Scheme == "http":
		return "K2HR3 ended the connection: it was restarted, or it speaks https there and " + r.named + " says http" + proxied
	case isEnd(err):
		return "K2HR3 ended the connection: it was restarted, or something on the way to it was"
	}
	return ""
}

// hintTLS says what helps against a failure of TLS; empty: it is none.
func (r route) hintTLS(err error, now time.Time) string {
	var (
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		record    tls.RecordHeaderError
		handshake handshakeError
	)
	switch {
	case errors.As(err, &invalid):
		return hintInvalid(invalid, now)
	case errors.As(err, &authority):
		return r.hintAuthority(authority)
	case errors.As(err, &name):
		return r.hintName(name.Certificate)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return r.named + " says https, but what answers there does not speak it"
	case errors.As(err, &handshake):
		return r.named + " says https, and K2HR3 ended the connection before TLS was agreed on: if it speaks http there, correct it"
	case strings.Contains(err.Error(), "protocol version"):
		return "K2HR3 speaks no TLS newer than 1.1, which the agent does not: K2HR3, or the gateway before it, has to offer TLS 1.2 or 1.3"
	case isAlert(err):
		return r.hintAlert()
	}
	return ""
}

func hintInvalid(e x509.CertificateInvalidError, now time.Time) string {
	whose := "K2HR3's certificate "
	if e.Cert != nil && e.Cert.IsCA {
		whose = fmt.Sprintf("the certificate of its authority (%.150q), which is in ca-file or comes from K2HR3, ", e.Cert.Subject.String())
	}
	clock := "this host's clock says " + now.UTC().Format(time.RFC3339) + ": if that is right, " + whose
	switch {
	case e.Reason != x509.Expired:
		return "K2HR3 needs another certificate: one for a server, and by an authority that may issue it"
	case e.Cert != nil && now.Before(e.Cert.NotBefore):
		return clock + "is not valid yet"
	}
	return clock + "has to be renewed"
}

func (r route) hintAuthority(e x509.UnknownAuthorityError) string {
	signer := ""
	if e.Cert != nil && e.Cert.Issuer.String() != "" {
		signer = fmt.Sprintf(" (%.150q)", e.Cert.Issuer.String())
	}
	name := "ca-file has to name the authority that signed K2HR3's certificate" + signer + ": "
	where := cmp.Or(r.caFile, "the system's authorities")
	// What is wrong with an authority of that name, only the text says.
	switch text := e.Error(); {
	case strings.Contains(text, "insecure algorithm"):
		return "K2HR3's certificate, or an intermediate one, is signed by SHA-1 or MD5, which is not safe: it has to be issued anew, by SHA-256"
	case strings.Contains(text, "verification error"), strings.Contains(text, "verification failure"):
		return name + "one of its name is in " + where + ", but with another key"
	case strings.Contains(text, "parent certificate cannot sign"):
		return name + "one of its name is in " + where + ", but may not sign certificates (CA:TRUE)"
	case r.caFile == "":
		return name + "the system's authorities do not know it"
	}
	return name + "it is not in " + r.caFile + ", and K2HR3 sends no intermediate certificate"
}

func (r route) hintName(cert *x509.Certificate) string {
	if cert == nil {
		return ""
	}
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name in " + r.named + " helps: K2HR3's certificate has no subjectAltName, and has to be issued anew with " + r.server.Hostname() + " as one"
	}
	return r.named + " has to use a name that is in K2HR3's certificate: " + fmt.Sprintf("%.200q", strings.Join(names, ", "))
}

// hintAlert says what helps where the server ends a handshake, and says no more than that.
func (r route) hintAlert() string {
	switch {
	case !r.wantsCert.Load():
		return "K2HR3 and the agent have no TLS version or cipher suite in common"
	case r.cert == "":
		return "K2HR3 wants a client certificate: set cert-file and key-file"
	}
	return "K2HR3 does not accept the client certificate: cert-file and key-file need one that is valid, and by an authority that K2HR3 trusts"
}

// isCertificateError reports whether err is about certificates, which do not
// change within the seconds of a retry.
func isCertificateError(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	return unverified || isAlert(err)
}

// isAlert reports whether err is the server's refusal of the TLS handshake, to
// which crypto/tls gives no type of its own.
func isAlert(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	return ok && network.Op == "remote error"
}
