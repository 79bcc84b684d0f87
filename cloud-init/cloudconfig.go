package cloudinit

import (
	"fmt"
	"io/fs"
	"strings"
)

// CloudConfig writes the user data as YAML for cloud-init's modules. An error says
// why no VM could use it.
func (u UserData) CloudConfig() (string, error) {
	apt, yum, err := u.families()
	if err != nil {
		return "", err
	}
	doc := mapping{{"write_files", u.writeFiles()}}
	if len(u.Repos) > 0 && apt {
		doc = append(doc, entry{"apt", mapping{{"sources", u.aptSources()}}})
	}
	if len(u.Repos) > 0 && yum {
		doc = append(doc, entry{"yum_repos", u.yumRepos()})
	}
	var names sequence
	for _, p := range packages {
		names = append(names, p)
	}
	doc = append(doc,
		entry{"package_update", true},
		entry{"packages", names},
		// A list, so that it is a script of its own, whatever else runs.
		entry{"runcmd", sequence{sequence{"sh", "-c", u.settleScript()}}},
	)
	var b strings.Builder
	b.WriteString("#cloud-config\n")
	u.writeHead(&b)
	writeYAML(&b, "", doc)
	return fits(b.String())
}

// writeHead writes comments that say what the text is.
func (u UserData) writeHead(b *strings.Builder) {
	fmt.Fprintf(b, "# Makes a VM a slave node, a member of %q.\n", u.Role)
	b.WriteString("# Printed by k2hdkc-slave-agent user-data. It may contain secrets: do not show it to others.\n")
}

func (u UserData) writeFiles() sequence {
	var list sequence
	for _, f := range u.files() {
		list = append(list, mapping{
			{"path", f.Path}, {"owner", "root:root"}, {"permissions", octal(f.Mode)}, {"content", f.Text},
		})
	}
	return list
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%#o", mode.Perm()) }

func (u UserData) aptSources() mapping {
	var m mapping
	for _, r := range u.Repos {
		// Not appended: on a clone of the VM, cloud-init does it all again.
		m = append(m, entry{r.name, mapping{{"source", r.aptLine()}, {"append", false}}})
	}
	return m
}

func (u UserData) yumRepos() mapping {
	var m mapping
	for _, r := range u.Repos {
		m = append(m, entry{r.name, mapping{
			{"name", r.title()}, {"baseurl", r.yum}, {"enabled", true}, {"gpgcheck", r.signedPackages},
			{"repo_gpgcheck", true}, {"gpgkey", "file://" + r.keyPath()},
		}})
	}
	return m
}
