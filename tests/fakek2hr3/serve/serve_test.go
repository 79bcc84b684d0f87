package main

import (
	"bytes"
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

// give gives up at last.
const give = time.Minute

// screen is what the command prints.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns the first match of an expression on the screen.
func (s *screen) await(t *testing.T, expression string) string {
	t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.Now().Add(give); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found := re.FindString(s.String()); found != "" {
			return found
		}
	}
	t.Fatalf("no %s in\n%s", expression, s)
	return ""
}

// begin starts the command; it ends with the test.
func begin(t *testing.T, args ...string) *screen {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	var out, errs screen
	done := make(chan int)
	go func() { done <- command(ctx, append(args, "--listen", "127.0.0.1:0"), &out, &errs) }()
	t.Cleanup(func() {
		end()
		select {
		case status := <-done:
			if status != 0 {
				t.Errorf("status %d: %s", status, &errs)
			}
		case <-time.After(give):
			t.Error("it does not end")
		}
	})
	out.await(t, "Requests, as they are answered:")
	return &out
}

// TestWhatTheGuideSays types each line of it.
func TestWhatTheGuideSays(t *testing.T) {
	need.Programs(t, "sh", "curl", "install")
	s := begin(t)
	tag, dir := "", t.TempDir()
	held := make(chan string, 1)
	typed := func(line string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(line, "/tmp/", dir+"/"))
		cmd.Dir = filepath.Join("..", "..", "..")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	lines := 0
	for line := range strings.Lines(s.String()) {
		line, isCommand := strings.CutPrefix(line, "  ")
		if !isCommand {
			continue
		}
		lines++
		if strings.Contains(line, "go run") && !need.HasAddress() {
			continue // the agent would refuse the file here
		}
		if strings.Contains(line, "...") { // it is held, until the server joins
			line = strings.Replace(line, "...", tag, 1)
			go func() { held <- typed(line) }()
			continue
		}
		if strings.Contains(line, "DELETE") {
			if out := <-held; !strings.Contains(out, "200 OK") || !strings.Contains(out, "Preference-Applied: wait=55") {
				t.Errorf("the held request: %s", out)
			}
		}
		out := typed(line)
		switch {
		case strings.Contains(line, "go run"):
			if !strings.Contains(out, "+NAME                = server-2.orders.example") {
				t.Errorf("%s\n%s", line, out)
			}
		case strings.Contains(line, "-i ") && !strings.Contains(out, "HTTP/1.1 20"), strings.Contains(out, `"result":false`):
			t.Errorf("%s\n%s", line, out)
		}
		if found := regexp.MustCompile(`Etag: (\S+)`).FindStringSubmatch(out); found != nil && strings.Contains(line, "type=string&") {
			tag = found[1]
		}
	}
	if lines != 9 {
		t.Errorf("%d lines to type", lines)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		status int
	}{
		{nil, http.StatusOK},
		{[]string{"--servers", "0", "--hold", "0"}, http.StatusOK},
		{[]string{"--fault", "backend-down"}, http.StatusUnauthorized},
		{[]string{"--fault", "internal-error"}, http.StatusInternalServerError},
		{[]string{"--latency", "10ms"}, http.StatusOK},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			s := begin(t, tt.args...)
			call := regexp.MustCompile(`x-auth-token: (R=\w+)' '(\S+)'`).FindStringSubmatch(s.String())
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, call[2], nil)
			fatal.If(t, err)
			req.Header.Set("x-auth-token", call[1])
			resp, err := http.DefaultClient.Do(req)
			fatal.If(t, err)
			resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			s.await(t, "GET /v1/resource/.*: [0-9]+")
		})
	}
}

func TestAWrongCommandLineIsAnswered(t *testing.T) {
	for args, want := range map[string]string{
		"--port 1": "--listen", "now": `no argument "now"`, "--servers 100": "0 to 99", "--fault gremlins": "backend-down",
		"--latency -1s": "below 0",
	} {
		var out, errs screen
		if status := command(t.Context(), strings.Fields(args), &out, &errs); status != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: status %d: %s", args, status, &errs)
		}
	}
	var out, errs screen
	if status := command(t.Context(), []string{"--help"}, &out, &errs); status != 0 || !strings.Contains(out.String(), "--latency") {
		t.Errorf("--help: status %d: %s", status, &out)
	}
	s := begin(t)
	taken := strings.TrimPrefix(s.await(t, `http://127\.0\.0\.1:\d+`), "http://")
	if status := command(t.Context(), []string{"--listen", taken}, &out, &errs); status != 1 || !strings.Contains(errs.String(), "any free port") {
		t.Errorf("a port that is taken: status %d: %s", status, &errs)
	}
}
