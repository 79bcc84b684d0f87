package pod

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Manifest is what a kustomization makes, in Kubernetes' own types.
type Manifest struct {
	Set      *appsv1.StatefulSet
	Configs  map[string]map[string]string // the data of ConfigMaps by their names
	Services []*corev1.Service
	Policies []*networkingv1.NetworkPolicy
	Secrets  map[string]*corev1.Secret
}

// Read reads manifests strictly: a field that Kubernetes does not know, or knows by another type,
// is an error, and so is a field that is there twice.
func Read(text []byte) (*Manifest, error) {
	m := &Manifest{Configs: map[string]map[string]string{}, Secrets: map[string]*corev1.Secret{}}
	documents := yamlstream.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	defer documents.Close()
	buffer := make([]byte, 1<<20)
	for {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		if err := m.add(buffer[:n]); err != nil {
			return nil, err
		}
	}
}

func (m *Manifest) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	var into any
	switch kind.APIVersion + " " + kind.Kind {
	case " ":
		return nil
	case "apps/v1 StatefulSet":
		if m.Set != nil {
			return errors.New("there are two StatefulSets")
		}
		m.Set = new(appsv1.StatefulSet)
		into = m.Set
	case "v1 Service":
		m.Services = append(m.Services, new(corev1.Service))
		into = m.Services[len(m.Services)-1]
	case "networking.k8s.io/v1 NetworkPolicy":
		m.Policies = append(m.Policies, new(networkingv1.NetworkPolicy))
		into = m.Policies[len(m.Policies)-1]
	case "v1 ConfigMap":
		into = new(corev1.ConfigMap)
	case "v1 Secret":
		into = new(corev1.Secret)
	default:
		return fmt.Errorf("%s of %s is nothing that this test knows", kind.Kind, kind.APIVersion)
	}
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return fmt.Errorf("%s: %w", kind.Kind, err)
	}
	strict, err := json.UnmarshalStrict(text, into)
	if err := errors.Join(append(strict, err)...); err != nil {
		return fmt.Errorf("%s: %w", kind.Kind, err)
	}
	switch o := into.(type) {
	case *corev1.ConfigMap:
		m.Configs[o.Name] = o.Data
	case *corev1.Secret:
		m.Secrets[o.Name] = o
	}
	return nil
}

// isSidecar: the kubelet keeps the init container running.
func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
