package options

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// Missing returns the keys of the options that the agent can wait for: those of api-uri, role and
// cuk that nobody has set, and whose files are not there or still empty. What is there and wrong is
// the error.
func (o *Options) Missing() (keys []string, err error) {
	var wrong []error
	api, role := "k2hr3-api-uri", "k2hr3-role-name"
	if o.InPod() {
		api, role = podAPI, podRole
	}
	for _, from := range []struct{ key, file string }{{"api-uri", api}, {"role", role}} {
		err := o.deferred[from.key]
		switch {
		case err == nil:
		case o.awaits(path.Join(o.AntpickaxDir, from.file)):
			keys = append(keys, from.key)
		default:
			wrong = append(wrong, err)
		}
	}
	if _, err := o.ResolveCUK(); err != nil && !(o.InPod() && o.Pod().CanMake()) {
		if o.awaits(o.cukFile()) {
			keys = append(keys, "cuk")
		} else {
			wrong = append(wrong, err)
		}
	}
	return keys, errors.Join(wrong...)
}

// awaits reports whether the file has yet to come, or to be written.
func (o *Options) awaits(name string) bool {
	text, err := o.system.read(name)
	return errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(text) == ""
}
