// Package unitfile reads the files of a systemd unit as systemd will read them,
// for programs that cannot ask it: generators run before it has read them, and a
// package's scripts also run where there is no systemd, in the making of an image.
//
// It knows the folders of administrators and packages, drop-ins, masks and
// templates; not what systemd writes itself (`systemctl set-property`) nor drop-ins
// for many units at once ("service.d").
package unitfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"k2hdkc-slave-agent/render/regularfile"
)

// folders are where systemd looks for units, the strongest first.
var folders = [...]string{
	"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system",
}

// Unit is what the files of one unit say. The zero Unit is one without a file.
type Unit struct {
	name     string
	files    []string
	settings []*unit.UnitOption
}

// Has tells whether a file, by its path, is one of the unit's that count.
func (u Unit) Has(file string) bool { return slices.Contains(u.files, file) }

// Read reads the files of a unit, such as "chmpx.service" or "chmpx@a.service".
// One that there is no file of, or that is masked, is an empty Unit and no error.
// With an error comes what can be read.
func Read(files fs.FS, name string) (Unit, error) { return ReadWith(files, name, DropIn{}) }

// DropIn is a drop-in of a unit by its name, such as "51-more.conf".
type DropIn struct{ Name, Text string }

// ReadWith is Read for a unit that has one drop-in more, which a generator writes. One of the same
// name in another folder counts instead.
func ReadWith(files fs.FS, name string, more DropIn) (Unit, error) {
	names := []string{name}
	if template, _, ok := strings.Cut(name, "@"); ok {
		names = append(names, template+"@"+path.Ext(name))
	}
	u := Unit{name: name}
	var problems []error
	found := dropIns(files, names)
	if _, hidden := found[more.Name]; more.Name != "" && !hidden {
		found[more.Name] = "" // its text is at hand
	}
	list := mainFile(files, names)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[name])
	}
	for _, file := range list {
		settings, err := unit.DeserializeOptions(strings.NewReader(more.Text))
		if file != "" {
			settings, err = parse(files, file)
			u.files = append(u.files, "/"+file)
		}
		u.settings = append(u.settings, settings...)
		if err != nil {
			problems = append(problems, fmt.Errorf("/%s: %w", file, err))
		}
	}
	return u, errors.Join(problems...)
}

// mainFile is the unit's own file, at most one.
func mainFile(files fs.FS, names []string) []string {
	for _, name := range names {
		for _, folder := range folders {
			if file := path.Join(folder, name); exists(files, file) {
				return []string{file}
			}
		}
	}
	return nil
}

func exists(files fs.FS, name string) bool {
	_, err := fs.Stat(files, name)
	return err == nil
}

// dropIns are the unit's drop-ins by their names. Of those with one name the one in
// the strongest folder counts.
func dropIns(files fs.FS, names []string) (found map[string]string) {
	found = map[string]string{}
	for _, folder := range folders {
		for _, name := range names {
			dir := path.Join(folder, name+".d")
			_ = regularfile.EachName(files, dir, func(file string) bool { // the error: there are none
				if _, hidden := found[file]; !hidden && path.Ext(file) == ".conf" {
					found[file] = path.Join(dir, file)
				}
				return true
			})
		}
	}
	return found
}

// parse reads one file. A mask, which is a link to /dev/null, says nothing.
func parse(files fs.FS, name string) ([]*unit.UnitOption, error) {
	text, err := regularfile.ReadFS(files, name, regularfile.Small)
	if errors.Is(err, regularfile.ErrNotRegular) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	settings, err := unit.DeserializeOptions(bytes.NewReader(text))
	for _, s := range settings {
		s.Value = strings.TrimSpace(strings.ReplaceAll(s.Value, "\\\n", " ")) // goes on in the next line
	}
	return settings, err
}

// Value returns a setting that has one value, the last that is given: for example
// of "User" in [Service]. It is empty where none is.
func (u Unit) Value(key string) string {
	value := ""
	for _, s := range u.settings {
		if s.Section == "Service" && s.Name == key {
			value = s.Value
		}
	}
	return value
}

// List returns the values of a setting of [Service] that may be given again and
// again. An empty one takes back those before it.
func (u Unit) List(key string) []string {
	var list []string
	for _, s := range u.settings {
		switch {
		case s.Section != "Service" || s.Name != key:
		case s.Value == "":
			list = nil
		default:
			list = append(list, s.Value)
		}
	}
	return list
}

// Plain tells whether a unit reads a path as it is, without quotes or escapes.
func Plain(path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("/._@:+-", r)
	})
}
