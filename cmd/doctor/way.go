package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"k2hdkc-slave-agent/cmd/prose"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

func wayChecks() []check {
	return []check{
		{id: "name", about: "the addresses of K2HR3's host", needs: []string{"config"}, look: lookName},
		{id: "tcp", about: "a connection to K2HR3", needs: []string{"name"}, look: lookTCP},
		{id: "tls", about: "K2HR3's certificate, and the proxy on the way", needs: []string{"tcp"}, look: lookTLS},
		{id: "k2hr3", about: "whether K2HR3's API is up (GET /)", needs: []string{"tls"}, look: lookK2HR3},
	}
}

// failure is the error of a step.
func failure(err error, otherwise string) *finding {
	message, remedy := explained(err)
	if remedy == "" {
		remedy = otherwise
	}
	return bad(remedy, "%s", message)
}

func lookName(_ context.Context, x *exam) *finding {
	w := x.way()
	host, _, _ := net.SplitHostPort(w.To)
	if w.Reached == k2hr3.Resolving {
		return failure(w.Err, "correct api-uri, or the name service of this host").at("%s", host)
	}
	var addrs []string
	for _, a := range w.Addresses {
		addrs = append(addrs, a.String())
	}
	if len(addrs) == 1 && addrs[0] == host {
		return good("%s is an address", host).at("%s", host)
	}
	return good("%s is %s", host, strings.Join(addrs, ", ")).at("%s", host)
}

func lookTCP(_ context.Context, x *exam) *finding {
	w := x.way()
	looked := w.To
	if w.Proxy != "" {
		looked = fmt.Sprintf("%s, the proxy of %s", w.To, w.ProxyVariable)
	}
	if w.Reached == k2hr3.Connecting {
		return failure(w.Err, "start K2HR3, correct api-uri, or let the network's rules (security group, firewall) allow this host to connect to "+w.To).at("%s", looked)
	}
	return good("connected to %s", w.Connected).at("%s", looked)
}

// renewBefore is how long before its end a certificate is to be renewed.
const renewBefore = 14 * 24 * time.Hour

func lookTLS(_ context.Context, x *exam) *finding {
	w := x.way()
	looked := "K2HR3's certificate"
	if w.Proxy != "" {
		looked += fmt.Sprintf(", by the proxy %s of %s", w.Proxy, w.ProxyVariable)
	}
	now := time.Now()
	switch c := w.Certificate; {
	case w.Reached == k2hr3.Agreeing:
		return failure(w.Err, "").at("%s", looked)
	case w.WrongCertificate != nil:
		f := failure(w.WrongCertificate, "").at("%s", looked)
		var invalid x509.CertificateInvalidError
		if errors.As(w.WrongCertificate, &invalid) && invalid.Reason == x509.Expired {
			f = f.after("clock")
		}
		return f
	case c == nil && w.Proxy != "":
		return good("plain http, by the proxy %s of %s", w.Proxy, w.ProxyVariable).at("%s", looked)
	case c == nil:
		return skip("api-uri says http").at("%s", looked)
	case c.NotAfter.Sub(now) < renewBefore:
		return warn("renew K2HR3's certificate", "K2HR3's certificate ends in %s", days(c.NotAfter.Sub(now))).at("%s", looked)
	default:
		return good("K2HR3's certificate is good for %s", days(c.NotAfter.Sub(now))).at("%s", looked)
	}
}

func days(d time.Duration) string { return prose.Count(int(d/(24*time.Hour)), "day") }

func lookK2HR3(_ context.Context, x *exam) *finding {
	w := x.way()
	if w.Err != nil {
		return failure(w.Err, "see K2HR3's log").at("GET %s/", x.Options.APIURI)
	}
	return good("K2HR3's API is up, and answered in %v", max(w.Took.Round(time.Millisecond), time.Millisecond)).at("GET %s/", x.Options.APIURI)
}
