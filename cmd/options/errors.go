package options

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
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

// problems collects what is wrong, so that everything can be mended in one go.
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

var (
	tokenLike = regexp.MustCompile(`[0-9A-Fa-f]{64}`)
	// The address of K2HR3's user data is as good as the token in there.
	userDataLike = regexp.MustCompile(`(?i)/v1/(?:user|ext)data/`)
)

// shown quotes a value for a message. A secret that got into the wrong place is not repeated.
func shown(value string) string {
	if userDataLike.MatchString(value) {
		return "the value (not shown, it looks like the address of user data)"
	}
	if tokenLike.MatchString(value) {
		return "the value (not shown, it looks like a token)"
	}
	return fmt.Sprintf("%.200q", value)
}

// unquoted is the same for names that need no quotes.
func unquoted(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(shown(name), `"`), `"`)
}
