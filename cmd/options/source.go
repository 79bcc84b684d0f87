package options

import "fmt"

// SourceKind is a kind of place a value can come from.
type SourceKind int

// The kinds, from the weakest to the strongest.
const (
	FromDefault     SourceKind = iota
	FromFile                   // a file whose content or presence is the value, e.g. of antpickax-dir
	FromConfig                 // a line of the configuration file
	FromEnvironment            // an environment variable
	FromFlag                   // the command line
)

// Source is the place a value came from.
type Source struct {
	Kind SourceKind
	Name string // flag with its dashes, variable, or path; empty for a default
	Line int    // of the configuration file, from 1
}

// String is what messages call the place: "flag --role", "environment K2HDKC_SLAVE_ROLE",
// "/etc/k2hdkc/slave-agent.ini:7", "/etc/antpickax/k2hr3-role-name" or "default".
func (s Source) String() string {
	switch s.Kind {
	case FromFlag:
		return "flag " + s.Name
	case FromEnvironment:
		return "environment " + s.Name
	case FromConfig:
		return fmt.Sprintf("%s:%d", s.Name, s.Line)
	case FromFile:
		return s.Name
	}
	return "default"
}

// Blame puts the place that the value of an option came from in front of what is wrong with it; nil
// stays nil.
func (o *Options) Blame(key string, err error) error {
	if err == nil {
		return nil
	}
	return o.Source(key).blame(key, err)
}

// blame puts the place in front of what is wrong with the value it gave to key.
func (s Source) blame(key string, err error) error {
	switch s.Kind {
	case FromFlag, FromEnvironment:
		return fmt.Errorf("%s: %w", s, err)
	}
	return fmt.Errorf("%s: %s: %w", s, key, err)
}
