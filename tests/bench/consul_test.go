package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// consul is what the peers ask in place of K2HR3: a Consul with one key, whose queries block until
// the value is another, as Consul's do, and for as long as its own default lets them.
type consul struct {
	onChange func()        // a value goes out that nobody had before
	faster   time.Duration // by how much a query that blocks is shorter than asked for; 0: as asked for

	mu      sync.Mutex
	value   string
	index   uint64
	told    uint64 // the newest index that went out
	asked   int
	changed chan struct{}
}

const (
	consulKey  = "orders/slave"
	consulWait = 5 * time.Minute
)

func newConsul(onChange func()) *consul {
	return &consul{onChange: onChange, changed: make(chan struct{})}
}

func (c *consul) set(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = value
	c.index++
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *consul) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// ServeHTTP answers for the key whatever is asked for: the peers are told of no other.
func (c *consul) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	known, _ := strconv.ParseUint(r.FormValue("index"), 10, 64)
	wait, err := time.ParseDuration(r.FormValue("wait"))
	if err != nil {
		wait = consulWait
	}
	c.mu.Lock()
	c.asked++
	value, index, changed := c.value, c.index, c.changed
	c.mu.Unlock()
	if known >= index {
		select {
		case <-changed:
		case <-time.After(wait / max(c.faster, 1)):
		case <-r.Context().Done():
			return
		}
		c.mu.Lock()
		value, index = c.value, c.index
		c.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Consul-Index", strconv.FormatUint(index, 10))
	w.Header().Set("X-Consul-KnownLeader", "true")
	w.Header().Set("X-Consul-LastContact", "0")
	c.goesOut(index)
	json.NewEncoder(w).Encode([]map[string]any{{
		"Key": consulKey, "Value": base64.StdEncoding.EncodeToString([]byte(value)),
		"CreateIndex": 1, "ModifyIndex": index, "LockIndex": 0, "Flags": 0,
	}})
}

func (c *consul) goesOut(index uint64) {
	c.mu.Lock()
	isNew := index > c.told
	c.told = max(c.told, index)
	c.mu.Unlock()
	if isNew {
		c.onChange()
	}
}
