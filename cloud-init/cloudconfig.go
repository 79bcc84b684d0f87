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
	const indent = "      "
	var b strings.Builder
	b.WriteString("#cloud-config\n")
	u.writeHead(&b)
	// None of apt, yum_repos and packages, which cloud-init begins once and never again: the unit
	// does their work, since a reboot in the middle, or one failure, would be the end of it.
	b.WriteString("write_files:\n")
	for _, f := range files {
		fmt.Fprintf(&b, "  - path: %q\n    owner: \"root:root\"\n    permissions: %q\n    content: ", f.Path, octal(f.Mode))
		b.WriteString(yamlText(f.Text, indent))
	}
	// A list in the list, so that it is a script of its own, whatever else runs.
	b.WriteString("runcmd:\n  - - \"sh\"\n    - \"-c\"\n    - " + yamlText(begin, indent))
	return fits(b.String())
}

// writeHead writes comments that say what the text is.
func (u UserData) writeHead(b *strings.Builder) {
	fmt.Fprintf(b, "# Makes a VM a slave node, a member of %q.\n", u.Role)
	b.WriteString("# Printed by k2hdkc-slave-agent user-data. It may contain secrets: do not show it to others.\n")
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%#o", mode.Perm()) }
