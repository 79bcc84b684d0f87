package service

import (
	"context"
	"sync"
)

// Outbox sends items one after the other in a goroutine of its own, so that who has something to
// send never waits for whoever receives it. The goroutine is there only while there are items.
type Outbox[T any] struct {
	Send func(T) // set before the first Update; may block

	mu    sync.Mutex
	items []T
	idle  chan struct{} // closed once all is sent; nil: nothing is being sent
}

// Update changes the items that still have to be sent, other than the one being sent now.
func (o *Outbox[T]) Update(f func(items []T) []T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.items = f(o.items)
	if len(o.items) > 0 && o.idle == nil {
		o.idle = make(chan struct{})
		go o.work()
	}
}

func (o *Outbox[T]) work() {
	for {
		item, ok := o.take()
		if !ok {
			return
		}
		o.Send(item)
	}
}

// take returns the next item to send, or none, which ends the work.
func (o *Outbox[T]) take() (item T, ok bool) {
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

// Flush waits until all is sent, or ctx ends.
func (o *Outbox[T]) Flush(ctx context.Context) {
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
