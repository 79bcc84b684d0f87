package options

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
)

// ResolveCUK returns this host's key: as configured, else the content of k2hr3-cuk in antpickax-dir, else of
// instance-id-file. It reads the file at each call, as cloud-init may write it late. The error names the file.
func (o *Options) ResolveCUK() (string, error) {
	if o.CUK != "" {
		return o.CUK, nil
	}
	name := o.cukFile()
	text, err := o.host.read(name)
	if err != nil {
		return "", fmt.Errorf("this host's CUK is not known: %w; set cuk, or instance-id-file if cloud-init writes elsewhere", err)
	}
	cuk := strings.TrimSpace(text)
	if err := checkCUK(cuk); err != nil {
		return "", fmt.Errorf("%s: the CUK in it %w", name, err)
	}
	return cuk, nil
}

func (o *Options) cukFile() string {
	name := path.Join(o.AntpickaxDir, "k2hr3-cuk")
	if o.host.exists(name) {
		return name
	}
	return o.InstanceIDFile
}

// checkCUK refuses a key that would not survive. K2HR3 keeps hosts by "ip port cuk": one with a blank becomes an entry that
// can neither be listed nor removed (spec k2hr3 A.3). Quotes and backslashes are eaten by chmpx (spec chmpx A.5).
func checkCUK(cuk string) error {
	switch {
	case cuk == "":
		return errors.New("is empty")
	case len(cuk) > 255:
		return fmt.Errorf("has %d bytes: it cannot be meant", len(cuk))
	case strings.ContainsFunc(cuk, unicode.IsSpace):
		return errors.New("contains a blank: K2HR3 would register a host that nobody can find or remove")
	case strings.ContainsFunc(cuk, unicode.IsControl):
		return errors.New("contains a control character")
	case strings.ContainsAny(cuk, `'"\`):
		return errors.New("contains a quote or a backslash, which chmpx would not read as written")
	}
	return nil
}

// FindRoleTokenFile returns the file the role token is in and where that was said, or an empty name if there is none:
// as configured, else the systemd credential role-token, else /etc/k2hdkc/role-token, else k2hr3-role-token in
// antpickax-dir. It looks anew at each call, as the file may come late. Options.RoleTokenFile is what it found first.
func (o *Options) FindRoleTokenFile() (string, Source) {
	if s, ok := o.settings["role-token-file"]; ok && s.Source.Kind >= FromConfig {
		return o.RoleTokenFile, s.Source
	}
	for _, name := range o.roleTokenFiles() {
		if o.host.exists(name) {
			return name, Source{Kind: FromFile, Name: name}
		}
	}
	return "", Source{}
}

// roleTokenFiles lists where a role token is looked for when none is configured, the best first.
func (o *Options) roleTokenFiles() []string {
	files := []string{defaultRoleToken, path.Join(o.AntpickaxDir, "k2hr3-role-token")}
	if dir := o.host.getenv("CREDENTIALS_DIRECTORY"); path.IsAbs(dir) {
		files = append([]string{path.Join(dir, "role-token")}, files...)
	}
	return files
}

// Inputs lists the files whose coming, going or change may change the options, or what is read by their name.
func (o *Options) Inputs() []string {
	files := append(o.roleTokenFiles(), o.ConfigFile, o.InstanceIDFile)
	for _, name := range []string{"k2hr3-api-uri", "k2hr3-role-name", "k2hr3-cuk"} {
		files = append(files, path.Join(o.AntpickaxDir, name))
	}
	for _, name := range []string{o.RoleTokenFile, o.CAFile, o.CertFile, o.KeyFile} {
		if name != "" && !slices.Contains(files, name) {
			files = append(files, name)
		}
	}
	return files
}
