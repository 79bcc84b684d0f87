package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"k2hdkc-slave-agent/chmpx"
)

// factsLast is how long what the name service said of this host is used without
// being asked for again.
const factsLast = 5 * time.Minute

// thisHost is what a judgement has to know of this host. The name service may
// take seconds to say nothing, and must not stand between K2HR3's answer and
// the file each time; so what it said is kept, and asked for anew beside the
// judgement that finds it old. Addresses and the host's own name are always
// those of the moment.
type thisHost struct {
	look func(context.Context) (chmpx.Host, error)

	mu     sync.Mutex
	last   chmpx.Host
	key    string // what must not have changed for last to be right
	at     time.Time
	asking bool
}

// get returns the host as it is now.
func (h *thisHost) get(ctx context.Context) (chmpx.Host, error) {
	key, err := nameAndAddresses()
	if err != nil {
		return chmpx.Host{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.key != key {
		host, err := h.look(ctx)
		if err != nil {
			return host, err
		}
		h.last, h.key, h.at = host, key, time.Now()
		return host, nil
	}
	if time.Since(h.at) > factsLast && !h.asking {
		h.asking = true
		go h.refresh()
	}
	return h.last, nil
}

// refresh asks again; it ends within the limit of the lookups.
func (h *thisHost) refresh() {
	host, err := h.look(context.Background())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asking = false
	h.at = time.Now()
	if err == nil {
		h.last = host
	}
}

// nameAndAddresses is what of a host can be told without asking anybody.
func nameAndAddresses() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", err
	}
	addrs, err := net.InterfaceAddrs()
	return fmt.Sprint(name, addrs), err
}
