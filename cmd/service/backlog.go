package service

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
)

// How much a Backlog holds. The agent logs a few records a minute, so this is hours of them, and it
// takes a fault that logs in a loop to need more.
const (
	maxBacklog        = 1000
	maxBacklogInBytes = 256 << 10
)

// Backlog is a log between the agent and who reads it. A reader that has stopped (a pipe that is
// full, a journald that hangs) never holds up the agent: the Backlog keeps what there is room for,
// drops and counts the rest, and says so as soon as the reader reads again.
//
// It may be used from several goroutines.
type Backlog struct {
	to   io.Writer
	note func(to io.Writer, dropped int) error

	out     Outbox[entry]
	size    atomic.Int64 // of all entries, in bytes
	dropped int          // since the last entry; out.mu guards it
	total   atomic.Int64 // dropped ever
}

// entry is one record.
type entry struct {
	text []byte
	lost int // how many were dropped right before it
}

// NewBacklog returns one for to, which takes a whole record with each Write. note writes to to that
// records were dropped.
func NewBacklog(to io.Writer, note func(to io.Writer, dropped int) error) *Backlog {
	b := &Backlog{to: to, note: note}
	b.out.Send = b.send
	return b
}

// Write takes one record. It neither blocks nor fails.
func (b *Backlog) Write(record []byte) (int, error) {
	size := int64(len(record))
	b.out.Update(func(entries []entry) []entry {
		if len(entries) >= maxBacklog || b.size.Load()+size > maxBacklogInBytes {
			b.dropped++
			b.total.Add(1)
			return entries
		}
		b.size.Add(size)
		e := entry{bytes.Clone(record), b.dropped}
		b.dropped = 0
		return append(entries, e)
	})
	return len(record), nil
}

// send writes one entry, and before it how many are missing there. After the last entry it says how
// many are missing since.
func (b *Backlog) send(e entry) {
	defer b.size.Add(-int64(len(e.text)))
	err := b.say(e.lost)
	if err == nil {
		e.lost = 0
		_, err = b.to.Write(e.text)
	}
	if err != nil {
		b.total.Add(1)
		b.drop(e.lost + 1)
		return
	}
	if lost := b.lostAtEnd(); b.say(lost) != nil {
		b.drop(lost)
	}
}

func (b *Backlog) say(dropped int) error {
	if dropped == 0 {
		return nil
	}
	return b.note(b.to, dropped)
}

func (b *Backlog) drop(n int) {
	b.out.mu.Lock()
	defer b.out.mu.Unlock()
	b.dropped += n
}

// lostAtEnd takes the number of those dropped, unless there are entries whose turn is before that.
func (b *Backlog) lostAtEnd() int {
	b.out.mu.Lock()
	defer b.out.mu.Unlock()
	if len(b.out.items) > 0 {
		return 0
	}
	n := b.dropped
	b.dropped = 0
	return n
}

// Dropped returns how many records were dropped so far.
func (b *Backlog) Dropped() int64 { return b.total.Load() }

// Flush waits until all that was not dropped is written, or ctx ends.
func (b *Backlog) Flush(ctx context.Context) { b.out.Flush(ctx) }
