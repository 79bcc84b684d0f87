package cloudinit

import (
	_ "embed"
	"fmt"
	"strings"
)

// The unit of the first boot and the script that it runs: it adds the repositories, installs what
// is missing, starts the units and reports. They are written before anything else is done, so that
// a reboot in the middle loses nothing: cloud-init goes on with nothing that it has begun.
var (
	//go:embed first-boot.sh
	firstBootText string
	//go:embed same-key.sh
	sameKeyText string
	//go:embed first-boot.service
	firstBootUnit string
)

// What the first boot consists of on the VM. The target's drop-in stands for a link in
// multi-user.target.wants, which cloud-init cannot make.
const (
	firstBootName   = "k2hdkc-slave-first-boot.service"
	firstBootPath   = "/etc/k2hdkc/first-boot"
	firstBootUnitAt = "/etc/systemd/system/" + firstBootName
	firstBootWanted = "/etc/systemd/system/multi-user.target.d/50-k2hdkc-slave-first-boot.conf"
)

// firstBoot are the files of the unit.
func (u UserData) firstBoot() ([]File, error) {
	script, err := u.firstBootScript()
	if err != nil {
		return nil, err
	}
	return []File{
		{Path: firstBootPath, Mode: Program, Text: script},
		{Path: firstBootUnitAt, Mode: Public, Text: strings.ReplaceAll(firstBootUnit, "{{script}}", firstBootPath)},
		{Path: firstBootWanted, Mode: Public, Text: "[Unit]\nWants=" + firstBootName + "\n"},
	}, nil
}

// begin starts the unit from cloud-init, which waits for the end of it: it is done when the VM is.
// A power cut after it loses nothing either. An agent that was already in the image may need other
// rights for this configuration, which its unit gets at a reload.
const begin = `echo "k2hdkc-slave-agent: ` + firstBootName + ` goes on with it: journalctl -u ` + firstBootName + `"
sync
rights() { systemctl show --property=DropInPaths k2hdkc-slave-agent.service; }
had=$(rights)
systemctl daemon-reload
[ "$(rights)" = "$had" ] || systemctl --no-block restart k2hdkc-slave-agent.service
systemctl start --wait ` + firstBootName + `
`

// firstBootScript fills in the text without text/template, which would make the
// program a fifth larger.
func (u UserData) firstBootScript() (string, error) {
	repositories, lists, err := u.repositories()
	if err != nil {
		return "", err
	}
	unit, active, runs := "", "", ""
	if u.Unit != "" {
		runs = ", and chmpx runs"
		unit = " " + shellQuote(u.Unit)
		active = " && systemctl --quiet is-active" + unit
	}
	fill := strings.NewReplacer("{{packages}}", strings.Join(packages, " "), "{{unit}}", unit, "{{and unit active}}", active, "{{and runs}}", runs,
		"{{more}}", u.more(), "{{ring}}", u.ring(), "{{repositories}}", repositories, "{{lists}}", lists,
		"{{mine}}", strings.Join([]string{firstBootWanted, firstBootUnitAt, firstBootPath}, " "))
	return fmt.Sprintf(firstBootFrame, u.Role, fill.Replace(firstBootText)), nil
}

// firstBootFrame has a shell read the script whole before it does anything: its file may be
// written anew, and is removed at the end.
const firstBootFrame = `#!/bin/sh
# Makes this host a slave node, a member of %[1]q.
{
set -eu
umask 022
%[2]sexit 0
}
`

// repositories makes them known to apt or dnf; lists are apt's files for them.
func (u UserData) repositories() (script, lists string, err error) {
	apt, yum, err := u.families()
	if err != nil || len(u.Repos) == 0 {
		return "", "", err
	}
	var b strings.Builder
	b.WriteString(family)
	if apt {
		b.WriteString(sameKeyText)
	} else {
		fmt.Fprintf(&b, otherFamily, `[ -z "$apt" ]`, "dnf or yum")
	}
	if !yum {
		fmt.Fprintf(&b, otherFamily, `[ -n "$apt" ]`, "apt")
	}
	for _, r := range u.Repos {
		r.write(&b, apt, yum)
		if apt {
			lists += r.aptFile() + " "
		}
	}
	b.WriteString("\n")
	return b.String(), lists, nil
}

const family = "apt=$(command -v apt-get || :)\n\n"

// Nothing that this host can do would help it.
const otherFamily = "%s || {\n\ttake_away\n\tsay \"this user data is for an image with %s; nothing was done\"\n\texit 1\n}\n"

// write makes the repository known to apt, to dnf and yum, or to the one of both that the image
// has. Its key is in the text once.
func (r Repository) write(b *strings.Builder, apt, yum bool) {
	switch {
	case apt && yum:
		fmt.Fprintf(b, "if [ -n \"$apt\" ]; then key=%s; else key=%s; fi\n", shellQuote(r.aptKey()), shellQuote(r.yumKey()))
		here(b, `put "$key"`, r.key, false)
		b.WriteString("if [ -n \"$apt\" ]; then\n")
		r.writeApt(b, "\t")
		b.WriteString("else\n")
		r.writeYum(b, "\t")
		b.WriteString("fi\n")
	case apt:
		here(b, "put "+shellQuote(r.aptKey()), r.key, false)
		r.writeApt(b, "")
	default:
		here(b, "put "+shellQuote(r.yumKey()), r.key, false)
		r.writeYum(b, "")
	}
}

func (r Repository) writeYum(b *strings.Builder, indent string) {
	here(b, indent+"put "+shellQuote(r.yumFile()), r.yumText(), false)
}

func (r Repository) writeApt(b *strings.Builder, indent string) {
	uri, rest, _ := strings.Cut(r.apt, " ")
	suite, _, _ := strings.Cut(rest, " ")
	release := strings.Contains(suite, "$RELEASE") // the only thing in it that a shell replaces
	if release {
		b.WriteString(indent + "RELEASE=$(. /etc/os-release && echo \"${VERSION_CODENAME:?this release has no name}\")\n")
	}
	// apt reads it as a user of its own.
	b.WriteString(indent + "chmod a+rx /etc/apt/keyrings\n")
	here(b, indent+"put "+shellQuote(r.aptFile()), r.aptText(), release)
	fmt.Fprintf(b, "%ssame_key %s %s \"%s\" %s\n", indent, shellQuote(r.aptFile()), shellQuote(strings.TrimRight(uri, "/")), suite, shellQuote(r.aptKey()))
}

// more installs the packages that a slave is one without, and makes users members.
func (u UserData) more() string {
	var b strings.Builder
	if len(u.Packages) > 0 {
		fmt.Fprintf(&b, moreText, strings.Join(u.Packages, " "))
	}
	for _, user := range u.Users {
		fmt.Fprintf(&b, "usermod -aG %[2]s %[1]s || say \"%[1]s cannot be made a member of %[2]s; later: usermod -aG %[2]s %[1]s\"\n", user, u.Group)
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

const moreText = `# A slave node does without these.
have() { command -v "$1" || dpkg -s "$1" || rpm -q "$1"; }
for package in %s; do
	pause=2
	until have "$package" >/dev/null 2>&1 || install_packages "$package"; do
		if [ "$pause" -gt 16 ]; then
			say "$package cannot be installed"
			break
		fi
		sleep "$pause"
		pause=$((pause * 2))
	done
done
`

// ring is the test of a key of its own, where this user data starts chmpx.
func (u UserData) ring() string {
	if u.Unit == "" {
		return ""
	}
	return ringText
}

const ringText = `pause=5 # the agent restarts a chmpx that lacks servers while no program has joined it
if ! command -v k2hdkclinetool >/dev/null; then
	checked="$checked; no key was tried, since k2hdkclinetool is not installed"
elif await timeout 15 k2hdkc-slave-agent doctor --write-test --only write-test; then
	checked="$checked; a key was set, read and deleted through the ring"
else
	take_away
	say "check: not OK yet: no key can be set, read and deleted through the ring; k2hdkc-slave-agent doctor --write-test says why"
	exit 0
fi
`

// Script writes the user data as a shell script for root, which may run again
// without harm. An error says why no VM could use it.
func (u UserData) Script() (string, error) {
	files, err := u.files()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	u.writeHead(&b)
	b.WriteString(scriptHead)
	for _, f := range files {
		here(&b, "put "+octal(f.Mode)+" "+shellQuote(f.Path), f.Text, false)
	}
	b.WriteString("\n" + begin)
	return fits(b.String())
}

const scriptHead = `set -eu
umask 022

# put writes a file whole.
put() {
	mkdir -p "${2%/*}"
	(umask 077 && cat >"$2.part")
	chmod "$1" "$2.part"
	mv -f "$2.part" "$2"
}

`

// here writes a command whose input, a here-document, is a text.
func here(b *strings.Builder, command, text string, expand bool) {
	end := "END"
	for strings.Contains("\n"+text, "\n"+end+"\n") {
		end += "_"
	}
	mark := "'" + end + "'"
	if expand {
		mark = end
	}
	fmt.Fprintf(b, "%s <<%s\n%s%s\n", command, mark, text, end)
}

// shellQuote writes a word that a shell takes literally.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
