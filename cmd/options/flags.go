package options

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// parseFlags reads the command line after the verb. Its error is ErrHelp or a *UsageError.
func (o *Options) parseFlags(v Verb, args []string) (map[string]Setting, error) {
	if wantsHelp(args) {
		return nil, ErrHelp
	}
	found := map[string]Setting{}
	set := v.flagSet()
	err := set.ParseAll(args, func(f *pflag.Flag, value string) error {
		if slices.ContainsFunc(v.Switches, func(s Switch) bool { return s.Name == f.Name }) {
			return o.setSwitch(f.Name, value)
		}
		opt := v.lookup(f.Name)
		if name, isFlag := strings.CutPrefix(value, "--"); isFlag && set.Lookup(name) != nil {
			return needsValue(opt)
		}
		if before, given := found[opt.Key]; given && opt.Many {
			value = before.Text + " " + value
		}
		found[opt.Key] = Setting{Option: opt, Text: value, Source: Source{Kind: FromFlag, Name: opt.Flag()}}
		return nil
	})
	if errors.Is(err, pflag.ErrHelp) {
		return nil, ErrHelp
	}
	if err == nil {
		o.Args = set.Args()
		err = v.checkArgs(o.Args)
	}
	if err == nil {
		err = v.checkApart(o.Switches)
	}
	if err != nil {
		return nil, &UsageError{Err: v.explain(err, set), Help: v.helpCommand()}
	}
	return found, nil
}

// wantsHelp is true of --help anywhere: whoever asks for help gets it, whatever else is wrong.
func wantsHelp(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "-h") || slices.Contains(args, "--help")
}

func (v Verb) helpCommand() string { return Program + " " + v.Name + " --help" }

// lookup finds the option of a flag of the verb.
func (v Verb) lookup(name string) Option {
	if i := slices.IndexFunc(v.Flags, func(o Option) bool { return o.Key == name }); i >= 0 {
		return v.Flags[i]
	}
	return lookup(name)
}

// flagSet has a flag for each option, if the verb takes options, and for each flag and switch of
// the verb.
func (v Verb) flagSet() *pflag.FlagSet {
	set := pflag.NewFlagSet(v.Name, pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	if len(v.Sections) > 0 {
		for _, opt := range Table() {
			set.String(opt.Key, opt.Default, opt.Help)
		}
	}
	for _, opt := range v.Flags {
		set.String(opt.Key, opt.Default, opt.Help)
	}
	for _, s := range v.Switches {
		set.Bool(s.Name, false, s.Help)
	}
	return set
}

func (o *Options) setSwitch(name, value string) error {
	var on bool
	if err := boolean(func(*Options) *bool { return &on })(nil, value); err != nil {
		return fmt.Errorf("flag --%s: %w", name, err)
	}
	o.Switches[name] = on
	return nil
}

func (v Verb) checkArgs(args []string) error {
	switch {
	case v.Args == "" && len(args) > 0:
		return fmt.Errorf("unexpected argument %s: %s takes none", k2hr3.Quote(args[0]), v.Name)
	case len(args) > 1:
		return fmt.Errorf("unexpected argument %s: %s takes one, %s", k2hr3.Quote(args[1]), v.Name, v.Args)
	}
	return nil
}

// checkApart returns an error if switches are given that exclude each other.
func (v Verb) checkApart(given map[string]bool) error {
	for _, names := range v.Apart {
		var together []string
		for _, name := range names {
			if given[name] {
				together = append(together, "--"+name)
			}
		}
		if len(together) > 1 {
			return fmt.Errorf("%s do not go together: give one of them", strings.Join(together, " and "))
		}
	}
	return nil
}

func needsValue(opt Option) error {
	return fmt.Errorf("flag %s needs a value: write %s %s", opt.Flag(), opt.Flag(), opt.Placeholder)
}

// explain turns what the flag library says into what to type instead.
func (v Verb) explain(err error, set *pflag.FlagSet) error {
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		return needsValue(v.lookup(missing.GetFlag().Name))
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name, dashes := unknown.GetSpecifiedName(), "--"
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		name, _, _ = strings.Cut(short, "=")
		dashes = "-"
	}
	var known []string
	set.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	hint := suggest(name, known, func(s string) string { return "--" + s })
	if hint == "" && dashes == "-" {
		hint = ": flags have two dashes and are written out, such as --config"
	}
	return fmt.Errorf("unknown flag %s%s%s", dashes, unquoted(name), hint)
}
