package options

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// maxFile is more than any file read here may have: a configuration file of a few kilobytes is
// already long.
const maxFile = 1 << 20

// System is where options come from besides the command line.
type System struct {
	Files   fs.FS    // the file system, from its root on
	Environ []string // NAME=value
	Dir     string   // the working directory
}

// ThisSystem is that of this process.
func ThisSystem() (System, error) {
	dir, err := os.Getwd()
	if err != nil {
		return System{}, fmt.Errorf("find the working directory: %w", err)
	}
	return System{Files: os.DirFS("/"), Environ: os.Environ(), Dir: dir}, nil
}

// read returns the text of a file named by an absolute path.
func (h System) read(name string) (string, error) {
	f, err := h.Files.Open(inFS(name))
	if err != nil {
		return "", fileError(name, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return "", fmt.Errorf("%s is a directory, not a file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return "", fileError(name, err)
	case len(data) > maxFile:
		return "", fmt.Errorf("%s has more than %d bytes: that cannot be right", name, maxFile)
	case !utf8.Valid(data):
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
