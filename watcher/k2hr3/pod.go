package k2hr3

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Extra is the kind of host that a registration says it is.
type Extra string

// The kinds. With any other value K2HR3 cannot find the host by its CUK (docs/k2hr3.md C.4).
const (
	VM         Extra = "openstack-auto-v1"
	Kubernetes Extra = "k8s-auto-v1" // the CUK is that of a Pod
)

// Pod is what the CUK of a pod says of it. K2HR3 looks at it once, when the pod registers: none of
// the nine may be empty, and one of the two addresses has to be that K2HR3 sees (docs/flavours.md
// 5.4). The order is that of the keys, which are sorted.
type Pod struct {
	ContainerID    string `json:"k8s_container_id"`
	Random         string `json:"k8s_k2hr3_rand"` // what makes two pods differ for certain
	Namespace      string `json:"k8s_namespace"`
	NodeIP         string `json:"k8s_node_ip"`
	NodeName       string `json:"k8s_node_name"`
	ID             string `json:"k8s_pod_id"`
	IP             string `json:"k8s_pod_ip"`
	Name           string `json:"k8s_pod_name"`
	ServiceAccount string `json:"k8s_service_account"`
}

// CUK returns the pod's key: its JSON without blanks in base64 (docs/flavours.md 5.2).
func (p Pod) CUK() (CUK, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return CUK{}, err
	}
	key := base64.StdEncoding.EncodeToString(b)
	if strings.ContainsAny(key, "+/") { // K2HR3's tools would write these otherwise in URLs
		return CUK{}, errors.New("the name of this pod, its node or its service account has a sign that no name in Kubernetes has, such as ~, ? or >: correct the variables that name them")
	}
	return ParseCUK(key)
}

// PodOf returns what a CUK says of a pod; false: it is not a pod's.
func PodOf(c CUK) (p Pod, ok bool) {
	b, err := base64.StdEncoding.DecodeString(c.key)
	if err != nil || json.Unmarshal(b, &p) != nil || p.Name == "" || p.IP == "" {
		return Pod{}, false
	}
	return p, true
}

// Brief returns the key for a message: a pod's has some 500 characters that nobody reads, so it is
// the pod's name and the first digits of what makes it differ from the one before.
func (c CUK) Brief() string {
	if p, ok := PodOf(c); ok {
		return fmt.Sprintf("of pod %s, %.8s…", p.Name, p.Random)
	}
	return c.key
}

// ForURL returns the key the way the tools of Kubernetes write it into URLs (docs/flavours.md 5.2).
func (c CUK) ForURL() string {
	return strings.NewReplacer("=", "%3d", "+", "-", "/", "_").Replace(c.key)
}

// hintPod says what K2HR3 does not say of the CUK that it refuses.
func hintPod(c CUK) string {
	p, ok := PodOf(c)
	if !ok {
		return "the CUK is not one of a pod, which flavour = k8s needs: remove cuk, so that the agent makes one; " + hintStore
	}
	return fmt.Sprintf("K2HR3 takes a pod from the address that its CUK has, %s, or its node's, %s: "+
		"K2HR3 sees another one if a gateway stands between, or if the pod has got a new address; "+hintStore, p.IP, p.NodeIP)
}
