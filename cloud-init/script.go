package cloudinit

import (
	_ "embed"
	"fmt"
	"strings"
)

// settleText is the script that both formats end with: it installs what is
// missing, starts the units and reports.
//
//go:embed settle.sh
var settleText string

// settleScript fills in the text without text/template, which would make the
// program a fifth larger.
func (u UserData) settleScript() string {
	unit, active, runs := "", "", ""
	if u.Unit != "" {
		runs = ", and chmpx runs"
		unit = " " + shellQuote(u.Unit)
		active = " && systemctl --quiet is-active" + unit
	}
	fill := strings.NewReplacer("{{packages}}", strings.Join(packages, " "), "{{unit}}", unit, "{{and unit active}}", active, "{{and runs}}", runs,
		"{{more}}", u.more(), "{{ring}}", u.ring())
	return "set -eu\n" + fill.Replace(settleText)
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
	say "check: not OK yet: no key can be set, read and deleted through the ring; k2hdkc-slave-agent doctor --write-test says why"
	exit 0
fi
`

// Script writes the user data as a shell script for root, which may run again
// without harm. An error says why no VM could use it.
func (u UserData) Script() (string, error) {
	apt, yum, err := u.families()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	u.writeHead(&b)
	b.WriteString(scriptHead)
	for _, f := range u.files() {
		here(&b, "", f, false)
	}
	if len(u.Repos) > 0 {
		b.WriteString("\nif command -v apt-get >/dev/null; then\n")
		u.writeApt(&b, apt)
		b.WriteString("else\n")
		u.writeYum(&b, yum)
		b.WriteString("fi\n")
	}
	b.WriteString("\n" + strings.TrimPrefix(u.settleScript(), "set -eu\n"))
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

const otherFamily = "\techo \"k2hdkc-slave-agent: this user data is for an image with %s\" >&2\n\texit 1\n"

func (u UserData) writeApt(b *strings.Builder, served bool) {
	if !served {
		fmt.Fprintf(b, otherFamily, "dnf or yum")
		return
	}
	for _, r := range u.Repos {
		release := strings.Contains(r.apt, "$RELEASE") // the only thing in it that a shell replaces
		if release {
			b.WriteString("\tRELEASE=$(. /etc/os-release && echo \"${VERSION_CODENAME:?this release has no name}\")\n")
		}
		here(b, "\t", File{Path: r.aptFile(), Mode: Public, Text: r.aptLine() + "\n"}, release)
	}
}

func (u UserData) writeYum(b *strings.Builder, served bool) {
	if !served {
		fmt.Fprintf(b, otherFamily, "apt")
		return
	}
	for _, r := range u.Repos {
		here(b, "\t", File{Path: r.yumFile(), Mode: Public, Text: r.yumText()}, false)
	}
}

// here writes a command that writes a file from a here-document.
func here(b *strings.Builder, indent string, f File, expand bool) {
	end := "END"
	for strings.Contains("\n"+f.Text, "\n"+end+"\n") {
		end += "_"
	}
	mark := "'" + end + "'"
	if expand {
		mark = end
	}
	fmt.Fprintf(b, "%sput %s %s <<%s\n%s%s\n", indent, octal(f.Mode), shellQuote(f.Path), mark, f.Text, end)
}

func (r Repository) yumText() string {
	gpgcheck := 0
	if r.signedPackages {
		gpgcheck = 1
	}
	return fmt.Sprintf("[%s]\nname=%s\nbaseurl=%s\nenabled=1\ngpgcheck=%d\nrepo_gpgcheck=1\ngpgkey=file://%s\n",
		r.name, r.title(), r.yum, gpgcheck, r.keyPath())
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
