package options

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
)

// ResolveCUK returns this host's key: as configured, else the content of k2hr3-cuk in antpickax-dir unless that is a
// LeftoverCUK, else of instance-id-file. It reads the files at each call, as cloud-init may write them late. The error names
// the file.
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
	if name := o.antpickaxCUK(); o.host.exists(name) && o.LeftoverCUK() == "" {
		return name
	}
	return o.InstanceIDFile
}

func (o *Options) antpickaxCUK() string { return path.Join(o.AntpickaxDir, "k2hr3-cuk") }

// Identity is a k2hr3-cuk and the instance id that was cloud-init's at the same time.
type Identity struct {
	CUK        string `json:"cuk"`
	InstanceID string `json:"instance-id"`
}

// IdentityFile is where an Identity is kept, as JSON: the agent writes it, see Identity.
func (o *Options) IdentityFile() string { return path.Join(o.StateDir, "identity.json") }

// LeftoverCUK returns the content of k2hr3-cuk if it is the key of another host: of the one that this host is a copy of. K2HR3's
// script writes that file once in the life of an instance, and a copy has the original's until then, while cloud-init has
// written the new instance id already. So k2hr3-cuk is a leftover once IdentityFile says that it belonged to another instance
// id than that of now. Otherwise, and without an IdentityFile, it is empty.
func (o *Options) LeftoverCUK() string {
	now, ok := o.identity()
	if before := o.remembered(); ok && before.CUK == now.CUK && before.InstanceID != now.InstanceID {
		return now.CUK
	}
	return ""
}

// Identity returns what IdentityFile has to contain, and whether it does not yet. A leftover changes nothing in it.
func (o *Options) Identity() (Identity, bool) {
	now, ok := o.identity()
	return now, ok && o.remembered().CUK != now.CUK
}

// identity reports false where k2hr3-cuk is not what counts, or one of the two is not known.
func (o *Options) identity() (Identity, bool) {
	if o.CUK != "" {
		return Identity{}, false
	}
	cuk, id := o.keyIn(o.antpickaxCUK()), o.keyIn(o.InstanceIDFile)
	return Identity{CUK: cuk, InstanceID: id}, cuk != "" && id != ""
}

// keyIn returns the key in a file; empty if there is none that could be used.
func (o *Options) keyIn(name string) string {
	text, err := o.host.read(name)
	if cuk := strings.TrimSpace(text); err == nil && checkCUK(cuk) == nil {
		return cuk
	}
	return ""
}

// remembered returns what is in IdentityFile. One that is broken is as good as none, and written anew.
func (o *Options) remembered() Identity {
	var i Identity
	text, err := o.host.read(o.IdentityFile())
	if err != nil || json.Unmarshal([]byte(text), &i) != nil || i.CUK == "" || i.InstanceID == "" {
		return Identity{}
	}
	return i
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

// Where a role token is looked for.
const (
	OwnRoleToken       = "/etc/k2hdkc/role-token" // an administrator puts it there
	AntpickaxRoleToken = "k2hr3-role-token"       // K2HR3's own init script, in antpickax-dir
)

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
	files := []string{OwnRoleToken, path.Join(o.AntpickaxDir, AntpickaxRoleToken)}
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
