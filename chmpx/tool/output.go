package tool

import (
	"bytes"
	"io"
)

const (
	// maxComplaint bounds what is kept of the standard error, in bytes.
	maxComplaint = 4 << 10
	// keepBuffer is the largest buffer that is kept from one run to the next.
	keepBuffer = 256 << 10
)

// Output is what a program printed. One that is used again keeps its memory,
// unless that is large; the zero value is ready. It must not be copied after use.
type Output struct {
	*streams

	// left is closed when the program has ended that the latest run could not end; nil: there is
	// none. That one may still write to the streams it was given.
	left <-chan struct{}
}

type streams struct{ stdout, stderr bytes.Buffer }

// Bytes is the standard output, up to the limit of the call. It is valid until
// the next run.
func (o *Output) Bytes() []byte {
	if o.streams == nil {
		return nil
	}
	return o.stdout.Bytes()
}

// Complaint is the beginning of the standard error. It is valid until the next
// run.
func (o *Output) Complaint() []byte {
	if o.streams == nil {
		return nil
	}
	return o.stderr.Bytes()
}

// reset makes room for the next run. It returns false while the program of the run before is still
// there.
func (o *Output) reset() bool {
	if o.left != nil {
		select {
		case <-o.left:
			o.left = nil
		default:
			return false
		}
	}
	if o.streams == nil || o.stdout.Cap() > keepBuffer {
		o.streams = new(streams)
	}
	o.stdout.Reset()
	o.stderr.Reset()
	return true
}

// leave leaves the streams to a program that does not end.
func (o *Output) leave(ended <-chan struct{}) { o.streams, o.left = nil, ended }

// bounded collects at most max bytes and discards the rest. It calls over, if set,
// at the first byte too many.
type bounded struct {
	buf  *bytes.Buffer
	max  int
	over func()
}

// ReadFrom saves os/exec a buffer of its own for every run.
func (w *bounded) ReadFrom(r io.Reader) (int64, error) {
	room := int64(w.max - w.buf.Len())
	n, err := w.buf.ReadFrom(io.LimitReader(r, room+1))
	if err != nil || n <= room {
		return n, err
	}
	w.buf.Truncate(w.max)
	if w.over != nil {
		w.over()
	}
	dropped, err := io.Copy(io.Discard, r)
	return n + dropped, err
}

func (w *bounded) Write(b []byte) (int, error) {
	_, err := w.ReadFrom(bytes.NewReader(b))
	return len(b), err
}
