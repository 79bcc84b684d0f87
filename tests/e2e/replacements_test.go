package e2e

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/need"
)

// TestManyReplacements replaces the file under a reader that never rests and
// under a chmpx that loads it at each event. The reader must always find one
// whole version, and never an older one than before; chmpx must live, and end up
// with the last.
func TestManyReplacements(t *testing.T) {
	n := 500
	if need.Full() {
		n = 10_000
	}
	v := versions{clusterText(3, 2, hostAddr, hostCUK)}
	f := render.File{Path: filepath.Join(t.TempDir(), "slave.ini")}
	put(t, f, v, 1)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reads := make(chan int)
	go func() { reads <- readAll(ctx, t, f.Path, v) }()
	running := watchFile(t, f.Path)
	reloads := make(chan int)
	go func() { reloads <- running.follow(ctx, t, n) }()

	for i := 2; i <= n; i++ {
		put(t, f, v, i)
	}
	var r int
	select {
	case r = <-reloads: // it runs the last version, or has ended
		stop()
	case <-deadline(t).Done():
		stop()
		r = <-reloads
	}
	if got := <-reads; got < n/10 {
		t.Errorf("only %d reads in %d replacements: this proves little", got, n)
	} else {
		t.Logf("%d replacements, %d whole reads, %d reloads", n, got, r)
	}
	if r < n/100 {
		t.Errorf("only %d reloads in %d replacements", r, n)
	}
	if version, revision, err := v.of(read(t, f.Path), hostCUK); err != nil || version != n || revision != n {
		t.Errorf("ends at version %d, revision %d, %v; want %d", version, revision, err, n)
	}
	if got := names(t, filepath.Dir(f.Path)); !slices.Equal(got, []string{"slave.ini"}) {
		t.Errorf("left %q", got)
	}
}

// put replaces the file by version n, as the agent does.
func put(tb testing.TB, f render.File, v versions, n int) {
	tb.Helper()
	s, err := f.Stage(render.Bytes(v.text(n), render.Values{InstanceID: hostCUK, Revision: n}))
	must(tb, err)
	must(tb, s.Commit())
}

// readAll opens, reads and closes the file as fast as it can, and returns how
// often. A reader that kept it open would keep the news from chmpx.
func readAll(ctx context.Context, t *testing.T, path string, v versions) (reads int) {
	newest := 0
	for ; ctx.Err() == nil; reads++ {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			t.Error("there was no file for a moment")
			return reads
		}
		version, _, err := v.of(string(b), hostCUK)
		if err != nil || version < newest {
			t.Errorf("after version %d: read version %d, %v", newest, version, err)
			return reads
		}
		newest = version
	}
	return reads
}

type watched struct{ *fakechmpx.Watch }

func watchFile(t *testing.T, path string) watched {
	t.Helper()
	w, err := fakechmpx.WatchFile(path, fakechmpx.Host{Names: []string{"localhost", hostAddr}})
	must(t, err)
	t.Cleanup(func() { w.Close() })
	return watched{w}
}

// follow handles events until chmpx runs revision last, and returns how often
// it reloaded.
func (w watched) follow(ctx context.Context, t *testing.T, last int) (reloads int) {
	for {
		e, err := w.Next(ctx)
		if err != nil {
			t.Errorf("chmpx never came to revision %d: %v", last, err)
			return reloads
		}
		switch e.Effect {
		case fakechmpx.Reloaded:
			reloads++
			if e.Config.FileVersion == last {
				return reloads
			}
		case fakechmpx.Unchanged:
		default:
			t.Errorf("chmpx: %s (%v)", e.Effect, e.Err)
			return reloads
		}
	}
}
