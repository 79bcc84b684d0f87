package slave

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/realagent"
	"k2hdkc-slave-agent/tests/machine"
)

// logFile is where the agent's log goes in place of the journal, which does not
// tell of a message before a quarter of a second has passed.
const logFile = "/var/log/agent.json"

// agentLog is what the agent has said since the machine's boot.
type agentLog struct {
	mu      sync.Mutex
	records []realagent.Record
	changed chan struct{} // closed and replaced when records grow
}

// follow reads the agent's log for as long as the test lasts.
func follow(tb testing.TB, m *machine.Machine) *agentLog {
	tb.Helper()
	f, err := os.Open(m.HostPath(logFile))
	if err != nil {
		tb.Fatal(err)
	}
	l := &agentLog{changed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.Close()
		var rest []byte
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			b, err := io.ReadAll(f)
			if err != nil {
				return
			}
			rest = l.add(append(rest, b...))
			select {
			case <-tick.C:
			case <-tb.Context().Done():
				tick.Stop()
				return
			}
		}
	}()
	tb.Cleanup(func() { <-done })
	return l
}

// add takes whole lines, and returns what is not one yet.
func (l *agentLog) add(b []byte) (rest []byte) {
	for {
		line, after, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return b
		}
		b = after
		var r realagent.Record
		if err := json.Unmarshal(line, &r); err != nil {
			r = realagent.Record{Message: string(line), Level: "ERROR"}
		}
		l.mu.Lock()
		l.records = append(l.records, r)
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
	}
}

func (l *agentLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// await returns the first record from the from-th on for which ok holds, and
// the number of the one after it.
func (l *agentLog) await(ctx context.Context, from int, ok func(realagent.Record) bool) (realagent.Record, int, error) {
	for {
		l.mu.Lock()
		records, changed := l.records, l.changed
		l.mu.Unlock()
		for i := from; i < len(records); i++ {
			if ok(records[i]) {
				return records[i], i + 1, nil
			}
		}
		from = len(records)
		select {
		case <-changed:
		case <-ctx.Done():
			return realagent.Record{}, from, context.Cause(ctx)
		}
	}
}

// since returns the records from the from-th on, as text.
func (l *agentLog) since(from int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, r := range l.records[from:] {
		fmt.Fprintf(&b, "%s %s %v\n", r.Level, r.Message, r.Attrs)
	}
	return b.String()
}
