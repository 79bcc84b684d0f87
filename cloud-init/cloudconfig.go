package cloudinit

import (
	"fmt"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"
)

// cloudConfig is what cloud-init's modules read.
type cloudConfig struct {
	WriteFiles    []writeFile        `yaml:"write_files"`
	Apt           aptConfig          `yaml:"apt,omitempty"`
	YumRepos      map[string]yumRepo `yaml:"yum_repos,omitempty"`
	PackageUpdate bool               `yaml:"package_update"`
	Packages      []string           `yaml:"packages"`
	RunCmd        [][]string         `yaml:"runcmd"`
}

type writeFile struct {
	Path        string `yaml:"path"`
	Owner       string `yaml:"owner"`
	Permissions string `yaml:"permissions"`
	Content     string `yaml:"content"`
}

type aptConfig struct {
	Sources map[string]aptSource `yaml:"sources,omitempty"`
}

type aptSource struct {
	Source string `yaml:"source"`
	Append bool   `yaml:"append"`
}

type yumRepo struct {
	Name         string `yaml:"name"`
	BaseURL      string `yaml:"baseurl"`
	Enabled      bool   `yaml:"enabled"`
	GPGCheck     bool   `yaml:"gpgcheck"`
	RepoGPGCheck bool   `yaml:"repo_gpgcheck"`
	GPGKey       string `yaml:"gpgkey"`
}

// CloudConfig writes the user data as YAML for cloud-init's modules. An error says
// why no VM could use it.
func (u UserData) CloudConfig() (string, error) {
	apt, yum, err := u.families()
	if err != nil {
		return "", err
	}
	doc := cloudConfig{
		WriteFiles:    u.writeFiles(),
		PackageUpdate: true,
		Packages:      packages,
		// A list, so that it is a script of its own, whatever else runs.
		RunCmd: [][]string{{"sh", "-c", u.settleScript()}},
	}
	if apt {
		doc.Apt.Sources = u.aptSources()
	}
	if yum {
		doc.YumRepos = u.yumRepos()
	}
	var b strings.Builder
	b.WriteString("#cloud-config\n")
	u.writeHead(&b)
	if err := writeYAML(&b, doc); err != nil {
		return "", err
	}
	return fits(b.String())
}

func writeYAML(b *strings.Builder, doc any) error {
	e := yaml.NewEncoder(b)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return err
	}
	return e.Close()
}

// writeHead writes comments that say what the text is.
func (u UserData) writeHead(b *strings.Builder) {
	fmt.Fprintf(b, "# Makes a VM a slave node, a member of %q.\n", u.Role)
	b.WriteString("# Printed by k2hdkc-slave-agent user-data. It may contain secrets: do not show it to others.\n")
}

func (u UserData) writeFiles() []writeFile {
	var list []writeFile
	for _, f := range u.files() {
		list = append(list, writeFile{Path: f.Path, Owner: "root:root", Permissions: octal(f.Mode), Content: f.Text})
	}
	return list
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%#o", mode.Perm()) }

func (u UserData) aptSources() map[string]aptSource {
	m := map[string]aptSource{}
	for _, r := range u.Repos {
		// Not appended: on a clone of the VM, cloud-init does it all again.
		m[r.name] = aptSource{Source: r.aptLine(), Append: false}
	}
	return m
}

func (u UserData) yumRepos() map[string]yumRepo {
	m := map[string]yumRepo{}
	for _, r := range u.Repos {
		m[r.name] = yumRepo{
			Name: r.title(), BaseURL: r.yum, Enabled: true, GPGCheck: r.signedPackages,
			RepoGPGCheck: true, GPGKey: "file://" + r.keyPath(),
		}
	}
	return m
}
