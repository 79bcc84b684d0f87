package options

import (
	"path"

	"k2hdkc-slave-agent/watcher/host"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// ResolveCUK returns this host's key: as configured, else that of Pod or Instance, whose files it
// reads at each call.
func (o *Options) ResolveCUK() (k2hr3.CUK, error) {
	if !o.CUK.IsZero() {
		return o.CUK, nil
	}
	if o.InPod() {
		return o.Pod().CUK()
	}
	return o.Instance().CUK()
}

// cukFile is the file that ResolveCUK reads where no key is configured.
func (o *Options) cukFile() string {
	if o.InPod() {
		return o.Pod().File()
	}
	return o.Instance().File()
}

// Instance tells this host's key where none is configured.
func (o *Options) Instance() host.Instance {
	return host.Instance{
		CUKFile: path.Join(o.AntpickaxDir, "k2hr3-cuk"),
		IDFile:  o.InstanceIDFile,
		Record:  path.Join(o.StateDir, "identity.json"),
		Read:    o.system.read,
	}
}

// Where to look for a role token.
const (
	OwnRoleToken       = "/etc/k2hdkc/role-token" // an administrator puts it there
	AntpickaxRoleToken = "k2hr3-role-token"       // K2HR3's own init script, in antpickax-dir
)

// FindRoleTokenFile returns the file with the role token and who says so, or an empty name if there
// is none: the configured one, else the systemd credential role-token, else /etc/k2hdkc/role-token,
// else k2hr3-role-token in antpickax-dir. It looks again at each call, as the file may come late.
// Options.RoleTokenFile is what it found first.
func (o *Options) FindRoleTokenFile() (string, Source) {
	if s, ok := o.settings["role-token-file"]; ok && s.Source.Kind >= FromConfig {
		return o.RoleTokenFile, s.Source
	}
	for _, name := range o.roleTokenFiles() {
		if o.system.exists(name) {
			return name, Source{Kind: FromFile, Name: name}
		}
	}
	return "", Source{}
}

// roleTokenFiles lists where to look for a role token when none is configured, the best first.
func (o *Options) roleTokenFiles() []string {
	files := []string{OwnRoleToken, path.Join(o.AntpickaxDir, AntpickaxRoleToken)}
	if dir := o.system.getenv("CREDENTIALS_DIRECTORY"); path.IsAbs(dir) {
		files = append([]string{path.Join(dir, "role-token")}, files...)
	}
	return files
}
