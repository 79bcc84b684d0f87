package options

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Program is the name the program is called by.
const Program = "k2hdkc-slave-agent"

// ErrHelp is returned when the command line asks for help.
var ErrHelp = pflag.ErrHelp

// UsageError is returned when the command line is wrong. Such a run ends with exit status 2.
type UsageError struct {
	Err  error
	Help string // the command that shows what may be typed
}

func (e *UsageError) Error() string { return fmt.Sprintf("%v\ntry: %s", e.Err, e.Help) }
func (e *UsageError) Unwrap() error { return e.Err }

func usageErrorf(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...), Help: Program + " help"}
}

// problems collects what is wrong, so that the operator can correct everything in one go.
type problems struct {
	list  []error
	usage bool // at least one of them was typed on the command line
}

func (p *problems) add(err error) {
	if err != nil {
		p.list = append(p.list, err)
	}
}

func (p *problems) addFrom(from Source, key string, err error) {
	if err == nil {
		return
	}
	p.add(from.blame(key, err))
	p.usage = p.usage || from.Kind == FromFlag
}

func (p *problems) err(v Verb) error {
	err := errors.Join(p.list...)
	if err != nil && p.usage {
		return &UsageError{Err: err, Help: v.helpCommand()}
	}
	return err
}

// unquoted writes a name that needs no quotes, unless it is a secret.
func unquoted(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(k2hr3.Quote(name), `"`), `"`)
}
