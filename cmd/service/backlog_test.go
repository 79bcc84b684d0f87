package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is who reads a log: it takes a record when it is let, or fails.
type reader struct {
	mu   sync.Mutex
	text bytes.Buffer
	let  chan struct{} // nil: at once
	err  error
}

func (r *reader) Write(b []byte) (int, error) {
	if r.let != nil {
		<-r.let
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	return r.text.Write(b)
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *reader) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Split(strings.TrimSuffix(r.text.String(), "\n"), "\n")
}

func noteLine(to io.Writer, dropped int) error {
	_, err := fmt.Fprintf(to, "dropped %d\n", dropped)
	return err
}

func flushed(b *Backlog, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	b.Flush(ctx)
	return ctx.Err() == nil
}

func TestALogThatIsReadLosesNothing(t *testing.T) {
	r := &reader{}
	b := NewBacklog(r, noteLine)
	var want []string
	for i := range 3 * maxBacklog {
		fmt.Fprintf(b, "record %d\n", i)
		want = append(want, fmt.Sprintf("record %d", i))
		if i%100 == 0 && !flushed(b, time.Minute) {
			t.Fatal("not all was written")
		}
	}
	if !flushed(b, time.Minute) {
		t.Fatal("not all was written")
	}
	if got := r.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d lines, want %d", len(got), len(want))
	}
}

// A reader that has stopped holds up nobody. What it missed is said where it is missing, once.
func TestALogThatNobodyReads(t *testing.T) {
	for name, c := range map[string]struct {
		record string
		keeps  int // of the records
	}{
		"many records":  {"x\n", maxBacklog},
		"large records": {strings.Repeat("x", 1<<10-1) + "\n", maxBacklogInBytes >> 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &reader{let: make(chan struct{})}
				b := NewBacklog(r, noteLine)
				fmt.Fprint(b, "first\n")
				synctest.Wait() // that one is on its way
				for range c.keeps + 1000 {
					io.WriteString(b, c.record)
				}
				start := time.Now()
				if flushed(b, 300*time.Millisecond) || time.Since(start) != 300*time.Millisecond {
					t.Errorf("the end waited %v for a reader that does not read", time.Since(start))
				}
				if size := b.size.Load(); size > maxBacklogInBytes {
					t.Errorf("it holds %d bytes", size)
				}
				r.let <- struct{}{} // a first record is read
				synctest.Wait()
				fmt.Fprint(b, "after the gap\n")
				close(r.let)
				synctest.Wait()
				lines := r.lines()
				tail := lines[len(lines)-2:]
				var dropped int
				if _, err := fmt.Sscanf(tail[0], "dropped %d", &dropped); err != nil || tail[1] != "after the gap" {
					t.Fatalf("the end is %q", tail)
				}
				if kept := len(lines) - 3; kept+dropped != c.keeps+1000 || kept < c.keeps-10 {
					t.Errorf("%d records kept and %d dropped of %d", kept, dropped, c.keeps+1000)
				}
				if n := strings.Count(strings.Join(lines, "\n"), "dropped"); n != 1 {
					t.Errorf("said %d times", n)
				}
			})
		})
	}
}

func TestTheGapAtTheEndIsSaidToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{let: make(chan struct{})}
		b := NewBacklog(r, noteLine)
		for range maxBacklog + 8 {
			fmt.Fprint(b, "x\n")
		}
		close(r.let)
		synctest.Wait()
		if lines := r.lines(); lines[len(lines)-1] != "dropped 8" && lines[len(lines)-1] != "dropped 7" {
			t.Errorf("the end is %q", lines[len(lines)-1])
		}
	})
}

// A reader that is gone makes no loop of notes that cannot be written either.
func TestALogThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{err: errors.New("broken pipe")}
		b := NewBacklog(r, noteLine)
		for range 5 {
			fmt.Fprint(b, "x\n")
			synctest.Wait()
		}
		r.fail(nil)
		fmt.Fprint(b, "back\n")
		synctest.Wait()
		if got := strings.Join(r.lines(), "|"); got != "dropped 5|back" {
			t.Errorf("got %q", got)
		}
	})
}
