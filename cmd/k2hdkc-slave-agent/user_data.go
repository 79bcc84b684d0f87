package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	cloudinit "k2hdkc-slave-agent/cloud-init"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// userData prints cloud-init user data for a new VM. It refuses what would not work
// there, while there is somebody to correct it.
func (p *program) userData(o *options.Options) error {
	if err := o.RequireK2HR3(); err != nil {
		return err
	}
	u := cloudinit.UserData{Role: o.Role.String(), Packages: o.UserData.Packages, Users: o.UserData.AppUsers, Group: o.AppGroup}
	if o.Start {
		u.Unit = o.Unit
	}
	var errFiles, errRepos error
	u.Files, errFiles = p.filesForVM(o)
	u.Repos, errRepos = p.repositories(o)
	if err := errors.Join(errFiles, errRepos); err != nil {
		return err
	}
	write := u.CloudConfig
	if o.UserData.Format == "script" {
		write = u.Script
	}
	text, err := write()
	if err != nil {
		return err
	}
	_, err = io.WriteString(p.stdout, text)
	return err
}

// filesForVM are the files a new VM's agent reads, the configuration last.
func (p *program) filesForVM(o *options.Options) ([]cloudinit.File, error) {
	names := map[string]string{}
	if o.CAFile != "" {
		names["ca-file"] = cloudinit.CAPath
	}
	if o.KeyFile != "" {
		names["cert-file"], names["key-file"] = cloudinit.CertPath, cloudinit.KeyPath
	}
	text, left, err := o.Elsewhere(names)
	if err != nil {
		return nil, err
	}
	for _, s := range left {
		p.note("%s (%s) belongs to this host and is left out", s.Option.Key, s.Source)
	}
	token, errToken := p.tokenForVM(o)
	tls, errTLS := tlsForVM(o)
	if err := errors.Join(errToken, errTLS); err != nil {
		return nil, err
	}
	files := append([]cloudinit.File{token}, tls...)
	return append(files, cloudinit.File{Path: cloudinit.ConfigPath, Mode: cloudinit.Public, Text: text}), nil
}

// tokenForVM is the role token, or K2HR3's user data that has one.
func (p *program) tokenForVM(o *options.Options) (cloudinit.File, error) {
	f := cloudinit.File{Path: cloudinit.TokenPath, Mode: cloudinit.Private}
	name, from := o.FindRoleTokenFile()
	if name == "" {
		return f, fmt.Errorf("there is no role token, and a new VM cannot register without one: make one for %s in K2HR3, put it into a file that only you can read, and name the file with --role-token-file", o.Role)
	}
	text, err := readText("role-token-file", name)
	if err != nil {
		return f, err
	}
	if _, _, err = k2hr3.ParseTokenFile(text); err != nil {
		return f, fmt.Errorf("role-token-file %s: %w", name, err)
	}
	if from.Kind == options.FromFile {
		p.note("the role token is this host's, from %s", name)
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		p.note("other users can read the role token: chmod 0600 %s", name)
	}
	f.Text = strings.TrimSpace(text) + "\n"
	return f, nil
}

// tlsForVM are the certificates and the key that the agent needs to talk to
// K2HR3.
func tlsForVM(o *options.Options) (files []cloudinit.File, err error) {
	if o.CAFile != "" {
		text, err := readText("ca-file", o.CAFile)
		if err != nil {
			return nil, err
		}
		if text, err = cloudinit.Certificates(text); err != nil {
			return nil, fmt.Errorf("ca-file %s: %w", o.CAFile, err)
		}
		files = append(files, cloudinit.File{Path: cloudinit.CAPath, Mode: cloudinit.Public, Text: text})
	}
	if o.KeyFile == "" {
		return files, nil
	}
	cert, err1 := readText("cert-file", o.CertFile)
	key, err2 := readText("key-file", o.KeyFile)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if cert, key, err = cloudinit.KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("cert-file %s, key-file %s: %w", o.CertFile, o.KeyFile, err)
	}
	return append(files,
		cloudinit.File{Path: cloudinit.CertPath, Mode: cloudinit.Public, Text: cert},
		cloudinit.File{Path: cloudinit.KeyPath, Mode: cloudinit.Private, Text: key}), nil
}

// aYear is how long the key of a repository should last at least.
const aYear = 365 * 24 * time.Hour

// repositories are where the new VM gets the packages from.
func (p *program) repositories(o *options.Options) ([]cloudinit.Repository, error) {
	u := o.UserData
	var all []cloudinit.Repository
	var errs []error
	for _, r := range []struct{ flag, name, spec, key string }{
		{"repo", "k2hdkc", u.Repo, u.RepoKeyFile},
		{"chmpx-repo", "chmpx", u.ChmpxRepo, u.ChmpxRepoKeyFile},
	} {
		switch {
		case r.spec == "" && r.key == "":
			continue
		case r.spec == "":
			errs = append(errs, fmt.Errorf("--%s-key-file belongs to no repository: give --%s too", r.flag, r.flag))
			continue
		case r.key == "":
			errs = append(errs, fmt.Errorf("--%s needs --%s-key-file, the public key that it is signed with: without it a new VM cannot verify the packages", r.flag, r.flag))
			continue
		}
		key, err := readText(r.flag+"-key-file", r.key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		repo, err := cloudinit.ParseRepository(r.name, r.spec, key, time.Now())
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", r.flag, err))
			continue
		}
		if e := repo.KeyExpires; !e.IsZero() && time.Until(e) < aYear {
			p.note("the key in %s expires on %s: from then on no host installs or upgrades from the repository, unless it has the key with a new date by then", r.key, e.UTC().Format(time.DateOnly))
		}
		all = append(all, repo)
	}
	if u.Repo == "" {
		p.note("without --repo the VM's image has to know a repository that has k2hdkc-slave-agent")
	}
	return all, errors.Join(errs...)
}

// readText reads a small text file that an option names.
func readText(option, name string) (string, error) {
	b, err := regularfile.Read(name, cloudinit.MaxBase64)
	switch {
	case errors.Is(err, regularfile.ErrTooLarge):
		return "", fmt.Errorf("%s: %w, which is all that user data can hold", option, err)
	case err != nil:
		return "", fmt.Errorf("%s: %w", option, err)
	case !utf8.Valid(b):
		return "", fmt.Errorf("%s: %s is not a text file; a key or certificate has to be armoured or PEM", option, name)
	}
	return string(b), nil
}
