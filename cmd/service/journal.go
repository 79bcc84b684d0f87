package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/journal"
)

// IsJournal reports whether w is the stream that systemd connected to the journal; JOURNAL_STREAM
// names it by device and inode (systemd.exec(5)).
func IsJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || !journal.Enabled() {
		return false
	}
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// NewJournalHandler returns a handler that writes records of this level and above to w, a [Journal]
// or a Backlog before one: the message with its attributes for those who read, each attribute as a
// field for those who search, and the message's id for those who want to know more (journalctl -x).
// Each record has the common attributes as fields, unless they are empty or it has others of these
// names.
func NewJournalHandler(w io.Writer, level slog.Level, common ...slog.Attr) slog.Handler {
	return &journalHandler{to: w, level: level, common: common}
}

type journalHandler struct {
	to    io.Writer
	level slog.Level
	attrs []slog.Attr
	group string

	common []slog.Attr
	unit   string // the one to show the record with; empty: the journal knows
}

func (h *journalHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	text := strings.Builder{}
	text.WriteString(r.Message)
	var fields bytes.Buffer
	has := map[string]bool{}
	add := func(group string, a slog.Attr) {
		has[group+a.Key] = true
		value := a.Value.Resolve().String()
		fmt.Fprintf(&text, " %s%s=%s", group, a.Key, quoted(value))
		appendField(&fields, fieldName(group+a.Key), value)
	}
	for _, a := range h.attrs {
		add("", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		add(h.group, a)
		return true
	})
	for _, a := range h.common {
		if value := a.Value.Resolve().String(); value != "" && !has[a.Key] {
			appendField(&fields, fieldName(a.Key), value)
		}
	}
	if id := eventIDs[r.Message]; id != "" {
		appendField(&fields, "MESSAGE_ID", id)
	}
	if h.unit != "" {
		appendField(&fields, "OBJECT_SYSTEMD_UNIT", h.unit)
	}
	appendField(&fields, "MESSAGE", text.String())
	appendField(&fields, "PRIORITY", strconv.Itoa(int(priority(r.Level))))
	appendField(&fields, "SYSLOG_IDENTIFIER", identifier)
	_, err := h.to.Write(fields.Bytes())
	return err
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.group += name + "."
	return &next
}

func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	default:
		return journal.PriDebug
	}
}

// fieldName makes an attribute's key one that the journal takes: capitals,
// digits and underscores. The prefix keeps it apart from the journal's own.
func fieldName(key string) string {
	return "K2HDKC_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=\n\t") {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// identifier is what journalctl -t finds the agent by, and not what the program is called by.
const identifier = "k2hdkc-slave-agent"

// maxField bounds a field, in bytes, so that an entry fits into one datagram.
const maxField = 16 << 10

// appendField appends a field as the journal's native protocol has it.
func appendField(b *bytes.Buffer, name, value string) {
	if len(value) > maxField {
		value = strings.ToValidUTF8(value[:maxField], "") + "…"
	}
	b.WriteString(name)
	if strings.Contains(value, "\n") {
		b.WriteByte('\n')
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
	} else {
		b.WriteByte('=')
	}
	b.WriteString(value)
	b.WriteByte('\n')
}

// Journal is systemd's journal as a writer: each Write is an entry in its native protocol. While
// the journal takes none, Write blocks. It is for one goroutine.
//
// The socket is connected, unlike the one that go-systemd has: on that one Go's poller turns a
// journald that hangs into a loop that keeps a processor busy.
type Journal struct {
	socket string
	conn   net.Conn
}

// NewJournal returns the journal of this host.
func NewJournal() *Journal { return &Journal{socket: "/run/systemd/journal/socket"} }

// Write sends an entry. It connects anew where the journal has a new socket.
func (j *Journal) Write(entry []byte) (int, error) {
	if j.conn != nil {
		if n, err := j.conn.Write(entry); err == nil {
			return n, nil
		}
		j.conn.Close()
		j.conn = nil
	}
	// This does not wait: there is no handshake.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: j.socket, Net: "unixgram"})
	if err != nil {
		return 0, err
	}
	j.conn = conn
	return conn.Write(entry)
}
