package options

import (
	"io/fs"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Kind tells what may be completed for a value.
type Kind string

// The kinds of values.
const (
	KindText     Kind = "text"
	KindFile     Kind = "file"
	KindDir      Kind = "directory"
	KindCommand  Kind = "program"
	KindUnit     Kind = "unit"
	KindUser     Kind = "user"
	KindGroup    Kind = "group"
	KindDuration Kind = "duration"
	KindChoice   Kind = "choice"
)

// Option is one option of the agent.
type Option struct {
	Section     string // of the configuration file; empty: not in the file
	Key         string
	Kind        Kind
	Placeholder string   // of the value, for help; of KindChoice normally the choices
	Choices     []string // of KindChoice
	Default     string   // as it would be written; empty: see DefaultNote
	DefaultNote string   // what happens without a value, where Default alone does not say it
	Many        bool     // the flag may be given several times
	Empty       string   // what an empty value means; without it an empty value is refused
	Help        string   // one line
	Long        string   // more, for the man page

	set func(*Options, string) error
}

// Flag is the option's flag, with its dashes.
func (o Option) Flag() string { return "--" + o.Key }

// Env is the environment variable that sets the option.
func (o Option) Env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(o.Key, "-", "_"))
}

// EnvPrefix is what the names of the variables begin with that set options.
const EnvPrefix = "K2HDKC_SLAVE_"

// Sections lists the sections of the configuration file, in the order of the help.
func Sections() []string { return []string{"k2hr3", "slave", "chmpx", "agent"} }

// everySection is the Sections of a verb that goes by all options.
func everySection() []string { return append([]string{""}, Sections()...) }

// Table lists every option, by section, in the order of the help.
func Table() []Option {
	return slices.Concat(fileOptions(), k2hr3Options(), slaveOptions(), chmpxOptions(), agentOptions())
}

// ServiceAccount is the user that chmpx runs as, and the group of the programs that may join it,
// which the packages make.
const ServiceAccount = "k2hdkc"

const (
	defaultConfig     = "/etc/k2hdkc/slave-agent.ini"
	defaultAntpickax  = "/etc/antpickax"
	defaultInstanceID = "/var/lib/cloud/data/instance-id"
)

func fileOptions() []Option {
	return []Option{{
		Key: "config", Kind: KindFile, Placeholder: "FILE", Default: defaultConfig,
		Help: "configuration file",
		Long: "The configuration file. It may be absent unless it is named here. It cannot name another one.",
		set:  absolute(func(o *Options) *string { return &o.ConfigFile }),
	}}
}

func k2hr3Options() []Option {
	return inSection("k2hr3", slices.Concat(rightOptions(), []Option{
		{
			Key: "ca-file", Kind: KindFile, Placeholder: "FILE", DefaultNote: "the system's roots",
			Help: "PEM certificates that K2HR3's certificate is checked against",
			Long: "PEM certificates of the authorities K2HR3's certificate may come from. HTTPS_PROXY and NO_PROXY are honoured.",
			set:  absolute(func(o *Options) *string { return &o.CAFile }),
		},
		{
			Key: "cert-file", Kind: KindFile, Placeholder: "FILE", DefaultNote: "none",
			Help: "PEM client certificate, together with key-file",
			Long: "A PEM client certificate to show to K2HR3 or to the proxy before it. It goes together with key-file.",
			set:  absolute(func(o *Options) *string { return &o.CertFile }),
		},
		{
			Key: "key-file", Kind: KindFile, Placeholder: "FILE", DefaultNote: "none",
			Help: "PEM private key of the client certificate",
			Long: "The PEM private key of cert-file.",
			set:  absolute(func(o *Options) *string { return &o.KeyFile }),
		},
		{
			Key: "interval", Kind: KindDuration, Placeholder: "DURATION", Default: "60s",
			Help: "pause between answers of a K2HR3 that does not hold requests",
			Long: "The pause between two answers of a K2HR3 that does not hold requests, with 10 % jitter. While chmpx's own view of its servers agrees " +
				"with the file it grows with the number of slaves in the file, from once the interval for up to 20 slaves to five times for 100 and more. " +
				"It is cut to seconds while there is no good file yet. 1s to 1h.",
			set: duration(func(o *Options) *time.Duration { return &o.Interval }, false, time.Second, time.Hour),
		},
		{
			Key: "wait", Kind: KindDuration, Placeholder: "DURATION", Default: "55s",
			Help: "how long a K2HR3 that can hold a request may hold it; 0: the agent asks for no holding",
			Long: "How long a K2HR3 that can hold a request until the resource changes may hold it: 1s to 10m in whole seconds. 0: the agent asks for no holding. " +
				"Many a proxy cuts connections that are idle for a minute.",
			set: setWait,
		},
		{
			Key: "timeout", Kind: KindDuration, Placeholder: "DURATION", Default: "20s",
			Help: "limit for an answer that is not being held",
			Long: "The limit for an answer that is not being held, from the connection to its last byte; connecting may take 20 s besides. A K2HR3 whose store is down " +
				"takes about 14 s to say so. 1s to 5m.",
			set: duration(func(o *Options) *time.Duration { return &o.Timeout }, false, time.Second, 5*time.Minute),
		},
	}))
}

// rightOptions are about what this host is to K2HR3, and by which right it asks.
func rightOptions() []Option {
	return []Option{
		{
			Key: "api-uri", Kind: KindText, Placeholder: "URI", DefaultNote: "content of k2hr3-api-uri in antpickax-dir",
			Help: "K2HR3's address, as http://HOST:PORT or https://HOST:PORT",
			Long: "The address of K2HR3's REST interface: scheme, host and port, without a path.",
			set:  parsed(k2hr3.ParseAPI, func(o *Options) *k2hr3.API { return &o.APIURI }),
		},
		{
			Key: "role", Kind: KindText, Placeholder: "YRN", DefaultNote: "content of k2hr3-role-name in antpickax-dir",
			Help: "role this host belongs to, a full YRN",
			Long: "The role this host becomes a member of, as a full YRN: yrn:yahoo:::TENANT:role:PATH. The agent makes upper case lower case, as K2HR3 does.",
			set:  parsed(k2hr3.ParseRole, func(o *Options) *k2hr3.Role { return &o.Role }),
		},
		{
			Key: "resource", Kind: KindText, Placeholder: "YRN", DefaultNote: "the role's YRN with :resource: for :role:",
			Help: "resource that holds chmpx's configuration, a full YRN",
			Long: "The resource whose text is chmpx's configuration for a slave, as a full YRN: yrn:yahoo:::TENANT:resource:PATH.",
			set:  parsed(k2hr3.ParseResource, func(o *Options) *k2hr3.Resource { return &o.Resource }),
		},
		{
			Key: "role-token-file", Kind: KindFile, Placeholder: "FILE",
			DefaultNote: "the credential role-token, else " + OwnRoleToken + ", else k2hr3-role-token in antpickax-dir, else none",
			Help:        "file with the role token",
			Long: "The file the role token is read from. It should be readable by the agent alone. In place of the token it may hold K2HR3's user data: #include and " +
				"the URL <API>/v1/userdata/<registerpath>, or that URL alone; the agent then reads the token from there when it needs it, and keeps it in memory. " +
				"Without one, the first that exists counts: the systemd " +
				"credential role-token, " + OwnRoleToken + ", k2hr3-role-token in antpickax-dir. None at all is legal for a host that is already a member of the role.",
			set: setRoleTokenFile,
		},
		{
			Key: "flavour", Kind: KindChoice, Choices: flavours(), Default: flavourAuto,
			Help: "kind of deployment: which files, variables and placeholders K2HR3's tools use",
			Long: "The kind of deployment this host is a slave of. openstack: a VM, with the files of K2HR3's init script in antpickax-dir. k8s: a pod, with the variables K2HDKC_POD_NAME, K2HDKC_POD_IP and so on " +
				"that K2HDKC's tools for Kubernetes give it, and their files in antpickax-dir. There api-uri is K2HR3_API_URL or the content of k2hr3-api-url by default, role follows from K2HDKC_CLUSTER_NAME and K2HR3_TENANT or K2HDKC_NAMESPACE, " +
				"or is that of k2hr3-role; the agent makes the CUK once and keeps it in k2hr3-cuk for the pod's life, tag is the pod's name, and unit is empty. " +
				"auto: k8s if there is the variable K2HDKC_POD_IP, or the file k2hr3-resource or k2hr3-register-url in antpickax-dir, else openstack; the log and the status say which.",
			set: choice(flavours(), setFlavour),
		},
		{
			Key: "user-token-file", Kind: KindFile, Placeholder: "FILE", DefaultNote: "none",
			Help: "file with a user's unscoped token to get a role token with, in a pod",
			Long: "The file with a user's unscoped token of K2HR3, for flavour = k8s. The agent has K2HR3 make a role token of it that is good for an hour, when it needs one: where there is no role token, or K2HR3 does not take it. " +
				"It keeps both in memory alone. Once this host is a member it needs neither.",
			set: setUserTokenFile,
		},
		{
			Key: "forget-bootstrap-token", Kind: KindChoice, Choices: yesNo(), Default: "no",
			Help: "delete the role token once the host reads without it",
			Long: "Delete the role token's file as soon as K2HR3 counts this host as a member and lets it read by its address and CUK. A host that " +
				"K2HR3 forgets later then needs a new token to come back. Where a symbolic link leads to the file, the agent deletes the file and not the link. " +
				"It cannot delete a credential of systemd, a file on a read-only file system (a Secret of Kubernetes), or one with further names (hard links): it warns, and the token stays until the operator deletes it.",
			set: boolean(func(o *Options) *bool { return &o.ForgetBootstrapToken }),
		},
	}
}

func slaveOptions() []Option {
	return inSection("slave", []Option{
		{
			Key: "output", Kind: KindFile, Placeholder: "FILE", Default: "/etc/k2hdkc/slave.ini",
			Help: "the file to keep right: chmpx's configuration",
			Long: "The file to keep right: the configuration that chmpx runs on. chmpx tells the type of a configuration by its extension, so the name ends in .ini.",
			set:  setOutput,
		},
		{
			Key: "mode", Kind: KindText, Placeholder: "MODE", DefaultNote: "those of the existing file, else 0644",
			Help: "permissions of the output file, in octal",
			Long: "The permissions of the output file, in octal. chmpx's user has to be able to read it: chmpx exits when it cannot.",
			set:  setMode,
		},
		{
			Key: "owner", Kind: KindUser, Placeholder: "USER", DefaultNote: "of the existing file, else the agent's own",
			Help: "owner of the output file",
			Long: "The owner of the output file, by name or number. To give a file away takes rights that the agent normally does not have.",
			set:  account("user", func(o *Options) *string { return &o.Owner }),
		},
		{
			Key: "group", Kind: KindGroup, Placeholder: "GROUP", DefaultNote: "of the existing file, else the agent's own",
			Help: "group of the output file",
			Long: "The group of the output file, by name or number.",
			set:  account("group", func(o *Options) *string { return &o.Group }),
		},
		{
			Key: "cuk", Kind: KindText, Placeholder: "CUK", DefaultNote: "content of k2hr3-cuk in antpickax-dir, else of instance-id-file",
			Help: "the key K2HR3 and chmpx know this host by",
			Long: "The custom unique key this host is registered with, and which chmpx finds itself by. On OpenStack it is the instance's UUID. " +
				"Where the agent remembers that k2hr3-cuk went with another instance id than that of now, k2hr3-cuk is left over from the instance this host is a copy of, " +
				"and instance-id-file counts until k2hr3-cuk changes.",
			set: parsed(k2hr3.ParseCUK, func(o *Options) *k2hr3.CUK { return &o.CUK }),
		},
		{
			Key: "tag", Kind: KindText, Placeholder: "NAME", DefaultNote: "this host's full name if it resolves to an address of this host, else its address towards K2HR3",
			Help: "the name chmpx knows this host by",
			Long: "The name or address this host is registered with. It becomes the NAME of its SLVNODE section, by which chmpx recognises itself and " +
				"other nodes reach it. Without a value it is this host's full name, found the way K2HR3's own init script finds it, if it resolves to an address of this host; else the " +
				"address it reaches K2HR3 from.",
			set: setTag,
		},
		{
			Key: "min-servers", Kind: KindText, Placeholder: "COUNT", Default: "1",
			Help: "the agent applies only answers with at least this many server nodes",
			Long: "The agent applies only answers of K2HR3 with at least this many server nodes. At least 1: chmpx exits when its file lists no server.",
			set:  setMinServers,
		},
		{
			Key: "stamp", Kind: KindChoice, Choices: yesNo(), Default: "yes",
			Help: "put the agent's own revision number into FILEVERSION",
			Long: "Whether FILEVERSION in the output file is replaced by the agent's own revision number, one higher at each write, so that chmpx can be asked which revision it runs.",
			set:  boolean(func(o *Options) *bool { return &o.Stamp }),
		},
	})
}

func chmpxOptions() []Option {
	return inSection("chmpx", []Option{
		{
			Key: "unit", Kind: KindUnit, Placeholder: "UNIT", Default: "chmpx.service", Empty: "there is no systemd here",
			Help: "chmpx's systemd unit; empty: there is no systemd here",
			Long: "The systemd unit chmpx runs as. Empty means that there is no systemd here; chmpx then learns of a new file from the rename alone.",
			set:  setUnit,
		},
		{
			Key: "reload", Kind: KindChoice, Choices: []string{"auto", "restart", "none"}, Default: "auto",
			Help: "how to make chmpx read a new file",
			Long: "How the agent makes chmpx read a new file. auto: the rename is chmpx's reload signal, and the agent also runs the reload job of a unit that has one. restart: it restarts the unit. none: it replaces the file, nothing else.",
			set:  choice([]string{"auto", "restart", "none"}, setReload),
		},
		{
			Key: "start", Kind: KindChoice, Choices: yesNo(), Default: "yes",
			Help: "when the first good file is in place, start chmpx's unit if it is enabled and down",
			Long: "Whether the agent, when the first good file is in place, starts chmpx's unit if that is enabled and down.",
			set:  boolean(func(o *Options) *bool { return &o.Start }),
		},
		{
			Key: "status-command", Kind: KindCommand, Placeholder: "PROGRAM", Default: "chmpxstatus", Empty: "none",
			Help: "chmpx's status program; empty: none",
			Long: "chmpx's status program: a name to look up in PATH, or an absolute path. When it is empty or not installed, the agent can neither confirm reloads nor " +
				"watch the ring, and says so once in the log.",
			set: program(func(o *Options) *string { return &o.StatusCommand }),
		},
		{
			Key: "check-command", Kind: KindCommand, Placeholder: "PROGRAM", Default: "chmpxconftest", Empty: "none",
			Help: "chmpx's test program, a second opinion on each new file; empty: none",
			Long: "chmpx's test program: a name to look up in PATH, or an absolute path. When it is installed, its verdict on the staged file is a second opinion.",
			set:  program(func(o *Options) *string { return &o.CheckCommand }),
		},
		{
			Key: "confirm", Kind: KindDuration, Placeholder: "DURATION", Default: "30s",
			Help: "how long chmpx may take to show a new revision; 0: the agent does not look",
			Long: "How long chmpx may take to show the new revision. 0: the agent does not look; else 1s to 1h.",
			set:  duration(func(o *Options) *time.Duration { return &o.Confirm }, true, time.Second, time.Hour),
		},
		{
			Key: "restart-unconfirmed", Kind: KindChoice, Choices: yesNo(), Default: "no",
			Help: "restart chmpx when it does not load a new revision, or must be restarted for it or for new certificates",
			Long: "Whether the agent restarts the unit when chmpx does not show the new revision within confirm, twice in a row, when K2HR3 has a text that only a fresh chmpx can load, or when certificates that it uses have been renewed by good ones. " +
				"In a pod there is no unit: the agent ends chmpx's process, and the kubelet starts its container again. For that the pod's containers share their PID namespace, and the agent sees chmpx and is of its user. " +
				"Otherwise the log and the status say what to do.",
			set: boolean(func(o *Options) *bool { return &o.RestartUnconfirmed }),
		},
		{
			Key: "peek", Kind: KindDuration, Placeholder: "DURATION", Default: "2s",
			Help: "pause between looks at chmpx's own view of its servers; 0: don't look",
			Long: "The pause between two looks at chmpx's own view of its servers, which tells when to ask K2HR3. 0: don't look; else 100ms to 10m. " +
				"Where the agent can look without chmpxstatus, by reading chmpx's memory, it looks every 900ms unless this option is set.",
			set: duration(func(o *Options) *time.Duration { return &o.Peek }, true, 100*time.Millisecond, 10*time.Minute),
		},
		{
			Key: "heal", Kind: KindChoice, Choices: heals(), Default: "idle",
			Help: "what the agent does about a chmpx that servers have refused and that does not try them again",
			Long: "What the agent does when chmpx is half connected: servers that are up did not list this host yet when chmpx started, refused it, and chmpx does not try them again. " +
				"idle: it restarts the unit while no program has joined chmpx, until chmpx is connected to every server that is up. servers: it asks those servers to announce themselves, " +
				"at their control ports (UPDATESTATUS), which disturbs no program and takes a control port of the servers that is open to this host. never: it only says so. " +
				"The looks are those of peek.",
			set: choice(heals(), setHeal),
		},
		{
			Key: "chmpx-user", Kind: KindUser, Placeholder: "USER", Default: ServiceAccount,
			Help: "whom chmpx's unit runs chmpx as",
			Long: "The user that chmpx.service, with the agent's drop-in, runs chmpx as. root where a host needs that: where chmpx has to read keys that are root's alone, or in a container " +
				"that may not raise fs.mqueue.msg_max. It counts from the next systemctl daemon-reload, and for chmpx from its next start.",
			set: accountOfUnit("user", func(o *Options) *string { return &o.ChmpxUser }),
		},
		{
			Key: "app-group", Kind: KindGroup, Placeholder: "GROUP", Default: ServiceAccount,
			Help: "group whose members' programs may join chmpx",
			Long: "The group whose members may join chmpx, besides its own user and root; nobody else may. An application's unit says SupplementaryGroups=GROUP. " +
				"It counts as chmpx-user does.",
			set: accountOfUnit("group", func(o *Options) *string { return &o.AppGroup }),
		},
	})
}

func agentOptions() []Option {
	return inSection("agent", []Option{
		{
			Key: "state-dir", Kind: KindDir, Placeholder: "DIR", Default: "/var/lib/" + Program,
			Help: "what has to survive a reboot",
			Long: "The directory for what has to survive a reboot.",
			set:  absolute(func(o *Options) *string { return &o.StateDir }),
		},
		{
			Key: "run-dir", Kind: KindDir, Placeholder: "DIR", Default: "/run/" + Program,
			Help: "what the running agent needs for itself",
			Long: "The directory for what the running agent needs for itself, such as the file by which it probes chmpx.",
			set:  absolute(func(o *Options) *string { return &o.RunDir }),
		},
		{
			Key: "antpickax-dir", Kind: KindDir, Placeholder: "DIR", Default: defaultAntpickax,
			Help: "where K2HR3's own init script left its files",
			Long: "The directory where K2HR3's own init script left its files: k2hr3-api-uri, k2hr3-role-name, k2hr3-role-token and k2hr3-cuk. The agent does not write to them, but in a pod, whose containers share the directory and learn from it who the pod is. " +
				"That script leaves the token readable by everybody: the agent makes it readable by its owner alone, and lets nobody else write to the directory.",
			set: absolute(func(o *Options) *string { return &o.AntpickaxDir }),
		},
		{
			Key: "instance-id-file", Kind: KindFile, Placeholder: "FILE", Default: defaultInstanceID,
			Help: "where cloud-init wrote the instance's id",
			Long: "The file cloud-init wrote the instance's id to.",
			set:  absolute(func(o *Options) *string { return &o.InstanceIDFile }),
		},
		{
			Key: "log-level", Kind: KindChoice, Placeholder: "LEVEL", Choices: []string{"debug", "info", "warn", "error"}, Default: "info",
			Help: "least severe messages to log: debug, info, warn or error",
			Long: "The least severe messages to log.",
			set:  setLogLevel,
		},
		{
			Key: "log-format", Kind: KindChoice, Choices: []string{string(LogAuto), string(LogText), string(LogJSON)}, Default: string(LogAuto),
			Help: "how the agent writes log messages; auto: journal fields under systemd, else text",
			Long: "How the agent writes log messages. auto: with fields to the journal under systemd, else as text.",
			set: choice([]string{string(LogAuto), string(LogText), string(LogJSON)},
				func(o *Options, v string) { o.LogFormat = LogFormat(v) }),
		},
		{
			Key: "metrics-listen", Kind: KindText, Placeholder: "ADDRESS", Empty: "no socket is opened", DefaultNote: "none",
			Help: "where Prometheus can ask for metrics: HOST:PORT or unix:PATH",
			Long: "Where the running agent answers GET /metrics: HOST:PORT, such as 127.0.0.1:9765 or :9765 for all addresses of this host, or unix:PATH. Whoever can connect can read; nothing there is secret. " +
				"An address that is in use ends the agent when it starts; when the agent takes up another configuration, it says so and stays with the address before. " +
				"The agent also answers on a socket that a unit k2hdkc-slave-agent.socket passes to it.",
			set: setMetricsListen,
		},
		{
			Key: "metrics-textfile", Kind: KindFile, Placeholder: "FILE", Empty: "none", DefaultNote: "none",
			Help: "file for node_exporter's textfile collector, ending in .prom",
			Long: "The file that the running agent keeps its metrics in for node_exporter's textfile collector. Its name ends in .prom. The agent replaces it at each change, once a second at most, and every 60 s, readable by everybody, and removes it when it ends.",
			set:  setMetricsTextfile,
		},
	})
}

// OfSection lists the options of a section of the configuration file or, for "", those outside it.
func OfSection(section string) (list []Option) {
	for _, o := range Table() {
		if o.Section == section {
			list = append(list, o)
		}
	}
	return list
}

// inSection puts options into a section.
func inSection(section string, list []Option) []Option {
	for i := range list {
		list[i].Section = section
		if list[i].Placeholder == "" {
			list[i].Placeholder = strings.Join(list[i].Choices, "|")
		}
	}
	return list
}

func yesNo() []string { return []string{"yes", "no"} }

// lookup returns the option with a key of the table.
func lookup(key string) Option {
	all := Table()
	return all[slices.IndexFunc(all, func(o Option) bool { return o.Key == key })]
}

// permissions is what mode may contain.
const permissions fs.FileMode = 0o777
