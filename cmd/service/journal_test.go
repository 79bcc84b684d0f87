package service

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

// socket is a datagram socket as systemd has them, with a path short enough.
func socket(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	fatal.If(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return listen(t, filepath.Join(dir, "socket"))
}

func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	fatal.If(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// fill has others send until the socket takes no more.
func fill(t *testing.T, conn *net.UnixConn) {
	t.Helper()
	other, err := net.DialUnix("unixgram", nil, conn.LocalAddr().(*net.UnixAddr))
	fatal.If(t, err)
	defer other.Close()
	for err == nil {
		fatal.If(t, other.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = other.Write([]byte("MESSAGE=another service's\n"))
	}
}

// receive returns the next datagram.
func receive(t *testing.T, conn *net.UnixConn) []byte {
	t.Helper()
	b := make([]byte, 256<<10)
	fatal.If(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	n, err := conn.Read(b)
	fatal.If(t, err)
	return b[:n]
}

// fields reads an entry of the journal's native protocol.
func fields(t *testing.T, entry []byte) map[string]string {
	t.Helper()
	list := map[string]string{}
	for len(entry) > 0 {
		line, rest, ok := bytes.Cut(entry, []byte("\n"))
		name, value, short := bytes.Cut(line, []byte("="))
		if !short && ok {
			n := binary.LittleEndian.Uint64(rest)
			value, rest = rest[8:8+n], rest[8+n+1:]
		}
		list[string(name)] = string(value)
		entry = rest
	}
	return list
}

func TestAnEntryOfTheJournal(t *testing.T) {
	conn := socket(t)
	j := &Journal{socket: conn.LocalAddr().String()}
	h := NewJournalHandler(j, slog.LevelInfo, slog.String("role", "another"), slog.String("zone", "east"), slog.String("none", ""))
	log := slog.New(WithHints(h, nil)).With("role", "orders/slave")
	log.Debug("not this")
	log.Warn("cannot do it", "error", errors.New("two\nlines"), "n", 7)
	want := map[string]string{
		"PRIORITY": "4", "SYSLOG_IDENTIFIER": "k2hdkc-slave-agent",
		"MESSAGE":      `cannot do it role=orders/slave error="two\nlines" n=7`,
		"K2HDKC_ERROR": "two\nlines", "K2HDKC_N": "7", "K2HDKC_ROLE": "orders/slave", "K2HDKC_ZONE": "east",
	}
	if diff := cmp.Diff(want, fields(t, receive(t, conn))); diff != "" {
		t.Error(diff)
	}
	log.Info("started")
	if got := fields(t, receive(t, conn)); got["MESSAGE_ID"] != eventIDs["started"] || len(got["MESSAGE_ID"]) != 32 {
		t.Errorf("MESSAGE_ID is %q", got["MESSAGE_ID"])
	}
	log.Error(strings.Repeat("long ", 100_000), "error", errors.New(strings.Repeat("ö", 100_000)))
	got := fields(t, receive(t, conn))
	if n := len(got["MESSAGE"]); n < 1000 || n > maxField+10 || !strings.HasSuffix(got["K2HDKC_ERROR"], "ö…") {
		t.Errorf("%d bytes; the error ends in %q", n, got["K2HDKC_ERROR"][maxField-10:])
	}
}

// A journald that hangs holds up nobody, and gets what there was room for when it goes on.
func TestAJournalThatHangs(t *testing.T) {
	conn := socket(t)
	fill(t, conn)
	b := NewBacklog(&Journal{socket: conn.LocalAddr().String()}, func(to io.Writer, dropped int) error {
		slog.New(NewJournalHandler(to, slog.LevelInfo)).Warn("dropped", "records", dropped)
		return nil
	})
	log := slog.New(NewJournalHandler(b, slog.LevelInfo))
	const records = maxBacklog + 2000
	for i := range records {
		log.Info("record", "number", i)
	}
	if flushed(b, 10*time.Millisecond) {
		t.Fatal("the journal has taken all of it")
	}
	got, dropped := 0, 0
	for got+dropped < records {
		switch f := fields(t, receive(t, conn)); f["MESSAGE"][:7] {
		case "another":
		case "dropped":
			n, err := strconv.Atoi(f["K2HDKC_RECORDS"])
			fatal.If(t, err)
			dropped += n
		default:
			got++
		}
	}
	if got+dropped != records || got < maxBacklog {
		t.Errorf("%d came and %d were dropped of %d", got, dropped, records)
	}
}

func TestAJournalWithANewSocket(t *testing.T) {
	conn := socket(t)
	path := conn.LocalAddr().String()
	j := &Journal{socket: path}
	log := slog.New(NewJournalHandler(j, slog.LevelInfo))
	log.Info("first")
	receive(t, conn)
	conn.Close()
	if _, err := j.Write([]byte("MESSAGE=lost\n")); err == nil {
		t.Error("written to a socket that is gone")
	}
	log.Info("lost too")
	conn = listen(t, path)
	log.Info("second")
	if got := fields(t, receive(t, conn))["MESSAGE"]; got != "second" {
		t.Errorf("got %q", got)
	}
}
