package cloudinit

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Repository is a signed package repository.
type Repository struct {
	name string
	key  string // public, armoured
	apt  string // URL SUITE COMPONENT..., empty: not for apt
	yum  string // base URL, empty: not for dnf and yum

	// signedPackages: each rpm is signed too, not only the index, which covers
	// them by their checksums.
	signedPackages bool

	// KeyExpires is the end of its key; the zero time: never.
	KeyExpires time.Time
}

// ParseRepository reads what an operator writes: the URL of a repository made by
// packaging/repo, "deb URL SUITE COMPONENT..." or "rpm URL". name is a word
// for its files on the VM; key is the public key it is signed with, armoured, which
// has to be one that VMs take at the time now.
func ParseRepository(name, spec, key string, now time.Time) (Repository, error) {
	key, expires, err := publicKey(key, now)
	if err != nil {
		return Repository{}, err
	}
	r := Repository{name: name, key: key, KeyExpires: expires}
	fields := strings.Fields(spec)
	switch {
	case len(fields) == 1:
		base := strings.TrimRight(fields[0], "/")
		r.apt, r.yum, r.signedPackages = base+"/apt stable main", base+"/yum", true
		err = checkURL(base, plainPath)
	case len(fields) > 1 && fields[0] == "deb":
		r.apt = strings.Join(fields[1:], " ")
		err = checkApt(fields[1:])
	case len(fields) == 2 && fields[0] == "rpm":
		r.yum = fields[1]
		err = checkURL(r.yum, yumPath)
	default:
		err = fmt.Errorf("%.200q is not a repository: give its URL, \"deb URL SUITE COMPONENT...\" or \"rpm URL\"", spec)
	}
	return r, err
}

// An image that was prepared as packaging/README.md says has these files, which are written anew.
func (r Repository) aptFile() string { return "/etc/apt/sources.list.d/" + r.name + ".sources" }

func (r Repository) aptKey() string { return "/etc/apt/keyrings/" + r.name + ".asc" }

func (r Repository) yumFile() string { return "/etc/yum.repos.d/" + r.name + ".repo" }

func (r Repository) yumKey() string { return "/etc/pki/rpm-gpg/RPM-GPG-KEY-" + r.name }

// aptText is in the form that apt 1.1 and newer read.
func (r Repository) aptText() string {
	uri, rest, _ := strings.Cut(r.apt, " ")
	suite, components, _ := strings.Cut(rest, " ")
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\nTypes: deb\nURIs: %s\nSuites: %s\n", r.title(), uri, suite)
	if components != "" {
		fmt.Fprintf(&b, "Components: %s\n", components)
	}
	fmt.Fprintf(&b, "Signed-By: %s\n", r.aptKey())
	return b.String()
}

func (r Repository) yumText() string {
	gpgcheck := 0
	if r.signedPackages {
		gpgcheck = 1
	}
	return fmt.Sprintf("[%s]\nname=%s\nbaseurl=%s\nenabled=1\ngpgcheck=%d\nrepo_gpgcheck=1\ngpgkey=file://%s\n",
		r.name, r.title(), r.yum, gpgcheck, r.yumKey())
}

func (r Repository) title() string { return "Packages of " + r.name }

// A path must not have anything that apt, dnf or cloud-init would replace:
// cloud-init replaces $ in apt's lines and % in yum's.
var (
	plainPath = regexp.MustCompile(`^[A-Za-z0-9._~/+@:-]*$`)
	yumPath   = regexp.MustCompile(`^([A-Za-z0-9._~/+@:-]|\$basearch|\$releasever)*$`)
	aptSuite  = regexp.MustCompile(`^(\$RELEASE|[A-Za-z0-9._~+-][A-Za-z0-9._~+/-]*|/)$`)
	aptWord   = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+$`)
)

func checkURL(s string, path *regexp.Regexp) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		return fmt.Errorf("%.200q is not the URL of a repository: give one like https://HOST/PATH", hideUser(s))
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the repository's URL has scheme %q: a new VM can only use http or https", u.Scheme)
	case u.User != nil:
		return errors.New("the repository's URL has a user name in it, which every user of the VM could read: leave it out, and admit the VMs by their network")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("the repository's URL has a query or fragment: leave it out")
	case !path.MatchString(u.Path) || u.RawPath != "" || strings.Contains(s, "%") || !hostPort.MatchString(u.Host):
		return fmt.Errorf("the repository's URL %.200q has characters that apt, dnf or cloud-init would not take literally: use letters, digits and ._~/+@:- only", s)
	}
	return nil
}

var hostPort = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// hideUser keeps a password out of a message about what is not a URL.
func hideUser(s string) string {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		return "..." + s[i:]
	}
	return s
}

func checkApt(fields []string) error {
	const form = "write \"deb URL SUITE COMPONENT...\""
	if strings.HasPrefix(fields[0], "[") {
		return errors.New("the repository for apt has options in brackets: leave them out; the user data adds signed-by")
	}
	if err := checkURL(fields[0], plainPath); err != nil {
		return err
	}
	if len(fields) < 2 {
		return errors.New("the repository for apt names no suite: " + form)
	}
	suite, components := fields[1], fields[2:]
	flat := strings.HasSuffix(suite, "/")
	switch {
	case !aptSuite.MatchString(suite):
		return fmt.Errorf("the suite %.200q of the repository for apt has characters that no suite has; only $RELEASE is replaced", suite)
	case flat && len(components) > 0:
		return fmt.Errorf("the suite %s ends in /, which means a repository without components: leave them out", suite)
	case !flat && len(components) == 0:
		return errors.New("the repository for apt names no component: " + form)
	}
	for _, c := range components {
		if !aptWord.MatchString(c) {
			return fmt.Errorf("the component %.200q of the repository for apt has characters that no component has", c)
		}
	}
	return nil
}
