package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher"
	thishost "k2hdkc-slave-agent/watcher/host"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// Sizes of the cluster in the benchmarks: a large one.
const (
	benchServers = 100
	benchSlaves  = 250
)

// BenchmarkAnswerToChmpx is the whole way of an answer of K2HR3, through the
// watcher's own pass: from the moment its last byte is here, to chmpx being
// told (the kernel says that the old file is gone), and to the pass being over,
// with file, directory and all on the disk.
//
// The agent asks the name service who this host is before each judgement; what
// that takes is this machine's affair, so it is measured with and without.
func BenchmarkAnswerToChmpx(b *testing.B) {
	b.Run("host asked", func(b *testing.B) { benchmarkAnswer(b, judgeAfresh) })
	b.Run("host known", func(b *testing.B) { benchmarkAnswer(b, judgeFor(b)) })
}

func benchmarkAnswer(b *testing.B, judge judge) {
	var k inProcess
	w := newWatcher(b, &k, judge)
	v := versions{clusterText(benchServers, benchSlaves-1, hostAddr, hostCUK)}
	k.set(v.text(0))
	must(b, w.Once(b.Context()))
	var told, durable []time.Duration
	for n := 1; b.Loop(); n++ {
		k.set(v.text(n))
		gone := watchInode(b, w.File.Path)
		must(b, w.Once(b.Context()))
		durable = append(durable, time.Since(k.answered))
		told = append(told, (<-gone).Sub(k.answered))
	}
	report(b, "told", told)
	report(b, "durable", durable)
}

type judge func(context.Context, []byte, *chmpx.Running) chmpx.Report

func (j judge) Judge(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report {
	return j(ctx, b, running)
}

// judgeAfresh looks at this machine each time, as the agent does.
func judgeAfresh(ctx context.Context, text []byte, running *chmpx.Running) chmpx.Report {
	host, err := thishost.Look(ctx)
	if err != nil {
		return chmpx.Report{Verdict: chmpx.Dangerous}
	}
	return chmpx.Judge(ctx, text, host, running)
}

// judgeFor judges for this machine as it is now.
func judgeFor(b *testing.B) judge {
	b.Helper()
	host, err := thishost.Look(b.Context())
	must(b, err)
	return func(ctx context.Context, text []byte, running *chmpx.Running) chmpx.Report {
		return chmpx.Judge(ctx, text, host, running)
	}
}

// report reports how long something took: half of the time, and all but once in
// a hundred.
func report(b *testing.B, what string, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	ms := func(i int) float64 { return float64(took[min(i, len(took)-1)]) / float64(time.Millisecond) }
	b.ReportMetric(ms(len(took)/2), what+"-p50-ms")
	b.ReportMetric(ms(len(took)*99/100), what+"-p99-ms")
}

// watchInode sends the moment at which the kernel says, as it says to chmpx,
// that the file now at path is gone.
func watchInode(b *testing.B, path string) <-chan time.Time {
	b.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	must(b, err)
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_DELETE_SELF); err != nil {
		b.Fatal(err)
	}
	gone := make(chan time.Time, 1)
	go func() {
		defer unix.Close(fd)
		unix.Read(fd, make([]byte, 4096))
		gone <- time.Now()
	}()
	return gone
}

// newWatcher is put together as the agent does it, on a machine without chmpx's
// programs and without systemd.
func newWatcher(b *testing.B, k *inProcess, judge judge) *watcher.Watcher {
	b.Helper()
	m := newMember(b, k)
	dir := b.TempDir()
	return &watcher.Watcher{
		Config: watcher.Config{
			File: render.File{Path: filepath.Join(dir, "slave.ini")}, StateFile: filepath.Join(dir, "state.json"),
			Origin: "benchmark", InstanceID: hostCUK, MinServers: 1, Stamp: true,
			Interval: time.Minute, Wait: 55 * time.Second,
		},
		Member: m, Judge: judge, Log: m.Log,
	}
}

func newMember(b *testing.B, k *inProcess) *member.Member {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	api, err := k2hr3.ParseAPI("http://" + k2hr3Name)
	must(b, err)
	client, err := k2hr3.New(k2hr3.Config{API: api, Transport: k, Logger: log})
	must(b, err)
	role, err := k2hr3.ParseRole(roleYRN)
	must(b, err)
	cuk, err := k2hr3.ParseCUK(hostCUK)
	must(b, err)
	return &member.Member{Client: client, Role: role, Resource: role.Resource(), CUK: cuk, Log: log,
		FullName:  func(context.Context) (string, bool) { return "", false },
		Address:   func(context.Context) (netip.Addr, error) { return netip.MustParseAddr(hostAddr), nil },
		TokenFile: func() string { return "" }}
}

// inProcess is a K2HR3 without a network, for one caller at a time.
type inProcess struct {
	body, etag string
	n          int
	answered   time.Time // when the last byte of the last text was taken
}

func (k *inProcess) set(text string) {
	k.n++
	k.etag = fmt.Sprintf(`W/"%x-benchmark"`, k.n)
	k.body = fmt.Sprintf(`{"result":true,"message":null,"resource":%q}`, text)
}

func (k *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusNoContent, ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: http.NoBody}
	switch {
	case r.Method == http.MethodHead:
	case r.Header.Get("If-None-Match") == k.etag:
		resp.StatusCode = http.StatusNotModified
		resp.Header = http.Header{"Etag": {k.etag}}
	default:
		resp.StatusCode = http.StatusOK
		resp.Header = http.Header{"Etag": {k.etag}, "Content-Type": {"application/json; charset=utf-8"}}
		resp.ContentLength = int64(len(k.body))
		resp.Body = io.NopCloser(&timed{strings.NewReader(k.body), &k.answered})
	}
	return resp, nil
}

// timed notes when its end is reached.
type timed struct {
	io.Reader
	at *time.Time
}

func (r *timed) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		*r.at = time.Now()
	}
	return n, err
}
