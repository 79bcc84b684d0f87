package lifecycle

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/tests/fatal"
)

// touch sends a path each tenth of a second, until ctx ends.
func touch(ctx context.Context, touched chan<- string, times int) {
	for range times {
		select {
		case touched <- "k2hr3-api-uri":
			time.Sleep(100 * time.Millisecond)
		case <-ctx.Done():
			return
		}
	}
}

func TestAnInputThatIsTouchedAllTheTimeKeepsNobodyWaiting(t *testing.T) {
	const poll = 650 * time.Millisecond
	for name, tt := range map[string]struct {
		times int
		takes time.Duration
		signs int // of life
	}{
		"one write":        {1, quiet, 1},
		"several files":    {5, 400*time.Millisecond + quiet, 2},
		"for ever":         {1 << 20, longest, 4},
		"nothing happened": {0, poll, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := Daemon{Manager: service.NewManager(), Folders: service.NewFolders(), status: newPublisher("", nil)}
				signs := 0
				d.status.dir, d.status.out.Send = "run", func(notice) { signs++ }
				began, touched := time.Now(), make(chan string)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go touch(ctx, touched, tt.times)
				_, err := d.awaitChange(ctx, slog.New(slog.DiscardHandler), touched, poll)
				synctest.Wait()
				if took := time.Since(began); err != nil || took != tt.takes {
					t.Errorf("takes it up after %v, want %v; %v", took, tt.takes, err)
				}
				if signs != tt.signs {
					t.Errorf("%d signs of life in %v, want %d", signs, tt.takes, tt.signs)
				}
			})
		})
	}
}

func TestAChangeIsTakenUpWhileAnotherInputIsTouchedAllTheTime(t *testing.T) {
	l := newLife(t)
	l.write("token", "x")
	l.configure("role-token-file = " + l.path("token") + "\ninterval = 1m\n")
	end := l.run()
	l.begins(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			now := time.Now()
			err = os.Chtimes(l.path("token"), now, now)
			time.Sleep(20 * time.Millisecond)
		}
		done <- err
	}()
	l.configure("role-token-file = " + l.path("token") + "\ninterval = 2m\n")
	l.begins(2 * time.Minute)
	stop()
	if err := <-done; err != nil && !errors.Is(err, fs.ErrNotExist) {
		fatal.If(t, err)
	}
	end()
}
