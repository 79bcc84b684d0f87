package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/fatal"
)

const (
	hostAddr = "127.0.0.1"
	hostCUK  = "5b1d7c42-90ae-4f63-8d1c-3e6f2a9b7d04"
	cluster  = "orders"
	limit    = 2 * time.Minute // how long anything that is waited for may take
)

// world is a host with one folder, the services that tell it of the cluster, each with the same
// text, and a chmpx. Who keeps slave.ini there is for the benchmark.
type world struct {
	tb       testing.TB
	dir      string
	server   *fakek2hr3.Server
	cluster  *fakek2hr3.Cluster
	api      string // K2HR3's
	consul   *consul
	kv       string // Consul's address
	texts    [2]string
	rings    [2][]fakechmpx.Member
	version  int
	programs fakechmpx.Programs
	state    fakechmpx.StateDir
	chmpx    *fakechmpx.Process
	answered chan time.Time // when the latest text was first answered
	replaced chan time.Time // when slave.ini was another
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, dir: tb.TempDir(), server: fakek2hr3.New(), programs: fakechmpx.BuildT(tb),
		answered: make(chan time.Time, 100), replaced: make(chan time.Time, 100)}
	w.cluster = w.server.AddCluster("shop", cluster)
	w.cluster.AddSlave(hostAddr, hostCUK, hostAddr)
	w.server.OnRequest(func(r fakek2hr3.Request) {
		if r.Op == fakek2hr3.OpResource && r.Status == http.StatusOK {
			note(w.answered)
		}
	})
	w.api = "http://" + serve(tb, fakek2hr3.NewHTTPServer(w.server))
	w.consul = newConsul(func() { note(w.answered) })
	w.kv = serve(tb, &http.Server{Handler: w.consul})
	w.cluster3and4()
	w.state = fakechmpx.StateDir(w.path("chmpx"))
	for _, dir := range []string{"out", "chmpx"} {
		fatal.If(tb, os.Mkdir(w.path(dir), 0o755))
	}
	w.write("slave-agent.ini", "")
	w.write("instance-id", hostCUK+"\n")
	w.watch()
	w.set()
	fatal.If(tb, w.state.SetRing(w.rings[0]...))
	return w
}

// note sends the time, unless nobody has wanted it for long.
func note(at chan<- time.Time) {
	select {
	case at <- time.Now():
	default:
	}
}

func serve(tb testing.TB, s *http.Server) (addr string) {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	fatal.If(tb, err)
	go s.Serve(l)
	tb.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// cluster3and4 makes the texts and the rings of three servers and of four.
func (w *world) cluster3and4() {
	for i := range 4 {
		name, cuk := fmt.Sprintf("kv-%d.shop.example", i), fmt.Sprintf("0d6e%04x-7c1b-4a52-b3f8-6e9d2c4a8b17", i)
		w.cluster.Join(fmt.Sprintf("10.20.1.%d", 1+i), cuk, name)
		w.rings[1] = append(w.rings[1], fakechmpx.Member{Name: name, CUK: cuk, Seed: name,
			Port: fakek2hr3.ServerPort, CtlPort: fakek2hr3.ServerCtlPort})
		if i == 2 {
			w.texts[0] = w.cluster.Text()
		}
	}
	w.texts[1], w.rings[0] = w.cluster.Text(), w.rings[1][:3]
}

// watch notes each time that slave.ini is another, as the kernel tells chmpx.
func (w *world) watch() {
	watcher, err := fsnotify.NewWatcher()
	fatal.If(w.tb, err)
	w.tb.Cleanup(func() { watcher.Close() })
	fatal.If(w.tb, watcher.Add(filepath.Dir(w.output())))
	go func() {
		for e := range watcher.Events {
			if e.Name == w.output() && e.Op.Has(fsnotify.Create|fsnotify.Write) {
				note(w.replaced)
			}
		}
	}()
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }
func (w *world) output() string          { return w.path("out/slave.ini") }

func (w *world) write(name, text string) {
	w.tb.Helper()
	fatal.If(w.tb, os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	fatal.If(w.tb, os.WriteFile(w.path(name), []byte(text), 0o600))
}

var fileVersion = regexp.MustCompile(`FILEVERSION( +)= \d+`)

// set gives all services the next text: a server has joined or left, and FILEVERSION is one higher,
// so that chmpx shows what it runs, whoever has written it.
func (w *world) set() {
	text := fileVersion.ReplaceAllString(w.texts[w.version%2], fmt.Sprintf("FILEVERSION${1}= %d", w.version+1))
	w.cluster.SetText(text)
	w.consul.set(strings.ReplaceAll(text, "__SELF_INSTANCE_ID__", hostCUK))
}

// requests is how often the services were asked.
func (w *world) requests() int { return len(w.server.Requests()) + w.consul.requests() }

// startChmpx starts chmpx on the file, which has to be there within the limit.
func (w *world) startChmpx() {
	w.tb.Helper()
	ctx := deadline(w.tb)
	for {
		if fi, err := os.Stat(w.output()); err == nil && fi.Size() > 0 {
			break
		}
		select {
		case <-w.replaced:
		case <-ctx.Done():
			w.tb.Fatal("there is no slave.ini")
		}
	}
	var err error
	w.chmpx, err = fakechmpx.StartT(w.tb, w.programs, w.output(), fakechmpx.WithState(w.state))
	fatal.If(w.tb, err)
}

// running is the FILEVERSION that chmpx runs.
func (w *world) running() int {
	w.tb.Helper()
	shot, err := w.state.Read(cluster, fakek2hr3.SlaveCtlPort)
	fatal.If(w.tb, err)
	return shot.FileVersion
}

// runs waits until chmpx runs another text than before, or has ended of it.
func (w *world) runs(before int) (ended bool) {
	w.tb.Helper()
	ctx, cancel := context.WithCancel(deadline(w.tb))
	defer cancel()
	go func() {
		select {
		case <-w.chmpx.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := w.state.Await(ctx, cluster, fakek2hr3.SlaveCtlPort, func(now fakechmpx.Snapshot) bool { return now.FileVersion != before })
	select {
	case <-w.chmpx.Done():
		return true
	default:
		fatal.If(w.tb, err)
		return false
	}
}

func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	tb.Cleanup(cancel)
	return ctx
}
