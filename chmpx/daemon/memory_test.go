package daemon

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
)

// lookedAt is a stand-in for chmpx, and a prober of it.
type lookedAt struct {
	*testing.T
	state    fakechmpx.StateDir
	programs fakechmpx.Programs
	conf     string
	prober   *Prober
}

func newLookedAt(t *testing.T) *lookedAt {
	dir := t.TempDir()
	l := &lookedAt{T: t, state: fakechmpx.StateDir(t.TempDir()), programs: fakechmpx.BuildT(t),
		conf: filepath.Join(dir, "slave.ini"), prober: &Prober{Dir: dir}}
	l.prober.Command = l.programs.Status
	t.Setenv(fakechmpx.EnvState, string(l.state))
	text := strings.NewReplacer("10.20.0.31", "localhost", "10.20.0.1", "127.0.0.1").Replace(realText)
	fatal.If(t, os.WriteFile(l.conf, []byte(text), 0o644))
	return l
}

func (l *lookedAt) start() *fakechmpx.Process {
	l.Helper()
	p, err := fakechmpx.StartT(l, l.programs, l.conf, fakechmpx.WithState(l.state))
	fatal.If(l, err)
	return p
}

// ring changes the ring and waits until chmpx shows it.
func (l *lookedAt) ring(ok func(fakechmpx.Snapshot) bool, members ...fakechmpx.Member) {
	l.Helper()
	fatal.If(l, l.state.SetRing(members...))
	if _, err := l.state.Await(l.Context(), "orders", 8031, ok); err != nil {
		l.Fatal(err)
	}
}

// look looks once; direct says whether chmpxstatus may not be run for it.
func (l *lookedAt) look(direct bool) Status {
	l.Helper()
	st, err := l.prober.Status(l.Context(), "orders", 8031)
	fatal.If(l, err)
	if st.Direct != direct {
		l.Errorf("looked directly: %v, want %v", st.Direct, direct)
	}
	st.Direct = false
	return st
}

// direct looks until that needs no chmpxstatus: half of what a slow stand-in writes is asked about.
func (l *lookedAt) direct() Status {
	l.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		st, err := l.prober.Status(l.Context(), "orders", 8031)
		fatal.If(l, err)
		if st.Direct {
			st.Direct = false
			return st
		}
	}
	l.Fatal("chmpxstatus is run for each look")
	return Status{}
}

// shown is what chmpxstatus shows.
func (l *lookedAt) shown() Status {
	l.Helper()
	st, err := (&Prober{Command: l.prober.Command, Dir: l.TempDir()}).Status(l.Context(), "orders", 8031)
	fatal.If(l, err)
	return st
}

func TestMemoryShowsWhatChmpxstatusShows(t *testing.T) {
	l := newLookedAt(t)
	p := l.start()
	member := func(n int, state fakechmpx.MemberState) fakechmpx.Member {
		return fakechmpx.Member{Name: "127.0.0.1" + strconv.Itoa(n), Port: 8020, CtlPort: 8021, CUK: "cuk-1" + strconv.Itoa(n), Seed: "db-" + strconv.Itoa(n), State: state}
	}
	l.look(false) // compares
	l.look(true)
	for _, state := range []fakechmpx.MemberState{fakechmpx.MemberUp, fakechmpx.MemberSuspended, fakechmpx.MemberDown, fakechmpx.MemberJoining, fakechmpx.MemberLeaving} {
		l.ring(func(s fakechmpx.Snapshot) bool { return len(s.Servers) == 3 }, member(1, fakechmpx.MemberUp), member(2, state), member(3, fakechmpx.MemberUp))
		// The stand-in shows its snapshot a moment before its memory.
		deadline := time.Now().Add(10 * time.Second)
		for got, want := l.direct(), l.shown(); ; got = l.direct() {
			// Each prober looks for itself when the process began.
			diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Status{}, "Began"))
			if diff == "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("server 2 is %s: (-chmpxstatus +memory)\n%s", state, diff)
			}
		}
		l.ring(func(s fakechmpx.Snapshot) bool { return len(s.Servers) == 2 })
	}
	fatal.If(t, l.state.SetClients(2))
	for l.direct().Clients != 2 {
		time.Sleep(time.Millisecond)
	}

	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.prober.Status(t.Context(), "orders", 8031); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}

// Each of these ends the use of the memory; what is there then is for chmpxstatus to say.
func TestMemoryIsNotTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(*lookedAt, *fakechmpx.Process)
		direct bool // it is compared again, and used
		err    error
	}{
		"chmpx was restarted": {func(l *lookedAt, p *fakechmpx.Process) {
			p.Stop(l.Context())
			l.start()
		}, true, nil},
		"chmpx was killed": {func(l *lookedAt, p *fakechmpx.Process) {
			p.Signal(syscall.SIGKILL)
			p.Wait(l.Context())
		}, false, ErrNotRunning},
		"its file was replaced": {func(l *lookedAt, p *fakechmpx.Process) {
			path := l.state.Path("orders", 8031)
			text, _ := os.ReadFile(path)
			os.Remove(path)
			os.WriteFile(path, text, 0o644)
		}, true, nil},
		"its file was cut off": {func(l *lookedAt, p *fakechmpx.Process) {
			os.Truncate(l.state.Path("orders", 8031), layoutSize)
		}, false, nil},
		"another layout":  {func(l *lookedAt, p *fakechmpx.Process) { l.poke(atVersion, "CHMINFO_VERSION 1.2") }, false, nil},
		"another size":    {func(l *lookedAt, p *fakechmpx.Process) { l.poke(atSize, "\x01") }, false, nil},
		"another process": {func(l *lookedAt, p *fakechmpx.Process) { l.poke(atPID, "\x01\x00\x00\x00") }, false, nil},
		"another GROUP":   {func(l *lookedAt, p *fakechmpx.Process) { l.poke(atGroup, "elsewhere") }, false, nil},
		"nonsense":        {func(l *lookedAt, p *fakechmpx.Process) { l.poke(atSelf, "\xff\xff\xff\xff\xff\xff\xff\x7f") }, false, nil},
		"other servers than chmpxstatus's": {func(l *lookedAt, p *fakechmpx.Process) {
			l.poke(atRevision, "\x09")
			l.prober.memory.since = time.Now().Add(-trusted)
		}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLookedAt(t)
			p := l.start()
			l.look(false)
			l.look(true)
			c.do(l, p)
			for range mostMismatches {
				st, err := l.prober.Status(t.Context(), "orders", 8031)
				if !errors.Is(err, c.err) || st.Direct && !c.direct {
					t.Fatalf("%+v, error %v, want %v", st, err, c.err)
				}
			}
			if c.direct {
				l.look(true)
			}
		})
	}
}

// poke writes into the memory.
func (l *lookedAt) poke(at int64, text string) {
	l.Helper()
	f, err := os.OpenFile(l.state.Path("orders", 8031), os.O_RDWR, 0)
	fatal.If(l, err)
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		l.Fatal(err)
	}
}

// TestAwaitChange: the wait goes on while nothing changes, and ends by whatever does.
func TestAwaitChange(t *testing.T) {
	for name, c := range map[string]struct {
		do  func(l *lookedAt, p *fakechmpx.Process, cancel func())
		err error
	}{
		"a server joins": {do: func(l *lookedAt, _ *fakechmpx.Process, _ func()) {
			l.state.SetRing(fakechmpx.Member{Name: "127.0.0.1", Port: 8020, CtlPort: 8021, CUK: "cuk-9", State: fakechmpx.MemberUp})
		}},
		"a program joins chmpx": {do: func(l *lookedAt, _ *fakechmpx.Process, _ func()) { l.state.SetClients(1) }},
		"chmpx is killed":       {do: func(_ *lookedAt, p *fakechmpx.Process, _ func()) { p.Signal(syscall.SIGKILL) }},
		"chmpx is stopped":      {do: func(l *lookedAt, p *fakechmpx.Process, _ func()) { p.Stop(l.Context()) }},
		"its file is cut off": {do: func(l *lookedAt, _ *fakechmpx.Process, _ func()) {
			os.Truncate(l.state.Path("orders", 8031), layoutSize)
		}},
		"nobody wants to know it": {do: func(_ *lookedAt, _ *fakechmpx.Process, cancel func()) { cancel() }, err: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLookedAt(t)
			p := l.start()
			l.look(false)
			st := l.look(true)
			looks := make(chan struct{})
			was := l.prober.memory.layout.ReaderAt
			l.prober.memory.layout.ReaderAt = readerAt(func(b []byte, off int64) (int, error) {
				if off == 0 {
					select {
					case looks <- struct{}{}:
					case <-t.Context().Done():
					}
				}
				return was.ReadAt(b, off)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- l.prober.AwaitChange(ctx, st, time.Millisecond) }()
			for range 20 {
				select {
				case <-looks:
				case err := <-ended:
					t.Fatalf("it ends, though nothing has changed: %v", err)
				}
			}
			c.do(l, p, cancel)
			for {
				select {
				case <-looks:
					continue
				case err := <-ended:
					if !errors.Is(err, c.err) {
						t.Errorf("error %v, want %v", err, c.err)
					}
				}
				break
			}
		})
	}
}

// What is not looked at directly is for Status to look at.
func TestAwaitChangeOfWhatItDoesNotSee(t *testing.T) {
	l := newLookedAt(t)
	l.start()
	l.look(false)
	st := l.look(true)
	st.Revision++ // it is of another moment
	if err := l.prober.AwaitChange(t.Context(), st, time.Millisecond); err != nil {
		t.Error(err)
	}
	st = l.look(true)
	l.prober.memory.close()
	if err := l.prober.AwaitChange(t.Context(), st, time.Millisecond); err != nil {
		t.Error(err)
	}
}

// A memory that is half of a change when it is read is read again.
func TestMemoryIsReadUntilItSaysTheSameTwice(t *testing.T) {
	l := newLookedAt(t)
	l.start()
	l.look(false)
	m := &l.prober.memory
	was := m.layout.ReaderAt
	reads := 0
	m.layout.ReaderAt = readerAt(func(b []byte, off int64) (int, error) {
		n, err := was.ReadAt(b, off)
		if off == 0 {
			reads++
			if reads <= 2 {
				binary.LittleEndian.PutUint64(b[atRevision:], uint64(100+reads))
			}
		}
		return n, err
	})
	if st := l.look(true); st.Revision != 7 || reads != 4 && reads != 3 {
		t.Errorf("revision %d after %d reads", st.Revision, reads)
	}
	m.layout.ReaderAt = readerAt(func(b []byte, off int64) (int, error) {
		n, err := was.ReadAt(b, off)
		reads++
		if off == 0 {
			binary.LittleEndian.PutUint64(b[atRevision:], uint64(100+reads))
		}
		return n, err
	})
	if st := l.look(false); st.Revision != 7 {
		t.Errorf("revision %d", st.Revision)
	}
}

type readerAt func(b []byte, off int64) (int, error)

func (f readerAt) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }

// Whatever is in the file, reading it ends, with a status or an error.
func FuzzLayout(f *testing.F) {
	head := make([]byte, atSelf+countsSize+nodeSize)
	copy(head, layoutVersion)
	binary.LittleEndian.PutUint64(head[atSize:], layoutSize)
	f.Add(head, uint64(atSelf), uint64(0))
	f.Add(head, uint64(atSelf+inServers), uint64(8))
	f.Add(head, uint64(atSelf+inClients), uint64(atSelf))
	f.Add([]byte("CHMINFO_VERSION 1.0"), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, at, value uint64) {
		b = bytes.Clone(b)
		if at < uint64(len(b)) && len(b)-int(at) >= 8 {
			binary.LittleEndian.PutUint64(b[at:], value)
		}
		l := layout{ReaderAt: bytes.NewReader(b), size: int64(len(b))}
		if st, err := l.status(); err == nil && st.Self.State == "" {
			t.Errorf("%+v without an error", st)
		}
	})
}

// TestRealChmpxsMemory looks at a real chmpx by its memory, beside chmpxstatus.
func TestRealChmpxsMemory(t *testing.T) {
	h := newRealHost(t)
	h.put(t, realText)
	_, end := h.start(t)
	defer end()
	by := &Prober{Command: h.prober.Command, Dir: t.TempDir()}
	for i := range 4 {
		st, err := h.status("orders", 8031)
		fatal.If(t, err)
		if want := i >= 1; st.Direct != want {
			t.Errorf("look %d: directly %v, want %v", i, st.Direct, want)
		}
		var want Status
		err = h.Do(func() (err error) {
			by.memory.close()
			want, err = by.Status(t.Context(), "orders", 8031)
			return err
		})
		fatal.If(t, err)
		want.Direct = st.Direct
		if diff := cmp.Diff(want, st, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Status{}, "Began")); diff != "" {
			t.Errorf("(-chmpxstatus +memory)\n%s", diff)
		}
	}
	st, err := h.status("orders", 8031)
	fatal.If(t, err)
	for range 20 { // it stays as it is, to the byte
		time.Sleep(50 * time.Millisecond)
		if !h.prober.unchanged(st) {
			t.Fatal("chmpx's memory changes while nothing happens")
		}
	}
	changed := make(chan error, 1)
	go func() {
		changed <- h.Do(func() error { return h.prober.AwaitChange(t.Context(), st, 10*time.Millisecond) })
	}()
	h.put(t, strings.Replace(realText, "FILEVERSION = 7", "FILEVERSION = 8", 1))
	if err := <-changed; err != nil {
		t.Error(err)
	}
	if st := h.await(t, 8); !st.Direct {
		t.Error("a reload took chmpxstatus to see")
	}
}

// BenchmarkLookAtChmpx is one look at a chmpx with three servers.
func BenchmarkLookAtChmpx(b *testing.B) {
	for _, direct := range []bool{true, false} {
		b.Run(map[bool]string{true: "memory", false: "chmpxstatus"}[direct], func(b *testing.B) {
			state, dir, programs := fakechmpx.StateDir(b.TempDir()), b.TempDir(), fakechmpx.BuildT(b)
			b.Setenv(fakechmpx.EnvState, string(state))
			conf := filepath.Join(dir, "slave.ini")
			fatal.If(b, os.WriteFile(conf, []byte(strings.Replace(realText, "10.20.0.31", "localhost", 1)), 0o644))
			p, err := fakechmpx.StartT(b, programs, conf, fakechmpx.WithState(state))
			fatal.If(b, err)
			defer p.Stop(b.Context())
			prober := &Prober{Command: programs.Status, Dir: dir}
			prober.Status(b.Context(), "orders", 8031)
			for b.Loop() {
				if !direct {
					prober.memory.close()
				}
				if _, err := prober.Status(b.Context(), "orders", 8031); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
