package chmpx

import (
	"context"
	"errors"
	"net"
	"time"
)

// Host is what chmpx knows, or asks, about the machine it runs on (docs/chmpx.md C.3).
// The zero value is a host without names, addresses and name service.
type Host struct {
	// Name is the kernel's host name.
	Name string
	// FullName is Name if a DNS query for it has an answer, else "".
	FullName string
	// Names are the names chmpx takes for its own: FullName, and those the
	// addresses of Name resolve back to.
	Names []string
	// Addrs are the addresses of all interfaces, loopback included, without zone.
	Addrs []string
	// Lookup returns all names and addresses a name or an address stands for. A
	// *net.DNSError with IsNotFound means there are none; after any other error
	// it counts as not known. It must be safe for concurrent use. nil: nothing
	// can be resolved.
	Lookup func(ctx context.Context, name string) ([]string, error)
	// Paths says what a path in a TLS key leads to; nil asks the file system.
	Paths func(path string) PathKind
}

// LookupLimit bounds how long the name service may take, once for the host's own names and once for
// those that a file is judged by.
const LookupLimit = 5 * time.Second

// NotFound reports a definite "there is no such name".
func NotFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}
