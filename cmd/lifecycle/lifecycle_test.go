package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

const limit = 20 * time.Second

// life is a daemon on the files of a folder, whose rounds do nothing but run. Its loads and rounds
// can be seen, and hooks called in between.
type life struct {
	t      *testing.T
	dir    string
	daemon Daemon
	hangup chan os.Signal
	loaded func(n int, o *options.Options) // nil: nothing is done after the nth load

	begun chan *options.Options // the options of each round that begins to run

	mu     sync.Mutex
	loads  int
	rounds []*round
}

type round struct {
	options     *options.Options
	runs, ended int
}

func newLife(t *testing.T) *life {
	l := &life{t: t, dir: t.TempDir(), hangup: make(chan os.Signal), begun: make(chan *options.Options, 10)}
	log := slog.New(slog.DiscardHandler)
	l.daemon = Daemon{
		Load: l.load, Prepare: l.prepare, Logger: func(*options.Options) *slog.Logger { return log },
		Started: func(Round) {}, Manager: service.NewManager(), Folders: service.NewFolders(), Hangup: l.hangup,
	}
	return l
}

func (l *life) path(name string) string { return filepath.Join(l.dir, name) }

func (l *life) write(name, text string) {
	l.t.Helper()
	path := l.path(name)
	fatal.If(l.t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)))
}

// config is a configuration without K2HR3 and a role.
func (l *life) config() string {
	return "[slave]\ncuk = vm-7\noutput = " + l.path("slave.ini") + "\n[agent]\nantpickax-dir = " + l.path("antpickax") + "\n[k2hr3]\n"
}

func (l *life) configure(more string) {
	l.write("agent.ini", l.config()+"role = yrn:yahoo:::shop:role:orders/slave\napi-uri = http://127.0.0.1:1\n"+more)
}

func (l *life) load() (*options.Options, error) {
	verb, err := options.LookupVerb("run")
	if err != nil {
		return nil, err
	}
	o, err := options.Load(verb, []string{"--config", l.path("agent.ini"), "--unit="},
		options.System{Files: os.DirFS("/"), Dir: "/"})
	l.mu.Lock()
	l.loads++
	n := l.loads
	l.mu.Unlock()
	if l.loaded != nil {
		l.loaded(n, o)
	}
	return o, err
}

func (l *life) prepare(o *options.Options) (Round, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &round{options: o}
	l.rounds = append(l.rounds, r)
	w := &watcher.Watcher{
		Config: watcher.Config{File: render.File{Path: o.Output}, StateFile: l.path("state.json"), Interval: o.Interval},
		Member: idle{begun: func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if r.runs++; r.runs == 1 {
				l.begun <- o
			}
		}},
		Judge: refuses{}, Log: slog.New(slog.DiscardHandler),
	}
	return Round{Options: o, Watcher: w, Log: w.Log, Close: func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		r.ended++
	}}, nil
}

// run runs the daemon, and returns what ends it.
func (l *life) run() (end func()) {
	l.t.Helper()
	o, err := l.load()
	fatal.If(l.t, err)
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- l.daemon.Run(ctx, o) }()
	return func() {
		l.t.Helper()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				l.t.Errorf("Run: %v", err)
			}
		case <-time.After(limit):
			l.t.Fatal("Run does not end")
		}
		for i, r := range l.rounds {
			if r.ended != 1 {
				l.t.Errorf("round %d of %d was closed %d times", i+1, len(l.rounds), r.ended)
			}
		}
	}
}

// begins waits for a round of this interval to run. Rounds before it are passed over.
func (l *life) begins(interval time.Duration) {
	l.t.Helper()
	late := time.After(limit)
	for {
		select {
		case o := <-l.begun:
			if o.Interval == interval {
				return
			}
		case <-late:
			l.t.Fatalf("no round with an interval of %v", interval)
		}
	}
}

// idle is a member that K2HR3 never answers.
type idle struct{ begun func() }

func (m idle) Keep(ctx context.Context, known member.Identity) (member.Identity, error) {
	m.begun()
	<-ctx.Done()
	return known, ctx.Err()
}

func (idle) Ask(ctx context.Context, _ string, _ time.Duration) (k2hr3.Answer, error) {
	<-ctx.Done()
	return k2hr3.Answer{}, ctx.Err()
}
func (idle) Registrations() int                                          { return 0 }
func (idle) Outside() bool                                               { return false }
func (idle) Moved(context.Context, member.Identity) bool                 { return false }
func (idle) Renamed() bool                                               { return false }
func (idle) RemoveStale(context.Context, member.Identity, []string) bool { return false }
func (idle) Ping(context.Context) error                                  { return nil }
func (idle) Knock(context.Context) (time.Duration, error)                { return 0, nil }
func (idle) Longest() time.Duration                                      { return time.Hour }
func (idle) Disturb()                                                    {}

// refuses is a judge for whom no file is good.
type refuses struct{}

func (refuses) Judge(context.Context, []byte, *chmpx.Running) chmpx.Report { return chmpx.Report{} }

// Whoever changes the configuration while the agent starts, or while it takes up another change,
// finds his change taken up.
func TestAChangeBetweenLoadingAndWatchingIsTakenUp(t *testing.T) {
	t.Run("at the start", func(t *testing.T) {
		l := newLife(t)
		l.configure("interval = 1m\n")
		l.loaded = func(n int, _ *options.Options) {
			if n == 1 {
				l.configure("interval = 2m\n")
			}
		}
		end := l.run()
		l.begins(2 * time.Minute)
		end()
	})
	t.Run("while another change is taken up", func(t *testing.T) {
		l := newLife(t)
		l.configure("interval = 1m\n")
		l.loaded = func(_ int, o *options.Options) {
			if o != nil && o.Interval == 2*time.Minute {
				l.configure("interval = 3m\n")
			}
		}
		end := l.run()
		l.begins(time.Minute)
		l.configure("interval = 2m\n")
		l.begins(3 * time.Minute)
		end()
	})
	t.Run("while the agent waits for a configuration", func(t *testing.T) {
		t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
		l := newLife(t)
		l.write("agent.ini", "[k2hr3]\n")
		l.loaded = func(n int, _ *options.Options) {
			switch n {
			case 2: // with which the wait begins
				l.write("agent.ini", l.config()+"interval = 2m\nrole = yrn:yahoo:::shop:role:orders/slave\n")
			case 3: // the first one that knows the folder
				l.write("antpickax/k2hr3-api-uri", "http://127.0.0.1:1\n")
			}
		}
		end := l.run()
		l.begins(2 * time.Minute)
		end()
	})
}

// Every round that was prepared is closed once: the one that runs, one that changes nothing, and
// one that another has taken the place of before it ran.
func TestEveryRoundIsClosed(t *testing.T) {
	l := newLife(t)
	l.configure("interval = 1m\n")
	end := l.run()
	l.begins(time.Minute)
	l.hangup <- os.Interrupt // which changes nothing
	l.hangup <- os.Interrupt
	l.configure("interval = 2m\n")
	l.hangup <- os.Interrupt
	l.begins(2 * time.Minute)
	l.configure("interval = wrong\n")
	l.hangup <- os.Interrupt
	l.configure("interval = 3m\n")
	l.begins(3 * time.Minute)
	end()
	if n := len(l.rounds); n < 5 {
		t.Errorf("%d rounds, want 5 at least", n)
	}
}
