package options

import (
	"errors"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// RequireK2HR3 reports what is missing or wrong for verbs that talk to K2HR3: they need its address
// and a role, and what follows from that.
func (o *Options) RequireK2HR3() error {
	var missing []error
	for _, key := range []string{"api-uri", "role", "resource"} {
		if err := o.deferred[key]; err != nil {
			missing = append(missing, err)
		}
	}
	return errors.Join(missing...)
}

// parsed makes a setter of a parser.
func parsed[T any](parse func(string) (T, error), field func(*Options) *T) func(*Options, string) error {
	return func(o *Options, value string) error {
		v, err := parse(value)
		if err == nil {
			*field(o) = v
		}
		return err
	}
}

func setTag(o *Options, value string) error {
	o.Tag = value
	return k2hr3.CheckTag(value)
}
