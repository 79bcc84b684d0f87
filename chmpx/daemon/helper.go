package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"k2hdkc-slave-agent/render/regularfile"
)

// The files of chmpx's own service helper, and what it runs chmpx on unless
// they say otherwise (docs/chmpx.md F.5).
const (
	helperProgram  = "chmpx-service-helper"
	helperConf     = "chmpx-service-helper.conf"
	helperOverride = "override.conf"
	helperKey      = "CHMPX_INI_CONF_FILE"
	helperUserKey  = "SUBPROCESS_USER"
	helperDefault  = "chmpx.ini"
)

// RunsHelper tells whether the unit runs chmpx under chmpx's own service helper.
func (s UnitState) RunsHelper() bool { return path.Base(s.Command) == helperProgram }

// CheckHelper returns an error if the unit runs chmpx under chmpx's own service helper and that
// does not run it on file, or may not. dir is the helper's directory.
func (u *Unit) CheckHelper(ctx context.Context, dir, file string) error {
	st, err := u.State(ctx)
	if err != nil || !st.RunsHelper() {
		return nil
	}
	runs, said, err := HelperFile(regularfile.Dir("/"), dir)
	switch {
	case err != nil:
		return fmt.Errorf("%s runs chmpx under chmpx's own service helper, and nothing tells on which file: %w", u.Name, err)
	case runs != file:
		return fmt.Errorf("%s runs chmpx under chmpx's own service helper, on %s (as %s says) and not on %s: name the same file in both places", u.Name, runs, said, file)
	}
	return nil
}

// HelperFile returns the file that chmpx's own service helper runs chmpx on,
// and which of its files says so; dir is the helper's directory, "/etc/antpickax"
// on a host, and files the file system from its root on.
func HelperFile(files fs.FS, dir string) (file, said string, err error) {
	value, said, err := helperSetting(files, dir, helperConf, helperKey)
	if err != nil {
		return "", said, err
	}
	if value == "" {
		value = helperDefault
	}
	return absolute(dir, value), said, nil
}

// HelperUser returns whom chmpx's own service helper runs chmpx as; empty: as root.
func HelperUser(files fs.FS, dir string) (string, error) {
	user, _, err := helperSetting(files, dir, helperConf, helperUserKey)
	return user, err
}

// ResourceHelperFile returns the file that k2hr3-get-resource's helper writes (docs/k2hr3.md F.3).
// dir is the helpers' directory, and role the name of the host's role, whose last part is the
// file's name unless the helper is told another one.
func ResourceHelperFile(files fs.FS, dir, role string) (string, error) {
	const conf = "k2hr3-get-resource-helper.conf"
	folder, _, errFolder := helperSetting(files, dir, conf, "OUTPUT_DIR")
	name, _, errName := helperSetting(files, dir, conf, "OUTPUT_FILE")
	if err := errors.Join(errFolder, errName); err != nil {
		return "", err
	}
	if folder == "" {
		folder = "/etc/antpickax"
	}
	if name == "" {
		name = role[strings.LastIndexAny(role, ":/")+1:]
	}
	return path.Join(folder, name), nil
}

// helperSetting returns a setting of the helper that has conf, empty if it has its default, and
// which file says so. As soon as there is an override.conf, what that does not
// mention has its default, whatever the helper's own file says.
func helperSetting(files fs.FS, dir, conf, name string) (value, said string, err error) {
	override := path.Join(dir, helperOverride)
	value, err = lastValue(files, override, conf+":"+name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		said = path.Join(dir, conf)
		if value, err = lastValue(files, said, name); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	case err == nil:
		said = override
		if other, key, ok := strings.Cut(value, ":"); ok {
			value, err = lastValue(files, absolute(dir, other), key)
		}
	}
	return value, said, err
}

func absolute(dir, file string) string {
	if path.IsAbs(file) {
		return path.Clean(file)
	}
	return path.Join(dir, file)
}

// lastValue returns the last value of a key in a file of lines KEY = value.
func lastValue(files fs.FS, file, key string) (string, error) {
	text, err := regularfile.ReadFS(files, strings.TrimPrefix(file, "/"), regularfile.Small)
	if err != nil {
		return "", err
	}
	value := ""
	for line := range strings.Lines(string(text)) {
		name, v, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(name, "#") && strings.TrimSpace(name) == key {
			value = strings.TrimSpace(v)
		}
	}
	return value, nil
}
