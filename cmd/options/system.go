package options

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"k2hdkc-slave-agent/render/regularfile"
)

// System is where options come from besides the command line.
type System struct {
	Files   fs.FS    // the file system, from its root on
	Environ []string // NAME=value
	Dir     string   // the working directory; empty: it is not known
}

// ThisSystem is that of this process. It has no working directory if somebody has deleted that,
// which matters to nobody but who names a file by a relative path.
func ThisSystem() System {
	dir, err := os.Getwd()
	if err != nil {
		dir = ""
	}
	return System{Files: regularfile.Dir("/"), Environ: os.Environ(), Dir: dir}
}

// read returns the text of a file named by an absolute path.
func (h System) read(name string) (string, error) {
	data, err := regularfile.ReadFS(h.Files, inFS(name), regularfile.Small)
	if err != nil {
		return "", fileError(name, err)
	}
	if !utf8.Valid(data) {
		return "", fmt.Errorf("%s is not UTF-8 text", name)
	}
	return string(data), nil
}

// exists is also true of a file that cannot be looked at, so that reading it says why.
func (h System) exists(name string) bool {
	_, err := fs.Stat(h.Files, inFS(name))
	return !errors.Is(err, fs.ErrNotExist)
}

func (h System) getenv(name string) string {
	value := ""
	for _, entry := range h.Environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// inFS turns an absolute path into the form fs.FS wants.
func inFS(name string) string {
	if name = strings.TrimPrefix(path.Clean(name), "/"); name != "" {
		return name
	}
	return "."
}

// fileError names the file by its absolute path, once.
func fileError(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("cannot read %s: %w", name, err)
}
