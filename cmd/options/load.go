package options

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"strings"

	"k2hdkc-slave-agent/watcher"
)

// Load resolves the options for a verb from the arguments after it and from the system.
//
// It returns ErrHelp if the arguments ask for help, whatever else they contain; a *UsageError if
// something on the command line is wrong; another error if the configuration is. Only RequireK2HR3
// asks whether K2HR3's address and a role are known at all. For a verb that takes no options Load
// reads nothing from the system.
func Load(v Verb, args []string, h System) (*Options, error) {
	o, err := LoadLenient(v, args, h)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// LoadLenient is Load for a caller that has to go by a configuration that may be wrong: besides the
// error it returns the options as far as they are right, nil only if the command line cannot be
// parsed.
func LoadLenient(v Verb, args []string, h System) (*Options, error) {
	p := &problems{}
	o := &Options{system: h, settings: map[string]Setting{}, deferred: map[string]error{}, Switches: map[string]bool{}}
	flags, err := o.parseFlags(v, args)
	if err != nil {
		return nil, err
	}
	if len(v.Sections) == 0 {
		return o, nil
	}
	env := readEnvironment(h, p)
	if name, named := findConfig(flags, env, h); name != "" {
		o.ConfigFile = name
		readConfig(h, name, named, o.settings, p)
	}
	maps.Copy(o.settings, env)
	maps.Copy(o.settings, flags)
	o.apply(v, p)
	o.complete(v, p)
	return o, p.err(v)
}

// readEnvironment finds the variables that are options. One that only looks like an option is a
// misspelling.
func readEnvironment(h System, p *problems) map[string]Setting {
	byName := map[string]Option{}
	var keys []string
	for _, opt := range Table() {
		byName[opt.Env()] = opt
		keys = append(keys, opt.Key)
	}
	found := map[string]Setting{}
	for _, entry := range h.Environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		switch opt, ok := byName[name]; {
		case ok:
			found[opt.Key] = Setting{Option: opt, Text: value, Source: Source{Kind: FromEnvironment, Name: name}}
		case !h.isServiceVariable(name):
			asEnv := func(key string) string { return Option{Key: key}.Env() }
			p.add(fmt.Errorf("environment: %s is not an option%s", name, suggest(strings.TrimPrefix(name, EnvPrefix), keys, asEnv)))
		}
	}
	return found
}

// serviceVariable is a variable that Kubernetes gives every container for each service of its
// namespace: the service's name, in the form of a variable's, and one of these endings.
var serviceVariable = regexp.MustCompile(`^(.+?)_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// isServiceVariable tells whether a variable is about a service called k2hdkc-slave, or about one
// whose name begins so and which the other variables tell of, too.
func (h System) isServiceVariable(name string) bool {
	m := serviceVariable.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	return m[1]+"_" == EnvPrefix || h.getenv(m[1]+"_SERVICE_HOST") != ""
}

// findConfig returns the path of the configuration file, empty if that is not a good path, and
// whether somebody named it.
func findConfig(flags, env map[string]Setting, h System) (name string, named bool) {
	s, ok := flags["config"]
	if !ok {
		s, ok = env["config"]
	}
	if !ok {
		return defaultConfig, false
	}
	var o Options
	if err := s.applyTo(&o, h.Dir); err != nil {
		return "", true // apply reports it
	}
	return o.ConfigFile, true
}

// applyTo parses the setting into o.
func (s Setting) applyTo(o *Options, dir string) error {
	value := strings.TrimSpace(s.Text)
	if err := checkText(value); err != nil {
		return err
	}
	opt := s.Option
	if value == "" && opt.Empty == "" {
		return fmt.Errorf("the value is empty: give one, or remove %s to use the default (%s)", opt.Key, opt.DefaultText())
	}
	isPath := opt.Kind == KindFile || opt.Kind == KindDir || opt.Kind == KindCommand && strings.Contains(value, "/")
	if isPath && value != "" && s.Source.Kind == FromFlag && !path.IsAbs(value) {
		value = path.Join(dir, value)
	}
	return opt.set(o, value)
}

// apply parses every value, given or default. A path on another host has nothing to do with the
// working directory here.
func (o *Options) apply(v Verb, p *problems) {
	for _, opt := range append(Table(), v.Flags...) {
		s, given := o.settings[opt.Key]
		if !given {
			if opt.Default == "" {
				continue
			}
			s = Setting{Option: opt, Text: opt.Default}
		}
		dir := o.system.Dir
		if v.elsewhere && !opt.isHere() {
			dir = ""
		}
		p.addFrom(s.Source, opt.Key, s.applyTo(o, dir))
	}
}

// complete derives what nobody set from other values and from files, and compares values with each
// other.
func (o *Options) complete(v Verb, p *problems) {
	o.findFlavour(v, p)
	if o.InPod() {
		o.fromPod()
	} else {
		o.fromAntpickax("api-uri", "k2hr3-api-uri", "K2HR3's address")
		o.fromAntpickax("role", "k2hr3-role-name", "this host's role")
	}
	if _, given := o.settings["unit"]; !given && o.InPod() {
		o.Unit = "" // no systemd is in a container
	}
	if _, given := o.settings["resource"]; !given {
		o.Resource = o.Role.Resource()
	}
	o.RoleTokenFile, _ = o.FindRoleTokenFile()

	if o.CertFile != "" && o.KeyFile == "" {
		p.addFrom(o.Source("cert-file"), "cert-file", errors.New("a client certificate needs its private key: set key-file too"))
	}
	if o.KeyFile != "" && o.CertFile == "" {
		p.addFrom(o.Source("key-file"), "key-file", errors.New("a private key needs its certificate: set cert-file too"))
	}
	if o.Unit == "" && o.Reload == watcher.ReloadRestart {
		p.addFrom(o.Source("reload"), "reload", fmt.Errorf("restart needs a unit, but unit is empty (%s)", o.Source("unit")))
	}
	if o.Unit == "" && o.RestartUnconfirmed && !o.InPod() { // a pod's chmpx is started again by the kubelet
		p.addFrom(o.Source("restart-unconfirmed"), "restart-unconfirmed", fmt.Errorf("there is nothing to restart, as unit is empty (%s)", o.Source("unit")))
	}
}

// fromAntpickax takes an option that nobody set from a file of K2HR3's own init script. Only verbs
// that talk to K2HR3 care what is wrong with it.
func (o *Options) fromAntpickax(key, file, what string) {
	if _, given := o.settings[key]; given || o.AntpickaxDir == "" || o.deferred[key] != nil {
		return
	}
	opt := lookup(key)
	name := path.Join(o.AntpickaxDir, file)
	text, err := o.system.read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.deferred[key] = fmt.Errorf("%s is not known: set %s under [%s] in %s, or %s, or %s; there is no %s either",
			what, key, opt.Section, o.ConfigFile, opt.Flag(), opt.Env(), name)
		return
	case err != nil:
		o.deferred[key] = fmt.Errorf("%s is not known: %w; set %s to do without that file", what, err, key)
		return
	case strings.TrimSpace(text) == "":
		o.deferred[key] = fmt.Errorf("%s is not known: %s is empty; set %s to do without that file", what, name, key)
		return
	}
	o.found(key, text, Source{Kind: FromFile, Name: name})
}

// found takes an option that nobody set from elsewhere.
func (o *Options) found(key, text string, from Source) {
	s := Setting{Option: lookup(key), Text: strings.TrimSpace(text), Source: from}
	if err := s.applyTo(o, ""); err != nil {
		o.deferred[key] = s.Source.blame(key, err)
		return
	}
	o.settings[key] = s
}
