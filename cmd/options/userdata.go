package options

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// UserDataFlags are the flags of the verb user-data alone.
type UserDataFlags struct {
	Format           string // cloud-config or script
	Repo             string // as typed; empty: the new VM knows a repository already
	RepoKeyFile      string
	ChmpxRepo        string // as typed; empty: chmpx comes from Repo too
	ChmpxRepoKeyFile string
	Packages         []string // besides the agent and chmpx; none is legal
	AppUsers         []string // become members of app-group
}

func userDataOptions() []Option {
	list := []Option{
		{
			Key: "format", Kind: KindChoice, Choices: []string{"cloud-config", "script"}, Default: "cloud-config",
			Help: "what to print: YAML for cloud-init's modules, or a shell script",
			Long: "What is printed. cloud-config: YAML for cloud-init's own modules. script: a shell script that does the same, for where user data has to be one.",
			set:  choice([]string{"cloud-config", "script"}, func(o *Options, v string) { o.UserData.Format = v }),
		},
		{
			Key: "repo", Kind: KindText, Placeholder: "REPO", DefaultNote: "the VM's image knows the packages",
			Help: "signed package repository: URL, \"deb URL SUITE COMPONENT...\" or \"rpm URL\"",
			Long: "The signed repository that the packages come from. A URL alone is that of a folder made by packaging/repo, with apt and yum in it. " +
				"\"deb URL SUITE COMPONENT...\" is any repository for apt, where SUITE may be $RELEASE, \"rpm URL\" any for dnf and yum, whose URL may hold $basearch and $releasever. " +
				"Both limit the result to images of that family.",
			set: text(func(o *Options) *string { return &o.UserData.Repo }),
		},
		{
			Key: "repo-key-file", Kind: KindFile, Placeholder: "FILE", DefaultNote: "none; needed with repo",
			Help: "the repository's public key, armoured",
			Long: "The public key that the repository is signed with, armoured as gpg --armor --export prints it. It goes into the user data, as nothing that is fetched could vouch for itself.",
			set:  absolute(func(o *Options) *string { return &o.UserData.RepoKeyFile }),
		},
		{
			Key: "chmpx-repo", Kind: KindText, Placeholder: "REPO", DefaultNote: "repo has chmpx too",
			Help: "signed repository of chmpx, if that is another one; written like repo",
			Long: "The signed repository of chmpx, if it is another one than repo; written like that. Of a repository given as \"rpm URL\" only the index has to be signed, which covers the packages by their checksums.",
			set:  text(func(o *Options) *string { return &o.UserData.ChmpxRepo }),
		},
		{
			Key: "chmpx-repo-key-file", Kind: KindFile, Placeholder: "FILE", DefaultNote: "none; needed with chmpx-repo",
			Help: "the public key of chmpx's repository, armoured",
			Long: "The public key that chmpx's repository is signed with, armoured.",
			set:  absolute(func(o *Options) *string { return &o.UserData.ChmpxRepoKeyFile }),
		},
		{
			Key: "packages", Kind: KindText, Placeholder: "NAMES", Default: ServiceAccount, Empty: "none",
			Help: "packages to install besides, separated by blanks; empty: none",
			Long: "Packages that are installed besides the agent and chmpx, separated by blanks or commas: k2hdkc has the tools that read and write keys. A VM that gets the agent and chmpx but not these is a slave all the same, and its console says what is missing.",
			set:  list("package", packageName, func(o *Options) *[]string { return &o.UserData.Packages }),
		},
		{
			Key: "app-user", Kind: KindUser, Placeholder: "NAME", DefaultNote: "nobody", Many: true,
			Help: "user whose programs may join chmpx; may be repeated",
			Long: "A user who becomes a member of app-group, so that its programs may join chmpx. It has to be there when the packages are installed: of the image, of one of the packages, or of another part of the user data. May be given several times.",
			set:  list("user", accountName, func(o *Options) *[]string { return &o.UserData.AppUsers }),
		},
	}
	return inSection("", list)
}

// packageName is one that deb and rpm take, with a version behind = or -.
var packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+:~=-]*$`)

// list sets names that are separated by blanks or commas.
func list(what string, name *regexp.Regexp, field func(*Options) *[]string) func(*Options, string) error {
	return func(o *Options, value string) error {
		*field(o) = nil
		for _, word := range strings.FieldsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == ',' }) {
			if !name.MatchString(word) {
				return fmt.Errorf("%s is not the name of a %s", k2hr3.Quote(word), what)
			}
			*field(o) = append(*field(o), word)
		}
		return nil
	}
}

func text(field func(*Options) *string) func(*Options, string) error {
	return func(o *Options, value string) error {
		*field(o) = value
		return nil
	}
}

// readHere are the options whose files user-data reads on this host, although the options are
// another host's.
var readHere = []string{"role-token-file", "user-token-file", "ca-file", "cert-file", "key-file"}

// isHere reports whether the option's path is one on this host even if the options are another
// host's.
func (o Option) isHere() bool { return o.Section == "" || slices.Contains(readHere, o.Key) }

// Elsewhere writes a configuration file that gives another host these options: those somebody set,
// K2HR3's address and the role. files has the paths that the contents of ca-file, cert-file and
// key-file will have there. It leaves the role token to its default place, and leaves out and
// returns the values that belong to this host.
func (o *Options) Elsewhere(files map[string]string) (text string, left []Setting, err error) {
	var b strings.Builder
	section := ""
	p := &problems{}
	for _, opt := range Table() {
		s, given := o.settings[opt.Key]
		if !given || opt.Section == "" || opt.Key == "role-token-file" {
			continue
		}
		if opt.Key == "cuk" && s.Source.Kind > FromConfig {
			p.addFrom(s.Source, opt.Key, errors.New("every VM has its own, which its cloud-init knows: remove it"))
			continue
		}
		if (opt.Key == "cuk" || opt.Key == "tag") && s.Source.Kind == FromConfig {
			left = append(left, s)
			continue
		}
		line, err := opt.line(o.elsewhere(s, files))
		if err != nil {
			p.addFrom(s.Source, opt.Key, err)
			continue
		}
		if opt.Section != section {
			if section != "" {
				b.WriteString("\n")
			}
			section = opt.Section
			fmt.Fprintf(&b, "[%s]\n", section)
		}
		b.WriteString(line)
	}
	return b.String(), left, p.err(Verb{Name: "user-data"})
}

// elsewhere is the value of a setting on another host.
func (o *Options) elsewhere(s Setting, files map[string]string) string {
	switch s.Option.Key {
	case "api-uri":
		return o.APIURI.String()
	case "role":
		return o.Role.String()
	case "resource":
		return o.Resource.String()
	}
	if path, ok := files[s.Option.Key]; ok {
		return path
	}
	return strings.TrimSpace(s.Text)
}

// line returns the line of a configuration file that gives the option a value, once it has read
// that back.
func (o Option) line(value string) (string, error) {
	for _, written := range []string{value, `"` + value + `"`, "'" + value + "'"} {
		line := strings.TrimRight(o.Key+" = "+written, " ") + "\n"
		c := configFile{found: map[string]Setting{}, problems: &problems{}, options: []Option{o}, section: o.Section, state: inKnownSection}
		c.read(strings.TrimSpace(line))
		if s, ok := c.found[o.Key]; ok && s.Text == value && len(c.problems.list) == 0 {
			return line, nil
		}
	}
	return "", fmt.Errorf("%s cannot be written into a configuration file: a # or ; after a blank would begin a comment there", k2hr3.Quote(value))
}
