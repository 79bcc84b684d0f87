package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/realagent"
)

// scrape asks for the metrics; a socket that is a file begins with a slash.
func scrape(tb testing.TB, address string) string {
	tb.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	resp, err := client.Get("http://agent/metrics")
	must(tb, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(tb, err)
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("status %d: %s", resp.StatusCode, text)
	}
	return string(text)
}

func wantMetrics(tb testing.TB, text string, lines ...string) {
	tb.Helper()
	for _, line := range lines {
		if !regexp.MustCompile("(?m)^k2hdkc_slave_" + line + "$").MatchString(text) {
			tb.Errorf("%s is missing:\n%s", line, text)
		}
	}
}

// listener is an address of the loopback that somebody listens at.
func listener(tb testing.TB) *net.TCPListener {
	tb.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	must(tb, err)
	tb.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

func TestMetricsOutliveReloads(t *testing.T) {
	s := newSite(t, 2)
	h := newHost(t, s)
	socket, textfile := h.path("metrics.sock"), h.path("agent.prom")
	configure := func(listen, interval string) { // by a rename: the agent must not see half of it
		defer func() { must(t, os.Rename(h.path("next.ini"), h.path("slave-agent.ini"))) }()
		write(t, h.path("next.ini"), "[k2hr3]\ninterval = "+interval+"\n[agent]\nmetrics-listen = "+listen+"\nmetrics-textfile = "+textfile+"\n")
	}
	configure("unix:"+socket, "60s")
	p := h.start(s.args()...)
	p.says(realagent.Replaced, "")
	var first string
	until(t, "a status in the metrics", func() bool {
		first = scrape(t, socket)
		return strings.Contains(first, "applied_revision")
	})
	wantMetrics(t, first, `replacements_total 1`, `k2hr3_requests_total\{outcome="ok"\} [1-9][0-9]*`, `build_info\{.*\} 1`, `log_dropped_total 0`,
		`applied_revision 1`, `member 1`, `servers\{state="unseen"\} 2`, `healthy [01]`, `info\{role="`+s.SlaveRole()+`",cuk="`+hostCUK+`"\} 1`,
		`k2hr3_last_success_timestamp_seconds [0-9.e+]+`)

	// A reload, and one to an address that is in use: the socket is the same.
	held := dialUnix(t, socket)
	configure("unix:"+socket, "50s")
	must(t, p.Signal(syscall.SIGHUP))
	p.says("the configuration has changed; the agent uses the new one from now on", "")
	if text := talk(t, held, "GET /metrics HTTP/1.0\r\n\r\n"); !strings.Contains(text, "k2hdkc_slave_replacements_total 1\n") {
		t.Errorf("a connection from before the reload:\n%s", text)
	}
	taken := listener(t)
	configure(taken.Addr().String(), "40s")
	must(t, p.Signal(syscall.SIGHUP))
	p.says("cannot listen for metrics at the new address; the agent goes on as before", "slave-agent.ini:4: metrics-listen")
	wantMetrics(t, scrape(t, socket), `replacements_total 1`)

	// It is free now.
	taken.Close()
	configure(taken.Addr().String(), "30s")
	must(t, p.Signal(syscall.SIGHUP))
	until(t, "the new address", func() bool {
		conn, err := net.Dial("tcp", taken.Addr().String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	wantMetrics(t, scrape(t, taken.Addr().String()), `replacements_total 1`)
	until(t, "the socket of before to go", func() bool {
		_, err := os.Stat(socket)
		return err != nil
	})

	text, err := os.ReadFile(textfile)
	must(t, err)
	wantMetrics(t, string(text), `build_info\{.*\} 1`)
	if info, err := os.Stat(textfile); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	p.end()
	for _, file := range []string{textfile, socket} {
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s outlives the agent", file)
		}
	}
}

func dialUnix(tb testing.TB, path string) net.Conn {
	tb.Helper()
	conn, err := net.Dial("unix", path)
	must(tb, err)
	tb.Cleanup(func() { conn.Close() })
	return conn
}

func talk(tb testing.TB, conn net.Conn, request string) string {
	tb.Helper()
	must(tb, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err := io.WriteString(conn, request)
	must(tb, err)
	text, err := io.ReadAll(bufio.NewReader(conn))
	must(tb, err)
	return string(text)
}

func TestMetricsThatCannotBe(t *testing.T) {
	s := newSite(t, 1)
	h := newHost(t, s)
	taken := listener(t).Addr().String()
	write(t, h.path("file"), "somebody's")
	must(t, os.Symlink(h.path("slave-agent.ini"), h.path("config.prom")))
	for _, tt := range []struct{ key, value, says string }{
		{"metrics-listen", taken, "address already in use"},
		{"metrics-listen", "unix:" + h.path("file"), "address already in use"},
		{"metrics-listen", "unix:" + h.path("instance-id"), "is also the instance id"},
		{"metrics-listen", "unix:" + h.path("state/state.json"), "is also the agent's state"},
		{"metrics-textfile", h.path("config.prom"), "is also the configuration"},
		{"metrics-textfile", h.path("agent.txt"), "does not end in .prom"},
		{"metrics-listen", "localhost", "is no address to listen at"},
	} {
		write(t, h.path("slave-agent.ini"), "\n[agent]\n"+tt.key+" = "+tt.value+"\n")
		got := h.agent(append([]string{"run"}, s.args()...)...)
		if got.status != 1 || !strings.Contains(got.stderr, "slave-agent.ini:3: "+tt.key+": ") || !strings.Contains(got.stderr, tt.says) {
			t.Errorf("%s = %s: %+v", tt.key, tt.value, got)
		}
	}
	if b, err := os.ReadFile(h.path("file")); err != nil || string(b) != "somebody's" {
		t.Errorf("%q, %v", b, err)
	}
}

// systemd hands over the socket, and the number of the process that it is for.
func TestMetricsBySocketThatIsPassed(t *testing.T) {
	s := newSite(t, 1)
	h := newHost(t, s)
	ln := listener(t)
	file, err := ln.File()
	must(t, err)
	sh, err := exec.LookPath("sh")
	must(t, err)
	cmd := h.command(t.Context())
	cmd.Args = append([]string{sh, "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, cmd.Path, "run", "--log-format", "json"}, s.args()...)
	cmd.Path = sh
	cmd.ExtraFiles = []*os.File{file}
	p := h.startCommand(cmd)
	p.says(realagent.Replaced, "")
	must(t, file.Close())
	wantMetrics(t, scrape(t, ln.Addr().String()), `replacements_total 1`)
	p.end()

	f, err := os.Open(filepath.Dir(h.output()))
	must(t, err)
	cmd = h.command(t.Context())
	cmd.Args = append([]string{sh, "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, cmd.Path, "run"}, s.args()...)
	cmd.Path = sh
	cmd.ExtraFiles = []*os.File{f}
	if got := finish(t, cmd, cmd.Start); got.status != 1 || !strings.Contains(got.stderr, "takes no connections") {
		t.Errorf("%+v", got)
	}
}
