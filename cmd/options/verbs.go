package options

import (
	"fmt"
	"strings"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Verb is what the first word of the command line may be.
type Verb struct {
	Name     string
	Args     string // placeholder of what may follow, e.g. "[FILE]"
	Synopsis string // what it does, one line
	Long     string // the same, for its help and the man page
	Exits    []Exit
	Switches []Switch   // flags of this verb alone, without value
	Apart    [][]string // switches of which at most one may be given
	Flags    []Option   // flags of this verb alone, with value; neither in the environment nor in the configuration file
	Sections []string   // sections of options its help lists; none: it takes no options at all

	elsewhere bool // its options are those of another host, see Options.Elsewhere
}

// Exit is an exit status and when it comes.
type Exit struct {
	Status int
	When   string
}

// Switch is a flag without value that belongs to one verb.
type Switch struct {
	Name string // without dashes
	Help string
}

// ParseVerb takes the verb off the command line (without the program's name) and returns the rest.
// Every error is a *UsageError.
func ParseVerb(args []string) (Verb, []string, error) {
	if len(args) == 0 {
		return Verb{}, nil, usageErrorf("nothing to do: type `%s run` for the daemon", Program)
	}
	name := args[0]
	switch name {
	case "-h", "--help":
		name = "help"
	case "-V", "--version":
		name = "version"
	}
	v, err := LookupVerb(name)
	if err != nil && strings.HasPrefix(name, "-") {
		flag, _, _ := strings.Cut(name, "=")
		err = usageErrorf("the verb comes before %s: type `%s run %s ...`", unquoted(flag), Program, unquoted(flag))
	}
	return v, args[1:], err
}

// LookupVerb finds a verb by its name. The error is a *UsageError.
func LookupVerb(name string) (Verb, error) {
	var names []string
	for _, v := range Verbs() {
		if v.Name == name {
			return v, nil
		}
		names = append(names, v.Name)
	}
	hint := didYouMean(name, names, func(s string) string { return fmt.Sprintf("`%s %s`", Program, s) })
	if hint == "" {
		hint = ": it is one of " + strings.Join(names, ", ")
	}
	return Verb{}, usageErrorf("unknown verb %s%s", k2hr3.Quote(name), hint)
}

// Verbs lists the verbs, in the order of the help.
func Verbs() []Verb {
	done, failed := Exit{0, "done"}, Exit{1, "failed"}
	return []Verb{
		{
			Name:     "run",
			Synopsis: "run the daemon: keep slave.ini and chmpx right until SIGTERM",
			Long: "Registers this host in the role, then keeps the output file and chmpx right until SIGTERM. It stops chmpx only if reload = restart or restart-unconfirmed = yes asks for that, or heal restarts a chmpx that servers refuse. " +
				"The end of the agent never stops chmpx.",
			Exits:    []Exit{{0, "ended by SIGTERM"}, failed},
			Sections: everySection(),
		},
		onceVerb(),
		{
			Name:     "check",
			Args:     "[FILE]",
			Synopsis: "tell what chmpx would do with FILE as a slave on this host",
			Long: "Tells what chmpx would do with FILE as a slave on this host. Without FILE it is the output file, with - standard input. " +
				"The first line is one word: accept (chmpx loads it, starts on it, and it is safe to swap in live), dangerous (chmpx " +
				"starts on it, but is known to break later or on a live reload) or reject (the load fails, or a fresh start does). " +
				"Then follows one finding a line, with its line number, or file for the whole file.",
			Exits:    []Exit{{0, "accept"}, {1, "dangerous, reject, or failed"}},
			Sections: []string{"", "slave", "chmpx", "agent"},
		},
		{
			Name:     "status",
			Synopsis: "tell how the agent, slave.ini and chmpx are",
			Long: "Tells how the agent, slave.ini and chmpx are: the verdict first, then what is wrong, who this host is, K2HR3, the file, chmpx, each server node and the latest changes. " +
				"It reads what the daemon has written into run-dir, adds what can be seen of chmpx and its unit now, and asks nothing of K2HR3. " +
				"It works for every user, with the daemon or without, and also where the configuration cannot be read: name run-dir then if it is not the default.",
			Exits: []Exit{
				{0, "healthy; with --ready: ready; with --watch: ended by Ctrl-C or SIGTERM"},
				{1, "not healthy; with --ready: not ready yet"},
				{3, "the agent does not run (not with --ready)"},
			},
			Switches: []Switch{
				{"json", "print one JSON object, as docs/status.schema.json describes it"},
				{"brief", "print one line"},
				{"ready", "print nothing; the exit status tells whether a good file is in place and, where that can be seen, chmpx runs it and is connected to every server that is up"},
				{"watch", "go on, and show each change, until Ctrl-C or SIGTERM"},
			},
			Apart:    [][]string{{"json", "brief", "ready"}, {"ready", "watch"}},
			Sections: []string{"", "slave", "chmpx", "agent"},
		},
		doctorVerb(),
		bugreportVerb(),
		{
			Name:     "register",
			Synopsis: "make this host a member of the role",
			Long:     "Makes this host a member of the role. Repeating it does no harm.",
			Exits:    []Exit{done, failed},
			Sections: []string{"", "k2hr3", "slave", "agent"},
		},
		{
			Name:     "unregister",
			Synopsis: "take this host out of the role",
			Long: "Takes this host out of the role. Repeating it does no harm. The output file and chmpx stay as they are. " +
				"In a pod (flavour = k8s) it tries for 25 s at most, which fits into the 30 s that Kubernetes gives a pod for its end.",
			Exits:    []Exit{done, failed},
			Sections: []string{"", "k2hr3", "slave", "agent"},
		},
		{
			Name:     "user-data",
			Synopsis: "print cloud-init user data for a new slave VM",
			Long: "Prints cloud-init user data for a new slave VM: it adds the package repository, installs the agent and chmpx, and gives the agent " +
				"the options that are set here and the role token. The options are those of the new VM, and so are paths in them; the contents of role-token-file, ca-file, " +
				"cert-file and key-file become part of the user data. cuk and tag belong to one host: user-data refuses a cuk, and leaves out " +
				"both where the configuration file has them. The user data holds the token, so keep it as you keep that.",
			Exits:     []Exit{done, failed},
			Flags:     userDataOptions(),
			Sections:  everySection(),
			elsewhere: true,
		},
		{Name: "version", Synopsis: "print the version", Exits: []Exit{done}},
		{
			Name:     "help",
			Args:     "[VERB]",
			Synopsis: "print this, or the help of VERB",
			Exits:    []Exit{done},
		},
	}
}

func bugreportVerb() Verb {
	return Verb{
		Name:     "bugreport",
		Args:     "[FILE]",
		Synopsis: "pack what a support case needs into an archive without secrets",
		Long: "Packs status, doctor, options with their sources, slave.ini and its latest replacements, the journal and the state of the units, versions " +
			"and what chmpxstatus prints into FILE, a tar.gz that only its owner may read; without FILE, into a new one in the current folder, whose name it prints; with -, to standard output. " +
			"It replaces no file. MANIFEST in there says what is included, and why something is not. Tokens, passwords and keys of this host are taken out, wherever they are. " +
			"Run it as root: others see less.",
		Exits:    []Exit{{0, "done"}, {1, "failed"}},
		Switches: []Switch{{"anonymize", "replace addresses, host names and CUKs, the same by the same"}},
		Sections: everySection(),
	}
}

func onceVerb() Verb {
	return Verb{
		Name:     "once",
		Synopsis: "do what run does once, then exit",
		Long: "Does one pass of what run does: register if needed, fetch, check, replace the file, see that chmpx runs it. It says what it waits for. " +
			"Where chmpxstatus is installed, chmpx has to run and to show the file within confirm; confirm = 0 does without. " +
			"With --register it tries again for as long as it takes until this host is a member and the first good file is in place, and does not wait for chmpx: for the init container of a pod.",
		Exits: []Exit{{0, "done, or nothing to do"}, {1, "failed"}},
		Switches: []Switch{
			{"register", "try again until this host is a member and the first good file is in place, whether chmpx runs or not"},
			{"dry-run", "print a unified diff of the output file and change nothing, not even the registration"},
		},
		Apart:    [][]string{{"register", "dry-run"}},
		Sections: everySection(),
	}
}
