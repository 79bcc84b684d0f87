package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
)

// FileName is the document's name within the run-dir.
const FileName = "status.json"

// maxFile bounds the document, in bytes. One of 1,024 server nodes has a quarter of a megabyte.
const maxFile = 8 << 20

var (
	// ErrGarbled says that status.json is not a document.
	ErrGarbled = errors.New("it is not a status of the agent's")
	// ErrOlder says that status.json has a format that this program does not read any more.
	ErrOlder = errors.New("its format is older than this program reads")
)

// JSON returns the document as status.json has it and as `status --json` prints it, in the format
// of this program: lists are there also when they are empty, and a line end is last.
func (d Document) JSON() ([]byte, error) {
	d.Schema = Schema
	d.Conditions = listed(d.Conditions)
	for i := range d.Conditions {
		d.Conditions[i].DependsOn = listed(d.Conditions[i].DependsOn)
	}
	if d.Previous != nil {
		previous := *d.Previous
		previous.DependsOn = listed(previous.DependsOn)
		d.Previous = &previous
	}
	d.Servers, d.Changes = listed(d.Servers), listed(d.Changes)
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// listed returns a copy that is never nil.
func listed[T any](list []T) []T { return append([]T{}, list...) }

// Write replaces status.json in dir, or makes it. Whoever reads it at any moment finds the document
// before or this one.
func Write(dir string, d Document) error {
	b, err := d.JSON()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, FileName)
	if len(b) > maxFile {
		return fmt.Errorf("%s would have %d bytes, more than %d", path, len(b), maxFile)
	}
	return atomicfile.Write(path, b, 0o644)
}

// InPlace tells whether there is a status.json in dir at all.
func InPlace(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, FileName))
	return err == nil && info.Mode().IsRegular()
}

// Read returns the document in dir. Of one that a newer agent wrote it returns what this program
// knows, with the newer Schema. Its errors are fs.ErrNotExist's kind (no agent has run since the
// boot, or it has another run-dir), fs.ErrPermission's, [ErrOlder] or [ErrGarbled], or those of
// render/regularfile.
func Read(dir string) (Document, error) {
	path := filepath.Join(dir, FileName)
	b, err := regularfile.ReadInPlace(path, maxFile)
	if err != nil {
		return Document{}, err
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Document{}, fmt.Errorf("%s: %w: %w", path, ErrGarbled, err)
	}
	version, err := schemaVersion(head.Schema)
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", path, err)
	}
	var d Document
	if err := json.Unmarshal(b, &d); err != nil && version == thisVersion {
		return Document{}, fmt.Errorf("%s: %w: %w", path, ErrGarbled, err)
	}
	return d, nil
}

// Newer reports whether a newer agent than this program has written the document, so that this
// program may not know all that is in it.
func (d Document) Newer() bool {
	version, err := schemaVersion(d.Schema)
	return err == nil && version > thisVersion
}

// schemaPrefix and thisVersion make up Schema.
const (
	schemaPrefix = "k2hdkc-slave-agent/status/v"
	thisVersion  = 1
)

func schemaVersion(schema string) (int, error) {
	digits, ours := strings.CutPrefix(schema, schemaPrefix)
	version, err := strconv.Atoi(digits)
	switch {
	case !ours || err != nil:
		return 0, fmt.Errorf("%w: its schema is %.64q", ErrGarbled, schema)
	case version < thisVersion:
		return 0, fmt.Errorf("%w: its schema is %s", ErrOlder, schema)
	}
	return version, nil
}

// why says in a few words why the document cannot be read.
func why(err error) string {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no " + FileName
	case errors.As(err, &path):
		return "cannot read " + path.Path + ": " + path.Err.Error()
	}
	return "cannot read " + err.Error()
}
