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
// unless that is large; the zero value is ready.
type Output struct {
	stdout, stderr bytes.Buffer
}

// Bytes is the standard output, up to the limit of the call. It is valid until
// the next run.
func (o *Output) Bytes() []byte { return o.stdout.Bytes() }

// Complaint is the beginning of the standard error. It is valid until the next
// run.
func (o *Output) Complaint() []byte { return o.stderr.Bytes() }

func (o *Output) reset() {
	if o.stdout.Cap() > keepBuffer {
		o.stdout = bytes.Buffer{}
	}
	o.stdout.Reset()
	o.stderr.Reset()
}

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
