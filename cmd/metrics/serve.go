package metrics

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// connLimit is the most that one connection lasts.
	connLimit = 5 * time.Second

	// maxConns is how many connections are served at once. More of them wait.
	maxConns = 8

	// maxRequest is the most that is read of a request, in bytes.
	maxRequest = 16 << 10

	// acceptPause is the pause after a failure to accept, such as for lack of descriptors.
	acceptPause = time.Second
)

// serve answers requests on ln until that is closed. It is no http.Server, which would add 190 KB
// to the program for the one thing that is asked here: each connection gets one answer.
func (m *Metrics) serve(ln net.Listener) {
	slots := make(chan struct{}, maxConns)
	for {
		slots <- struct{}{}
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause)
			<-slots
			continue
		}
		go func() {
			defer func() { <-slots }()
			defer conn.Close()
			m.answer(conn)
		}()
	}
}

// answer answers the request of one connection, or nothing to who sends none.
func (m *Metrics) answer(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(connLimit))
	req, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxRequest)))
	if errors.Is(err, io.EOF) {
		return
	}
	status := http.StatusOK
	var body []byte
	switch {
	case err != nil:
		status, body, req = http.StatusBadRequest, []byte("this is no HTTP request\n"), nil
	case req.URL.Path != "/metrics":
		status, body = http.StatusNotFound, []byte("the metrics are at /metrics\n")
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		status, body = http.StatusMethodNotAllowed, []byte("ask with GET\n")
	default:
		body = m.Text()
	}
	header := http.Header{
		"Content-Type": {"text/plain; version=0.0.4; charset=utf-8"},
		"Date":         {time.Now().UTC().Format(http.TimeFormat)},
	}
	if status == http.StatusMethodNotAllowed {
		header.Set("Allow", "GET, HEAD")
	}
	_ = (&http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: req, Header: header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Close: true,
	}).Write(conn)
}
