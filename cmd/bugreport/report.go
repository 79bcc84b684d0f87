package bugreport

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Source is one piece of a report, and how to get it.
type Source struct {
	Name string // the file's within the archive
	What string // for the manifest
	// Get returns the piece, or why there is none. With both, the piece is what there is of it.
	Get func(context.Context) ([]byte, error)
}

// Report is what goes into an archive.
type Report struct {
	Sources []Source
	// Secrets are what must not be in it.
	Secrets Secrets
	// Masks, which may be nil, are applied to every piece besides.
	Masks *Masks
	Now   time.Time
}

// maxPiece bounds a piece, in bytes; the end of what is larger is left out.
const maxPiece = 4 << 20

// pieceLimit is how long a piece may take. What programs are asked for has limits of its own.
const pieceLimit = 30 * time.Second

// folder is what the archive unpacks to.
const folder = "k2hdkc-slave-agent-bugreport/"

// Write collects the pieces and writes the archive, a tar.gz. The error is that of w, or ctx's.
func (r Report) Write(ctx context.Context, w io.Writer) error {
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	var manifest bytes.Buffer
	fmt.Fprintf(&manifest, "made %s\n\nPiece, and whether it is here or why not:\n\n", r.Now.UTC().Format(time.RFC3339))
	for _, s := range r.Sources {
		b, err := s.get(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b, removed, errSecret := r.clean(b)
		if errSecret != nil {
			b, err = nil, errSecret
		}
		line := fmt.Sprintf("%s (%s): %s", s.Name, s.What, state(len(b), removed, err))
		if said, _, wrong := r.clean([]byte(line)); wrong == nil {
			line = string(said)
		} else {
			line = s.Name + ": left out"
		}
		fmt.Fprintln(&manifest, strings.ReplaceAll(strings.TrimSpace(line), "\n", "; "))
		if len(b) == 0 {
			continue
		}
		if err := r.add(archive, s.Name, b); err != nil {
			return err
		}
	}
	if err := r.add(archive, "MANIFEST", manifest.Bytes()); err != nil {
		return err
	}
	return errors.Join(archive.Close(), packed.Close())
}

// get is Get, which may wait for longer than pieceLimit for something that hangs.
func (s Source) get(ctx context.Context) ([]byte, error) {
	type piece struct {
		b   []byte
		err error
	}
	got := make(chan piece, 1)
	go func() {
		b, err := s.Get(ctx)
		got <- piece{b, err}
	}()
	select {
	case p := <-got:
		return p.b, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(pieceLimit):
		return nil, fmt.Errorf("no answer within %v: a file that it is in hangs", pieceLimit)
	}
}

func state(size, removed int, err error) string {
	text := "included"
	switch {
	case size == 0 && err == nil:
		return "empty"
	case size == 0:
		return "not here: " + err.Error()
	case err != nil:
		text = "included in part: " + err.Error()
	}
	if removed > 0 {
		text += fmt.Sprintf("; secrets were removed from it in %d places", removed)
	}
	return text
}

// clean removes secrets, and the names that are to be masked. The error says that secrets are left.
func (r Report) clean(b []byte) (cleaned []byte, removed int, err error) {
	if len(b) > maxPiece {
		b = append(bytes.Clone(b[:maxPiece]), "\n(cut off here)\n"...)
	}
	text, removed := r.Secrets.Remove(strings.ToValidUTF8(string(b), "?"))
	if r.Masks != nil {
		text = r.Masks.Apply(text)
	}
	if r.Secrets.In(text) {
		return nil, 0, errors.New("it holds a secret that cannot be taken out of it")
	}
	return []byte(text), removed, nil
}

func (r Report) add(archive *tar.Writer, name string, b []byte) error {
	err := archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: folder + name, Mode: 0o600, Size: int64(len(b)), ModTime: r.Now.Truncate(time.Second),
	})
	if err == nil {
		_, err = archive.Write(b)
	}
	return err
}

// Save writes the archive to a new file that only its owner may read. What is there already is
// left alone and an error; a file that is not whole is removed.
func (r Report) Save(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and a bug report replaces nothing: name another file", path)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(path)
		}
	}()
	return errors.Join(r.Write(ctx, f), f.Close())
}
