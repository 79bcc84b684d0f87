package pod

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"k2hdkc-slave-agent/tests/realagent"
)

// document is docs/kubernetes.md.
func document(t *testing.T) string {
	t.Helper()
	return string(mustRead(t, filepath.Join(realagent.Root(), "docs/kubernetes.md")))
}

// block returns the one block of the document that begins so.
func block(t *testing.T, begin string) string {
	t.Helper()
	_, rest, ok := strings.Cut(document(t), "\n"+begin)
	text, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatalf("docs/kubernetes.md has no block that begins with %q", begin)
	}
	return begin + text + "\n"
}

// chart makes what an operator of the chart gets who does as the document says.
func chart(t *testing.T) []byte {
	t.Helper()
	files := filesys.MakeFsInMemory()
	copyTree(t, files, "packaging/kubernetes")
	for path, text := range map[string]string{
		"all.yaml":           string(mustRead(t, "testdata/chart/all.yaml")),
		"kustomization.yaml": strings.ReplaceAll(block(t, "# kustomization.yaml"), "k2hdkc-slave-agent/packaging", "../packaging"),
	} {
		if err := files.WriteFile("/orders/"+path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := kustomize(files, "/orders")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestChartWithTheAgentIsAsReviewed(t *testing.T) {
	got := chart(t)
	const golden = "testdata/chart.yaml"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(mustRead(t, golden)), string(got)); diff != "" {
		t.Errorf("look at it, then go test -run Chart . -update (-want +got):\n%s", diff)
	}
	spec := read(t, got).Set.Spec.Template.Spec
	order := fmt.Sprint(names(spec.InitContainers), names(spec.Containers))
	if want := "[slvinit-orders register agent slvchmpx-orders] [slvk2hdkc-orders]"; order != want {
		t.Errorf("%s, want %s", order, want)
	}
	mounts := func(container, volume string) bool {
		return slices.ContainsFunc(find(t, &spec, container).VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume })
	}
	for _, c := range slices.Concat(names(spec.InitContainers), names(spec.Containers)) {
		if has, want := mounts(c, "secret-k2hr3-ca-k2hr3"), c == "slvinit-orders"; has != want {
			t.Errorf("%s has the authority's key: %v", c, has)
		}
		if has, want := mounts(c, "secret-orders-k2hr3-token"), c == "register" || c == "agent"; has != want {
			t.Errorf("%s has the token: %v", c, has)
		}
	}
	for _, c := range []string{"agent", "slvchmpx-orders"} {
		if !isSidecar(find(t, &spec, c)) {
			t.Errorf("%s is no sidecar", c)
		}
	}
	if probe := find(t, &spec, "agent"); probe.StartupProbe != nil || probe.LivenessProbe != nil || probe.Lifecycle.PreStop == nil {
		t.Errorf("the agent's probes and hooks: %+v", probe)
	}
}

// TestChartTakesFewLines: an operator writes at most ten.
func TestChartTakesFewLines(t *testing.T) {
	lines := 0
	for _, begin := range []string{"# kustomization.yaml", "#!/bin/sh"} {
		for line := range strings.Lines(block(t, begin)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "# ") {
				lines++
			}
		}
	}
	lines++ // --post-renderer
	t.Logf("%d lines", lines)
	if lines > 10 {
		t.Errorf("%d lines", lines)
	}
}

// TestDocumentNamesWhatThereIs: containers, files and variables of the document exist.
func TestDocumentNamesWhatThereIs(t *testing.T) {
	text := document(t)
	spec := read(t, made(t, "base")).Set.Spec.Template.Spec
	for i, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if row := fmt.Sprintf("| %d | `%s` |", i+1, c.Name); !strings.Contains(text, row) {
			t.Errorf("the document has no %s", row)
		}
	}
	for _, path := range regexp.MustCompile("packaging/kubernetes(/[A-Za-z]+)?").FindAllString(text, -1) {
		if _, err := os.Stat(filepath.Join(realagent.Root(), path)); err != nil {
			t.Error(err)
		}
	}
	all := bytes.Join([][]byte{made(t, "base"), made(t, "example"), chart(t)}, nil)
	for _, name := range regexp.MustCompile(`K2HDKC_SLAVE_[A-Z_]+`).FindAllString(text, -1) {
		if !bytes.Contains(all, []byte(name)) {
			t.Errorf("no manifest has %s", name)
		}
	}
	containerfile := mustRead(t, filepath.Join(realagent.Root(), "packaging/kubernetes/Containerfile"))
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(strings.TrimSpace(line), "\\ \n"); strings.HasPrefix(line, "podman build") || strings.HasPrefix(line, "--build-arg") {
			if !bytes.Contains(containerfile, []byte(line)) {
				t.Errorf("the Containerfile does not say %q", line)
			}
		}
	}
}
