package options

import (
	"path"
	"slices"
	"strings"

	"k2hdkc-slave-agent/render"
)

// Inputs lists the files that the options, or the files they name, come from: when one of them
// comes, goes or changes, load the options again.
func (o *Options) Inputs() (files []string) {
	for _, f := range o.inputs() {
		if !slices.Contains(files, f.Path) {
			files = append(files, f.Path)
		}
	}
	return files
}

// Reads lists the files that the agent reads and somebody else writes: the inputs, and those of
// programs that it works with. The agent must not write to any of them.
func (o *Options) Reads() []render.Taken {
	files := append(o.inputs(), named(
		render.Taken{What: "the hosts file", Path: "/etc/hosts"},
		render.Taken{What: "the resolver's configuration", Path: "/etc/resolv.conf"},
		render.Taken{What: "the resolver's configuration", Path: "/etc/nsswitch.conf"},
		render.Taken{What: "the configuration of chmpx's helper", Path: path.Join(o.AntpickaxDir, "override.conf")},
		render.Taken{What: "the configuration of chmpx's helper", Path: path.Join(o.AntpickaxDir, "chmpx-service-helper.conf")},
	)...)
	for _, command := range []string{o.StatusCommand, o.CheckCommand} {
		if strings.Contains(command, "/") {
			files = append(files, render.Taken{What: "a program of chmpx's", Path: command})
		}
	}
	return files
}

func (o *Options) inputs() []render.Taken {
	files := named(
		render.Taken{What: "the configuration", Path: o.ConfigFile},
		render.Taken{What: "the instance id", Path: o.InstanceIDFile},
		render.Taken{What: "K2HR3's address", Path: path.Join(o.AntpickaxDir, "k2hr3-api-uri")},
		render.Taken{What: "this host's role", Path: path.Join(o.AntpickaxDir, "k2hr3-role-name")},
		render.Taken{What: "K2HR3's address", Path: path.Join(o.AntpickaxDir, podAPI)},
		render.Taken{What: "this host's role", Path: path.Join(o.AntpickaxDir, podRole)},
		render.Taken{What: "the RESOURCE's name", Path: path.Join(o.AntpickaxDir, podResource)},
		render.Taken{What: "the user's token", Path: o.UserTokenFile},
		render.Taken{What: "this host's CUK", Path: path.Join(o.AntpickaxDir, "k2hr3-cuk")},
		render.Taken{What: "ca-file", Path: o.CAFile},
		render.Taken{What: "cert-file", Path: o.CertFile},
		render.Taken{What: "key-file", Path: o.KeyFile},
	)
	for _, name := range append(o.roleTokenFiles(), o.RoleTokenFile) {
		files = append(files, named(render.Taken{What: "the role token", Path: name})...)
	}
	return files
}

// MetricsFiles lists the files that the agent shows its metrics by, under the options that name
// them.
func (o *Options) MetricsFiles() []render.Taken {
	files := named(render.Taken{What: "metrics-textfile", Path: o.MetricsTextfile})
	if o.MetricsListen.Network == "unix" {
		files = append(files, render.Taken{What: "metrics-listen", Path: o.MetricsListen.Address})
	}
	return files
}

// named leaves out the files that nobody has named.
func named(files ...render.Taken) []render.Taken {
	return slices.DeleteFunc(files, func(f render.Taken) bool { return f.Path == "" })
}
