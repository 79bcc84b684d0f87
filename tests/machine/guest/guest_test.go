package guest

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func served(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go Serve(l)
	return l.Addr().String()
}

func TestCommandsTellHowTheyEnd(t *testing.T) {
	addr := served(t)
	for _, c := range []struct {
		name   string
		argv   []string
		stdin  string
		want   Result
		failed bool
	}{
		{"output, errors and status", []string{"sh", "-c", "cat; echo no >&2; exit 3"}, "in\n",
			Result{Status: 3, Stdout: []byte("in\n"), Stderr: []byte("no\n")}, false},
		{"a signal", []string{"sh", "-c", "kill -9 $$"}, "", Result{Status: -1}, false},
		{"no such program", []string{"/nowhere/program"}, "", Result{Status: -1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Run(t.Context(), addr, Command{Argv: c.argv, Stdin: []byte(c.stdin)})
			if (err != nil) != c.failed || got.Status != c.want.Status ||
				string(got.Stdout) != string(c.want.Stdout) || string(got.Stderr) != string(c.want.Stderr) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestCommandEndsWithItsCaller(t *testing.T) {
	addr := served(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := Run(ctx, addr, Command{Argv: []string{"sleep", "611.5"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	limit, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		r, err := Run(limit, addr, Command{Argv: []string{"sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(r.Stdout), "sleep 611.5") {
			return
		}
	}
}
