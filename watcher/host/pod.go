package host

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Pod is this host as a pod of Kubernetes. Its CUK is made once, and kept in Dir for the pod's
// life: the pod's containers start again, and another CUK would be another member of the role.
type Pod struct {
	Dir string // antpickax-dir
	// Now is what the environment of this container says of the pod. What it does not say is
	// empty; a container beside the one that made the CUK need not say anything.
	Now k2hr3.Pod
	// Read returns the text of a file; its error names the file.
	Read func(name string) (string, error)
}

// What a pod keeps, by the names that K2HR3's tools for Kubernetes use (docs/flavours.md 5.1).
const (
	podCUKFile = "k2hr3-cuk"
	podCUKURL  = "k2hr3-cukencode" // the same for URLs
	podAPIArgs = "k2hr3-apiarg"    // what identifies the pod in a request
)

// errNoPod says that there is no CUK, and nothing to make one of.
var errNoPod = errors.New("this pod's CUK is not known")

// File is the file that has the CUK.
func (p Pod) File() string { return path.Join(p.Dir, podCUKFile) }

// CUK returns the key that the pod keeps. It is an error if there is none yet, or if it is another
// pod's.
func (p Pod) CUK() (k2hr3.CUK, error) {
	text, err := p.Read(p.File())
	if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(text) == "" {
		if lack := p.lacks(); lack != "" {
			return k2hr3.CUK{}, fmt.Errorf("%w: there is no %s, and the environment does not say %s to make one of: give the container the variables of docs/kubernetes.md",
				errNoPod, p.File(), lack)
		}
		return k2hr3.CUK{}, fmt.Errorf("%w yet: `once --register`, `register` or `run` makes it, and keeps it in %s", errNoPod, p.File())
	}
	if err != nil {
		return k2hr3.CUK{}, fmt.Errorf("%w: %w", errNoPod, err)
	}
	cuk, err := k2hr3.ParseCUK(strings.TrimSpace(text))
	if err != nil {
		return k2hr3.CUK{}, fmt.Errorf("%s: %w", p.File(), err)
	}
	kept, ok := k2hr3.PodOf(cuk)
	if !ok {
		return k2hr3.CUK{}, fmt.Errorf("%s holds no CUK of a pod, and K2HR3 takes no other one here: remove the file, so that the agent makes one", p.File())
	}
	if p.replaced(kept) {
		return k2hr3.CUK{}, fmt.Errorf("%w: %s holds the CUK of the pod %s with the address %s, and this one is %s with %s; `once --register`, `register` or `run` makes a new one",
			errNoPod, p.File(), kept.Name, kept.IP, p.Now.Name, p.Now.IP)
	}
	return cuk, nil
}

// CanMake reports whether Keep would make a CUK: there is none that is this pod's.
func (p Pod) CanMake() bool {
	_, err := p.CUK()
	return errors.Is(err, errNoPod) && p.lacks() == ""
}

// replaced reports whether a kept CUK is that of another pod, or of this one at another address:
// a pod gets a new address when its node restarts, and its folders may outlive that. K2HR3 would
// refuse the CUK then. The id says nothing in a CUK that K2HDKC's own scripts have made, which take
// it from where it often is not (docs/flavours.md 5.2).
func (p Pod) replaced(kept k2hr3.Pod) bool {
	differs := func(kept, now string) bool { return now != "" && now != kept }
	ours := kept.ContainerID == kept.ID // as fresh makes it
	return ours && differs(kept.ID, p.Now.ID) || differs(kept.IP, p.Now.IP) || differs(kept.Name, p.Now.Name)
}

// lacks names what the environment does not say of the pod; empty: enough.
func (p Pod) lacks() string {
	for _, v := range []struct{ name, value string }{
		{"K2HDKC_POD_NAME", p.Now.Name}, {"K2HDKC_POD_IP", p.Now.IP}, {"K2HDKC_NAMESPACE", p.Now.Namespace},
		{"K2HDKC_NODE_IP", p.Now.NodeIP},
	} {
		if v.value == "" {
			return v.name
		}
	}
	return ""
}

// Name is the pod's name; empty: it is not known.
func (p Pod) Name() string {
	if p.Now.Name != "" {
		return p.Now.Name
	}
	cuk, err := p.CUK()
	if err != nil {
		return ""
	}
	kept, _ := k2hr3.PodOf(cuk)
	return kept.Name
}

// Keep makes the CUK and writes it into the folder, with what K2HR3's tools have beside it, unless
// the pod has one. It reports whether it has made one.
func (p Pod) Keep() (made bool, err error) {
	if !p.CanMake() {
		return false, nil
	}
	cuk, err := p.fresh().CUK()
	if err != nil {
		return false, err
	}
	// The CUK comes last: what is beside it follows from it.
	for _, f := range []struct{ name, text string }{
		{podAPIArgs, fmt.Sprintf("extra=%s&cuk=%s&tag=%s", k2hr3.Kubernetes, cuk.ForURL(), p.Now.Name)},
		{podCUKURL, cuk.ForURL()},
		{podCUKFile, cuk.String()},
	} {
		if err := p.Write(f.name, f.text); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Write writes a file of the folder, unless it has that text.
func (p Pod) Write(name, text string) error {
	name = path.Join(p.Dir, name)
	if was, err := p.Read(name); err == nil && was == text {
		return nil
	}
	if err := atomicfile.Write(name, []byte(text), 0o644); err != nil {
		return fmt.Errorf("cannot keep what this pod is known by: %w; antpickax-dir has to be a folder that the pod's containers share and the agent may write to", err)
	}
	return nil
}

// fresh is the pod with the members that have to be there and whose values matter to nobody
// (docs/flavours.md 5.2).
func (p Pod) fresh() k2hr3.Pod {
	random := make([]byte, 16)
	rand.Read(random) //nolint:errcheck // it never fails
	pod := p.Now
	pod.Random = hex.EncodeToString(random)
	for _, m := range []struct {
		value   *string
		instead string
	}{{&pod.ID, pod.Random}, {&pod.NodeName, pod.NodeIP}, {&pod.ServiceAccount, "default"}} {
		if *m.value == "" {
			*m.value = m.instead
		}
	}
	pod.ContainerID = pod.ID
	return pod
}
