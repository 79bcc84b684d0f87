package options

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"k2hdkc-slave-agent/watcher/host"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Flavour is the kind of deployment that this host is a slave of: which files and variables K2HR3's
// tools leave there, which placeholders the RESOURCE has, and how K2HR3 knows the host
// (docs/flavours.md).
type Flavour string

// The flavours.
const (
	OpenStack  Flavour = "openstack"
	Kubernetes Flavour = "k8s"
)

const flavourAuto = "auto"

func flavours() []string { return []string{flavourAuto, string(OpenStack), string(Kubernetes)} }

// What the tools of Kubernetes leave in antpickax-dir (docs/flavours.md 5.1).
const (
	podAPI      = "k2hr3-api-url"
	podRegister = "k2hr3-register-url"
	podRole     = "k2hr3-role"
	podResource = "k2hr3-resource"
)

// findFlavour settles which flavour this host is of, and what says so.
func (o *Options) findFlavour(v Verb, p *problems) {
	s, given := o.settings["flavour"]
	switch {
	case given && o.Flavour != flavourAuto:
		o.flavoured = s.Source
		if v.elsewhere && o.InPod() {
			p.addFrom(s.Source, "flavour", errors.New("user data is for VMs, and a pod has none: remove flavour"))
		}
	case v.elsewhere:
		o.Flavour = OpenStack
	case o.system.getenv("K2HDKC_POD_IP") != "":
		o.Flavour, o.flavoured = Kubernetes, Source{Kind: FromEnvironment, Name: "K2HDKC_POD_IP"}
	default:
		o.Flavour, o.flavoured = OpenStack, Source{}
		for _, name := range []string{podResource, podRegister} {
			if name = path.Join(o.AntpickaxDir, name); o.AntpickaxDir != "" && o.system.exists(name) {
				o.Flavour, o.flavoured = Kubernetes, Source{Kind: FromFile, Name: name}
				break
			}
		}
	}
	if o.UserTokenFile != "" && !o.InPod() {
		p.addFrom(o.Source("user-token-file"), "user-token-file",
			fmt.Errorf("a user's token is for flavour = k8s, and this host's flavour is %s (%s): set flavour, or remove user-token-file", o.Flavour, o.flavoured))
	}
}

// InPod reports whether this host is a pod of Kubernetes.
func (o *Options) InPod() bool { return o.Flavour == Kubernetes }

// Pod is this host as a pod, for the flavour Kubernetes.
func (o *Options) Pod() host.Pod {
	env := o.system.getenv
	return host.Pod{
		Dir: o.AntpickaxDir, Read: o.system.read,
		Now: k2hr3.Pod{
			Namespace: env("K2HDKC_NAMESPACE"), NodeIP: env("K2HDKC_NODE_IP"), NodeName: env("K2HDKC_NODE_NAME"),
			ID: env("K2HDKC_POD_ID"), IP: env("K2HDKC_POD_IP"), Name: env("K2HDKC_POD_NAME"),
			ServiceAccount: env("K2HDKC_POD_SERVICE_ACCOUNT"),
		},
	}
}

// ResolveTag returns the name that the host registers with: as configured, else a pod's name;
// empty: it has to be found out.
func (o *Options) ResolveTag() string {
	if o.Tag == "" && o.InPod() {
		return o.Pod().Name()
	}
	return o.Tag
}

// TellPod writes what the containers beside this one need to know of K2HR3, as K2HR3's tools for
// Kubernetes do: they have no variables that say it.
func (o *Options) TellPod() error {
	pod := o.Pod()
	for _, f := range []struct{ name, text string }{
		{podAPI, o.APIURI.String()}, {podRegister, o.APIURI.String() + "/v1/role"},
		{podRole, o.Role.String()}, {podResource, o.Resource.String()},
	} {
		if err := pod.Write(f.name, f.text); err != nil {
			return err
		}
	}
	return nil
}

// fromPod takes options that nobody set from the environment of a pod (docs/flavours.md 4), else
// from the files of its folder.
func (o *Options) fromPod() {
	o.fromVariable("api-uri", "K2HR3_API_URL", o.system.getenv("K2HR3_API_URL"))
	for _, cluster := range []string{"K2HDKC_CLUSTER_NAME", "K2HKDC_CLUSTER_NAME"} { // the second is how the CLI spells it
		o.fromVariable("role", cluster, o.roleOf(o.system.getenv(cluster)))
	}
	for _, f := range []struct{ key, file, other, what string }{
		{"api-uri", podAPI, "k2hr3-api-uri", "K2HR3's address"},
		{"role", podRole, "k2hr3-role-name", "this host's role"},
	} {
		if !o.system.exists(path.Join(o.AntpickaxDir, f.file)) && o.system.exists(path.Join(o.AntpickaxDir, f.other)) {
			f.file = f.other
		}
		o.fromAntpickax(f.key, f.file, f.what)
	}
	// A role that somebody has named has the RESOURCE that follows from it.
	if o.settings["role"].Source.Kind == FromFile && o.system.exists(path.Join(o.AntpickaxDir, podResource)) {
		o.fromAntpickax("resource", podResource, "the RESOURCE")
	}
}

// roleOf is the role of the slaves of a cluster; empty: the environment does not say.
func (o *Options) roleOf(cluster string) string {
	tenant := o.system.getenv("K2HR3_TENANT")
	if tenant == "" {
		tenant = o.system.getenv("K2HDKC_NAMESPACE")
	}
	if cluster == "" || tenant == "" {
		return ""
	}
	prefix := o.system.getenv("K2HR3_YRN_PREFIX")
	if prefix == "" {
		prefix = "yrn:yahoo:::"
	}
	return prefix + tenant + ":role:" + cluster + "/slave"
}

// fromVariable takes an option that nobody set from a variable of the pod.
func (o *Options) fromVariable(key, name, value string) {
	if _, given := o.settings[key]; given || strings.TrimSpace(value) == "" {
		return
	}
	o.found(key, value, Source{Kind: FromEnvironment, Name: name})
}

func setFlavour(o *Options, value string) { o.Flavour = Flavour(value) }

func setUserTokenFile(o *Options, value string) error {
	if err := noToken(value); err != nil {
		return err
	}
	return absolute(func(o *Options) *string { return &o.UserTokenFile })(o, value)
}
