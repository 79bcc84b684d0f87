package host

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

func newPod(t *testing.T) Pod {
	return Pod{
		Dir: t.TempDir(),
		Now: k2hr3.Pod{
			Namespace: "shop", NodeIP: "192.168.0.4", NodeName: "n4", ID: "5e9b-1", IP: "10.1.2.3",
			Name: "slvpod-orders-0", ServiceAccount: "default",
		},
		Read: func(name string) (string, error) {
			b, err := os.ReadFile(name)
			return string(b), err
		},
	}
}

func keep(t *testing.T, p Pod) (cuk string, made bool) {
	t.Helper()
	made, err := p.Keep()
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.CUK()
	if err != nil {
		t.Fatal(err)
	}
	return key.String(), made
}

func TestAPodMakesItsCUKOnce(t *testing.T) {
	p := newPod(t)
	first, made := keep(t, p)
	if !made {
		t.Fatal("not made")
	}
	json, err := base64.StdEncoding.DecodeString(first)
	want := regexp.MustCompile(`^\{"k8s_container_id":"5e9b-1","k8s_k2hr3_rand":"[0-9a-f]{32}","k8s_namespace":"shop","k8s_node_ip":"192.168.0.4",` +
		`"k8s_node_name":"n4","k8s_pod_id":"5e9b-1","k8s_pod_ip":"10.1.2.3","k8s_pod_name":"slvpod-orders-0","k8s_service_account":"default"\}$`)
	if err != nil || !want.Match(json) {
		t.Errorf("CUK of %s (%v)", json, err)
	}
	url := strings.ReplaceAll(first, "=", "%3d")
	for name, want := range map[string]string{
		"k2hr3-cuk": first, "k2hr3-cukencode": url, "k2hr3-apiarg": "extra=k8s-auto-v1&cuk=" + url + "&tag=slvpod-orders-0",
	} {
		if got, err := p.Read(filepath.Join(p.Dir, name)); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if again, made := keep(t, p); again != first || made {
		t.Error("a container that starts again makes another CUK")
	}
	beside := p
	beside.Now = k2hr3.Pod{}
	if same, made := keep(t, beside); same != first || made || beside.Name() != "slvpod-orders-0" {
		t.Errorf("a container without variables has CUK %s, name %q", same, beside.Name())
	}
}

// A node that restarts gives its pods new addresses, and their folders may stay. So may those of a
// pod on a disk of the node's.
func TestAnotherPodMakesAnotherCUK(t *testing.T) {
	for what, change := range map[string]func(*k2hr3.Pod){
		"address": func(n *k2hr3.Pod) { n.IP = "10.1.2.4" },
		"id":      func(n *k2hr3.Pod) { n.ID = "5e9b-2" },
		"name":    func(n *k2hr3.Pod) { n.Name = "slvpod-orders-1" },
	} {
		p := newPod(t)
		first, _ := keep(t, p)
		change(&p.Now)
		if _, err := p.CUK(); err == nil || !strings.Contains(err.Error(), "slvpod-orders-0") || !p.CanMake() {
			t.Errorf("%s: %v", what, err)
		}
		if next, made := keep(t, p); next == first || !made {
			t.Errorf("another %s has the CUK of the one before", what)
		}
	}
}

// The CUK that K2HDKC's own init container has made stays, whatever it says of the pod's id.
func TestTheCUKOfAnotherTool(t *testing.T) {
	p := newPod(t)
	theirs := p.Now
	theirs.ID, theirs.ContainerID, theirs.Random = "0::", "..", "feed"
	cuk, err := theirs.CUK()
	if err != nil {
		t.Fatal(err)
	}
	noError(t, os.WriteFile(p.File(), []byte(cuk.String()), 0o600))
	if kept, made := keep(t, p); made || kept != cuk.String() {
		t.Errorf("made %v: %s, want %s", made, kept, cuk)
	}
}

func TestWhatAPodLacks(t *testing.T) {
	p := newPod(t)
	p.Now.ID, p.Now.NodeName, p.Now.ServiceAccount = "", "", ""
	cuk, _ := keep(t, p)
	key, _ := k2hr3.ParseCUK(cuk)
	if pod, ok := k2hr3.PodOf(key); !ok || pod.ID == "" || pod.ContainerID == "" || pod.NodeName == "" || pod.ServiceAccount == "" {
		t.Errorf("K2HR3 refuses a CUK with an empty member: %+v", pod)
	}
	p = newPod(t)
	p.Now.NodeIP = ""
	if made, err := p.Keep(); made || err != nil {
		t.Errorf("made %v, %v", made, err)
	}
	if _, err := p.CUK(); err == nil || !strings.Contains(err.Error(), "K2HDKC_NODE_IP") {
		t.Errorf("error %v", err)
	}
	noError(t, os.WriteFile(p.File(), []byte("vm-1"), 0o600))
	if _, err := p.CUK(); err == nil || !strings.Contains(err.Error(), "no CUK of a pod") {
		t.Errorf("error %v", err)
	}
	p = newPod(t)
	p.Dir = filepath.Join(p.Dir, "nowhere")
	if _, err := p.Keep(); err == nil || !strings.Contains(err.Error(), "antpickax-dir") {
		t.Errorf("error %v", err)
	}
}
