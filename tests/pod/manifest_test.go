package pod

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"k2hdkc-slave-agent/tests/realagent"
)

var update = flag.Bool("update", false, "write the golden files anew")

// made returns what a folder of packaging/kubernetes makes.
func made(t *testing.T, folder string) []byte {
	t.Helper()
	text, err := kustomize(filesys.MakeFsOnDisk(), filepath.Join(realagent.Root(), "packaging/kubernetes", folder))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func read(t *testing.T, text []byte) *Manifest {
	t.Helper()
	m, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// folders are those that an operator builds.
var folders = []string{"base", "example"}

func TestWhatKustomizeMakesIsAsReviewed(t *testing.T) {
	for _, folder := range folders {
		got := made(t, folder)
		golden := filepath.Join("testdata", folder+".yaml")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: look at it, then go test -run Kustomize . -update (-want +got):\n%s", folder, diff)
		}
	}
}

// TestKubectlMakesTheSame: kubectl's kustomize is another version of the same, and is what
// operators have.
func TestKubectlMakesTheSame(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("there is no kubectl here to compare with")
	}
	for _, folder := range folders {
		cmd := exec.Command("kubectl", "kustomize", filepath.Join(realagent.Root(), "packaging/kubernetes", folder))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		got, err := cmd.Output()
		if err != nil { // some of them look for a cluster first, and for their own settings
			t.Skipf("the kubectl here does not do it: %v\n%s", err, &stderr)
		}
		if diff := cmp.Diff(string(made(t, folder)), string(got)); diff != "" {
			t.Errorf("%s (-library +kubectl):\n%s", folder, diff)
		}
	}
}

func TestReadIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field": "apiVersion: v1\nkind: Service\nspec: {clusterip: None}\n",
		"wrong type":    "apiVersion: v1\nkind: Service\nspec: {ports: [{port: \"8022\"}]}\n",
		"twice":         "apiVersion: v1\nkind: Service\nspec: {clusterIP: None, clusterIP: None}\n",
		"unknown kind":  "apiVersion: v1\nkind: Servise\n",
	} {
		if _, err := Read([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// names are those of containers, in their order.
func names(list []corev1.Container) (names []string) {
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

func find(t *testing.T, spec *corev1.PodSpec, name string) corev1.Container {
	t.Helper()
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no container %s", name)
	return corev1.Container{}
}

func TestOrderOfTheContainers(t *testing.T) {
	for _, folder := range folders {
		spec := read(t, made(t, folder)).Set.Spec.Template.Spec
		got := fmt.Sprint(names(spec.InitContainers), names(spec.Containers))
		if want := "[certificates register agent chmpx] [application]"; got != want {
			t.Errorf("%s: %s, want %s", folder, got, want)
		}
		for name, want := range map[string]bool{"certificates": false, "register": false, "agent": true, "chmpx": true} {
			if isSidecar(find(t, &spec, name)) != want {
				t.Errorf("%s: %s is a sidecar: %v", folder, name, !want)
			}
		}
	}
}

// TestNothingButThePodsEndDeregisters: the kubelet runs preStop before it ends a container for
// whatever reason, so no probe may end the one that has it.
func TestNothingButThePodsEndDeregisters(t *testing.T) {
	for _, folder := range folders {
		spec := read(t, made(t, folder)).Set.Spec.Template.Spec
		hooks := 0
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			if c.Lifecycle == nil {
				continue
			}
			hooks++
			if c.LivenessProbe != nil || c.StartupProbe != nil {
				t.Errorf("%s: a probe ends %s, and with it the membership", folder, c.Name)
			}
			if c.Lifecycle.PostStart != nil {
				t.Errorf("%s: %s has a postStart", folder, c.Name)
			}
		}
		if hooks != 1 {
			t.Errorf("%s: %d containers have hooks", folder, hooks)
		}
	}
}

// TestRights: nobody has a capability, may get one, or may write to his image; nothing is
// privileged; only chmpx, and who needs its memory, is root.
func TestRights(t *testing.T) {
	for folder, roots := range map[string][]string{
		"base":    {"certificates", "chmpx", "application"},
		"example": {"certificates", "register", "agent", "chmpx", "application"},
	} {
		spec := read(t, made(t, folder)).Set.Spec.Template.Spec
		if spec.HostNetwork || spec.HostPID || spec.HostIPC {
			t.Errorf("%s: a namespace of the node", folder)
		}
		if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
			t.Errorf("%s: a token of Kubernetes that nobody needs", folder)
		}
		if p := spec.SecurityContext.SeccompProfile; p == nil || p.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: seccomp %+v", folder, p)
		}
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			s := c.SecurityContext
			switch {
			case s == nil, s.Privileged != nil, s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation,
				s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem,
				s.Capabilities == nil || len(s.Capabilities.Add) > 0 || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}):
				t.Errorf("%s: %s: %+v", folder, c.Name, s)
				continue
			}
			nonRoot := s.RunAsNonRoot != nil && *s.RunAsNonRoot && s.RunAsUser != nil && *s.RunAsUser == 65532
			if nonRoot == slices.Contains(roots, c.Name) {
				t.Errorf("%s: %s is root: %v", folder, c.Name, !nonRoot)
			}
		}
	}
}

// TestTokenIsTheAgentsAlone: neither chmpx nor the application can read it, and it is in no
// environment and on no command line.
func TestTokenIsTheAgentsAlone(t *testing.T) {
	for _, folder := range folders {
		spec := read(t, made(t, folder)).Set.Spec.Template.Spec
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			has := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "token" })
			if want := c.Name == "register" || c.Name == "agent"; has != want {
				t.Errorf("%s: %s has the token: %v", folder, c.Name, has)
			}
			for _, e := range c.Env {
				if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
					t.Errorf("%s: %s has a secret in %s", folder, c.Name, e.Name)
				}
			}
		}
	}
}

// TestRoomForChmpxsMemory: 136,175,616 bytes of messages and 7.1 MB of state (docs/flavours.md 4),
// as memory of whoever writes them, and some more of state where chmpx was killed.
func TestRoomForChmpxsMemory(t *testing.T) {
	const store, state = 136_175_616, 7_100_000
	for _, folder := range folders {
		spec := read(t, made(t, folder)).Set.Spec.Template.Spec
		for _, v := range spec.Volumes {
			if v.Name != "memory" {
				continue
			}
			limit := v.EmptyDir.SizeLimit.Value()
			if limit < store+10*state {
				t.Errorf("%s: %d bytes", folder, limit)
			}
			if c := find(t, &spec, "chmpx"); c.Resources.Limits.Memory().Value() < limit+64<<20 {
				t.Errorf("%s: chmpx may have %s", folder, c.Resources.Limits.Memory())
			}
		}
	}
}

// TestControlPortIsTheClusters: the policy leaves out no port but the control port's.
func TestControlPortIsTheClusters(t *testing.T) {
	m := read(t, made(t, "example"))
	if len(m.Policies) != 1 {
		t.Fatalf("%d policies", len(m.Policies))
	}
	open := map[string]int{}
	for _, rule := range m.Policies[0].Spec.Ingress {
		for _, p := range rule.Ports {
			from, to := int(p.Port.IntVal), int(p.Port.IntVal)
			if p.EndPort != nil {
				to = int(*p.EndPort)
			}
			if closed := 8022; *p.Protocol == corev1.ProtocolTCP && len(rule.From) == 0 && from <= closed && closed <= to {
				t.Error("the control port is open to everybody")
			}
			open[string(*p.Protocol)] += to - from + 1
		}
	}
	if want := map[string]int{"TCP": 65535, "UDP": 65535, "SCTP": 65535}; !cmp.Equal(open, want) {
		t.Errorf("ports: %v, want %v", open, want)
	}
	for _, s := range m.Services {
		for key, value := range s.Spec.Selector {
			if m.Set.Spec.Template.Labels[key] != value {
				t.Errorf("the Service selects %s=%s", key, value)
			}
		}
	}
	for key, value := range m.Policies[0].Spec.PodSelector.MatchLabels {
		if m.Set.Spec.Template.Labels[key] != value {
			t.Errorf("the NetworkPolicy selects %s=%s", key, value)
		}
	}
	if strings.TrimSpace(m.Set.Spec.ServiceName) != m.Services[0].Name {
		t.Errorf("the StatefulSet has the Service %s", m.Set.Spec.ServiceName)
	}
}
