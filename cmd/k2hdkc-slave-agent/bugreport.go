package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"k2hdkc-slave-agent/cmd/bugreport"
	"k2hdkc-slave-agent/cmd/doctor"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/screen"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher"
)

// bugreport packs what a support case needs. A configuration that is wrong belongs to that.
func (p *program) bugreport(ctx context.Context, verb options.Verb, args []string) error {
	o, wrong, err := p.loadLenient(verb, args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", options.Program+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	unit, _ := agentunit.Read(p.system.Files) // as far as it can be read
	r := bugreport.Report{
		Sources: p.pieces(o, wrong, dir),
		Secrets: bugreport.NewSecrets(p.secrets(o, unit)...),
		Now:     time.Now(),
	}
	if o.Switches["anonymize"] {
		r.Masks = p.masks(ctx, o, wrong)
	}
	path := options.Program + r.Now.UTC().Format("-20060102T150405Z") + ".tar.gz"
	if len(o.Args) > 0 {
		path = o.Args[0]
	}
	p.unlimited() // each piece has its own
	if path == "-" {
		return r.Write(ctx, p.stdout)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.system.Dir, path)
	}
	if err := r.Save(ctx, path); err != nil {
		return fmt.Errorf("cannot write the bug report: %w", err)
	}
	_, err = fmt.Fprintln(p.stdout, path)
	return err
}

// pieces are all that may be in a report. dir is a folder of this process's own.
func (p *program) pieces(o *options.Options, wrong error, dir string) []bugreport.Source {
	kept := filepath.Join(o.StateDir, bugreport.KeptDir)
	pieces := []bugreport.Source{
		{Name: "versions", What: "this program, the system, chmpx's packages", Get: versions},
		{Name: "status.json", What: "what the verb status shows", Get: func(ctx context.Context) ([]byte, error) {
			return screen.JSON(p.looker(o, wrong)(ctx))
		}},
		{Name: "doctor.json", What: "what the verb doctor finds", Get: func(ctx context.Context) ([]byte, error) {
			s, done := p.subject(o, wrong, dir)
			defer done()
			ids, err := doctor.Select("")
			if err != nil {
				return nil, err
			}
			return json.MarshalIndent(doctor.Run(ctx, s, ids, func(doctor.Result) {}), "", "  ")
		}},
		{Name: "options", What: "each option, and where its value is from", Get: func(context.Context) ([]byte, error) {
			var b strings.Builder
			for _, s := range o.Settings() {
				fmt.Fprintf(&b, "%s = %s (%s)\n", s.Option.Key, s.Text, s.Source)
			}
			if wrong != nil {
				fmt.Fprintf(&b, "\nwrong: %v\n", wrong)
			}
			return []byte(b.String()), nil
		}},
		{Name: "environment", What: "variables of this command", Get: func(context.Context) ([]byte, error) {
			return []byte(strings.ReplaceAll(bugreport.Environment(p.system.Environ), " ", "\n") + "\n"), nil
		}},
		{Name: "slave.ini", What: "the file in place", Get: func(context.Context) ([]byte, error) {
			return readOutput(o.Output)
		}},
		{Name: "slave.ini.diff", What: "the latest replacements of it", Get: bugreport.Diffs(kept, render.MaxFile, unifiedDiff)},
		{Name: "journal", What: "the latest entries of the agent's unit", Get: bugreport.Journal(agentunit.Name)},
		{Name: "unit", What: "systemctl show of the agent's unit", Get: bugreport.Unit(agentunit.Name)},
	}
	if o.Unit != "" {
		pieces = append(pieces, bugreport.Source{Name: "chmpx-unit", What: "systemctl show of chmpx's unit", Get: bugreport.Unit(o.Unit)})
	}
	return append(pieces, bugreport.Source{Name: "chmpxstatus", What: "what chmpxstatus prints", Get: p.chmpxstatus(o, dir)})
}

// chmpxstatus asks about the chmpx of the file in place, with a copy of that: a reader of the file
// itself would hold up chmpx's reload of the next one.
func (p *program) chmpxstatus(o *options.Options, dir string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		b, err := readOutput(o.Output)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "slave.ini")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return nil, err
		}
		return bugreport.Output(o.StatusCommand, "-conf", file)(ctx)
	}
}

// versions are those of what has to fit together. Where there is no dpkg there is rpm.
func versions(ctx context.Context) ([]byte, error) {
	var b strings.Builder
	_ = writeVersion(&b)
	packages := []string{options.Program, "chmpx", "k2hdkc", "libchmpx1", "libk2hdkc1", "libfullock1", "k2hash", "systemd"}
	for _, command := range [][]string{
		{"uname", "-srm"}, {"systemctl", "--version"},
		append([]string{"dpkg-query", "--show"}, packages...), append([]string{"rpm", "--query"}, packages...),
	} {
		out, _ := bugreport.Output(command[0], command[1:]...)(ctx) // packages that are not installed are an error
		b.Write(out)
	}
	release, err := regularfile.Read("/etc/os-release", regularfile.Small)
	b.Write(release)
	return []byte(b.String()), err
}

// secretName is what the name of a variable with a secret has in it.
var secretName = regexp.MustCompile(`(?i)token|secret|passw|credential|api_?key`)

// secrets are those that this host has, as far as this user may read them.
func (p *program) secrets(o *options.Options, unit agentunit.Agent) (texts []string) {
	files := []string{options.OwnRoleToken, filepath.Join(o.AntpickaxDir, options.AntpickaxRoleToken), o.KeyFile}
	if path, _ := o.FindRoleTokenFile(); path != "" {
		files = append(files, path)
	}
	for _, s := range append(o.Settings(), unit.Options.Settings()...) {
		if strings.HasSuffix(s.Option.Key, "token-file") || s.Option.Key == "key-file" {
			files = append(files, s.Text)
		}
	}
	for _, file := range files {
		if file == "" {
			continue
		}
		b, err := regularfile.Read(file, regularfile.Small)
		if err != nil {
			continue // what this user may not read, its programs cannot print
		}
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			texts = append(texts, line, strings.TrimPrefix(strings.TrimPrefix(line, "R="), "U="))
		}
	}
	for _, environ := range [][]string{p.system.Environ, unit.Environ} {
		texts = append(texts, bugreport.Passwords(environ)...)
		for _, entry := range environ {
			name, value, _ := strings.Cut(entry, "=")
			if secretName.MatchString(name) && !strings.HasPrefix(name, options.EnvPrefix) && !strings.HasPrefix(value, "/") {
				texts = append(texts, value)
			}
		}
	}
	return texts
}

// What names hosts in a configuration of chmpx's.
var (
	nodeName = regexp.MustCompile(`(?mi)^\s*NAME\s*=\s*(\S+)`)
	nodeCUK  = regexp.MustCompile(`(?mi)^\s*(?:SELF)?CUK\s*=\s*(\S+)`)
	nodeSeed = regexp.MustCompile(`(?mi)^\s*(?:CUSTOM_ID_SEED|CONTROL_ENDPOINTS|ENDPOINTS|FORWARD_PEER|REVERSE_PEER)\s*=\s*(\S+)`)
)

// masks are the names and CUKs of this host, of its cluster, and of K2HR3.
func (p *program) masks(ctx context.Context, o *options.Options, wrong error) *bugreport.Masks {
	d := p.looker(o, wrong)(ctx)
	hostname, _ := os.Hostname()
	short, _, _ := strings.Cut(hostname, ".")
	names, cuks := []string{hostname, short, d.Identity.Tag, o.Tag}, []string{d.Identity.CUK, o.CUK.String()}
	if cuk, err := o.ResolveCUK(); err == nil {
		cuks = append(cuks, cuk.String())
	}
	if api, err := url.Parse(o.APIURI.String()); err == nil {
		names = append(names, api.Hostname())
	}
	names = append(names, watcher.Known(stateFile(o)).Tag)
	for _, s := range d.Servers {
		names, cuks = append(names, s.Name), append(cuks, s.CUK)
	}
	inPlace, _ := readOutput(o.Output)
	diffs, _ := bugreport.Diffs(filepath.Join(o.StateDir, bugreport.KeptDir), render.MaxFile, unifiedDiff)(ctx)
	text := string(inPlace) + "\n" + regexp.MustCompile(`(?m)^[-+ ]`).ReplaceAllString(string(diffs), "")
	for _, m := range append(nodeName.FindAllStringSubmatch(text, -1), nodeSeed.FindAllStringSubmatch(text, -1)...) {
		for name := range strings.SplitSeq(m[1], ",") {
			host, _, _ := strings.Cut(name, ":")
			names = append(names, host)
		}
	}
	for _, m := range nodeCUK.FindAllStringSubmatch(text, -1) {
		cuks = append(cuks, m[1])
	}
	return bugreport.NewMasks(names, cuks)
}
