package service

import (
	"context"
	"sync"
)

// outbox sends items one after the other in a goroutine of its own, so that who has something to
// send never waits for whoever receives it. The goroutine is there only while there are items.
type outbox[T any] struct {
	send func(T) // may block

	mu    sync.Mutex
	items []T
	idle  chan struct{} // closed once all is sent; nil: nothing is being sent
}

// update changes the items that still have to be sent, other than the one being sent now.
func (o *outbox[T]) update(f func(items []T) []T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.items = f(o.items)
	if len(o.items) > 0 && o.idle == nil {
		o.idle = make(chan struct{})
		go o.work()
	}
}

func (o *outbox[T]) work() {
	for {
		item, ok := o.take()
		if !ok {
			return
		}
		o.send(item)
	}
}

// take returns the next item to send, or none, which ends the work.
func (o *outbox[T]) take() (item T, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.items) == 0 {
		close(o.idle)
		o.items, o.idle = nil, nil
		return item, false
	}
	item, o.items = o.items[0], o.items[1:]
	return item, true
}

// flush waits until all is sent, or ctx ends.
func (o *outbox[T]) flush(ctx context.Context) {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
