package realagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// What the agent logs at the steps that tests of several folders wait for. The
// texts are the agent's own; here is the one place to follow a change of them.
const (
	Started    = "started"
	Registered = "registered with K2HR3"
	NotMember  = "membership unconfirmed"
	Replaced   = "slave.ini replaced"
	NotApplied = "RESOURCE not applied"
	Waits      = "RESOURCE waits for a restart of chmpx"
	NoServers  = "no server nodes yet"
	Usable     = "the RESOURCE is usable again"
	Confirmed  = "chmpx runs the current slave.ini"
	PutAgain   = "replacing the file once more"
	RestartIt  = "has lost its watch; restart chmpx"
	NoChmpx    = "chmpx is not running"
	UnitDown   = "chmpx's unit is not running; not starting it"
	BadOptions = "the configuration is wrong; the agent goes on with the previous one"
	LateFolder = "a folder has come after the agent started"
)

// Record is one line of the agent's log.
type Record struct {
	Message string
	Level   string
	// Attrs are the other fields, as JSON has them.
	Attrs map[string]any
}

// Text returns an attribute as text; empty if the record has none.
func (r Record) Text(key string) string {
	v, ok := r.Attrs[key]
	if !ok {
		return ""
	}
	return fmt.Sprint(v)
}

// Says reports whether the record has all these words in its message or in its
// other fields.
func (r Record) Says(words ...string) bool {
	text := r.Message + " " + fmt.Sprint(r.Attrs)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

func (r *Record) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&r.Attrs); err != nil {
		return err
	}
	r.Message, r.Level = r.Text("msg"), r.Text("level")
	for _, key := range []string{"msg", "level", "time"} {
		delete(r.Attrs, key)
	}
	return nil
}

// Log is what an agent has logged so far, in JSON. The zero value is empty.
type Log struct {
	mu      sync.Mutex
	records []Record
	raw     strings.Builder
	changed chan struct{} // closed at the next record; nil: nobody waits
	ended   bool
}

// Add adds one line. A line that is not JSON is an error's text.
func (l *Log) Add(line []byte) Record {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		r = Record{Message: string(line), Level: "ERROR"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw.Write(line)
	l.raw.WriteByte('\n')
	l.records = append(l.records, r)
	l.wake()
	return r
}

// End says that nothing more will come.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.wake()
}

func (l *Log) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Await returns the first record, from the from-th on, for which ok holds, and
// the number of the one after it.
func (l *Log) Await(ctx context.Context, from int, ok func(Record) bool) (Record, int, error) {
	for {
		records, changed, ended := l.look()
		for i := from; i < len(records); i++ {
			if ok(records[i]) {
				return records[i], i + 1, nil
			}
		}
		from = len(records)
		if ended {
			return Record{}, from, errors.New("the agent has ended")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Record{}, from, context.Cause(ctx)
		}
	}
}

func (l *Log) look() (records []Record, changed <-chan struct{}, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.records, l.changed, l.ended
}

// Count returns how many records there are.
func (l *Log) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// String is all that the agent has written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.raw.String()
}
