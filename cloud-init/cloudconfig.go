package cloudinit

import (
	"fmt"
	"io/fs"
	"strings"
)

// CloudConfig writes the user data as YAML for cloud-init's modules. An error says
// why no VM could use it.
func (u UserData) CloudConfig() (string, error) {
	files, err := u.files()
	if err != nil {
		return "", err
	}
	// None of apt, yum_repos and packages, which cloud-init begins once and never again: the unit
	// does their work, since a reboot in the middle, or one failure, would be the end of it.
	doc := mapping{
		{"write_files", writeFiles(files)},
		// A list, so that it is a script of its own, whatever else runs.
		{"runcmd", sequence{sequence{"sh", "-c", begin}}},
	}
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

func writeFiles(files []File) sequence {
	var list sequence
	for _, f := range files {
		list = append(list, mapping{
			{"path", f.Path}, {"owner", "root:root"}, {"permissions", octal(f.Mode)}, {"content", f.Text},
		})
	}
	return list
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%#o", mode.Perm()) }
