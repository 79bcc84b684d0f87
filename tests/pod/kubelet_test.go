package pod

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Node plays the kubelet.
type Node struct {
	*machine
	manifest *Manifest
	secrets  map[string]map[string][]byte // data of the Secrets by their names
	probes   sync.Mutex                   // one at a time: this machine has few processors
}

// Pod is a pod on the node.
type Pod struct {
	node     *Node
	Name, IP string
	dir      string // of its volumes
	spec     corev1.PodSpec

	mu       sync.Mutex
	ending   bool
	gone     bool
	restarts map[string]int
	watches  sync.WaitGroup
	stop     context.CancelFunc // ends what runs beside the pod

	exits map[string]int // how the containers have ended, after End
}

// NewPod makes a pod of the StatefulSet and its containers, and starts none.
func (n *Node) NewPod(name, ip string) (*Pod, error) {
	dir, err := os.MkdirTemp(n.dir, name+"-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	p := &Pod{
		node: n, Name: name, IP: ip, dir: dir, spec: *n.manifest.Set.Spec.Template.Spec.DeepCopy(),
		restarts: map[string]int{}, exits: map[string]int{},
	}
	text, err := p.played()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "pod.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return nil, err
	}
	_, err = n.try(n.tb.Context(), "kube", "play", "--start=false", "--network", network, "--ip", ip, file)
	return p, err
}

// played is the manifest of the pod as podman gets it: all containers as equals, without what the
// test does in podman's place, and with the values that the kubelet would put in.
func (p *Pod) played() ([]byte, error) {
	spec := p.spec.DeepCopy()
	pod := corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Labels: p.node.manifest.Set.Spec.Template.Labels},
	}
	pod.Spec = corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, ShareProcessNamespace: spec.ShareProcessNamespace,
		SecurityContext: &corev1.PodSecurityContext{}, TerminationGracePeriodSeconds: spec.TerminationGracePeriodSeconds,
	}
	if s := spec.SecurityContext; s != nil {
		pod.Spec.SecurityContext.Sysctls = s.Sysctls
	}
	for _, v := range spec.Volumes {
		dir, err := p.volume(v)
		if err != nil {
			return nil, err
		}
		kind := corev1.HostPathDirectory
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
			Name: v.Name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: &kind}},
		})
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		env, err := p.environment(c)
		if err != nil {
			return nil, err
		}
		image := c.Image
		if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
			image = image[:i]
		}
		c.Image, c.ImagePullPolicy = local(strings.TrimPrefix(image, "registry.example/")), corev1.PullNever
		if c.Name == "application" {
			c.Image = local(imageApplication)
		}
		c.Command, c.Args = expanded(c.Command, env), expanded(c.Args, env)
		c.Env, c.EnvFrom = env, nil
		c.RestartPolicy, c.StartupProbe, c.ReadinessProbe, c.LivenessProbe, c.Lifecycle = nil, nil, nil, nil, nil
		c.Resources = corev1.ResourceRequirements{}
		c.Ports = nil
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
	return yaml.Marshal(pod)
}

// environment is what a container gets from ConfigMaps, and from the pod's own fields.
func (p *Pod) environment(c corev1.Container) (env []corev1.EnvVar, err error) {
	values := map[string]string{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil || p.node.manifest.Configs[from.ConfigMapRef.Name] == nil {
			return nil, fmt.Errorf("%s: there is nothing to take variables from: %+v", c.Name, from)
		}
		maps.Copy(values, p.node.manifest.Configs[from.ConfigMapRef.Name])
	}
	fields := map[string]string{
		"spec.nodeName": "node-a", "status.hostIP": "10.0.0.11", "status.podIP": p.IP,
		"metadata.name": p.Name, "metadata.namespace": "shop", "spec.serviceAccountName": "default",
		"metadata.uid": filepath.Base(p.dir), // each pod has another
	}
	for _, e := range c.Env {
		values[e.Name] = e.Value
		if e.ValueFrom == nil {
			continue
		}
		if e.ValueFrom.FieldRef == nil || fields[e.ValueFrom.FieldRef.FieldPath] == "" {
			return nil, fmt.Errorf("%s: %s comes from %+v, which this test does not know", c.Name, e.Name, e.ValueFrom)
		}
		values[e.Name] = fields[e.ValueFrom.FieldRef.FieldPath]
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, corev1.EnvVar{Name: name, Value: values[name]})
	}
	return env, nil
}

// expanded is a command with each $(NAME) of a variable of the container's replaced.
func expanded(words []string, env []corev1.EnvVar) (all []string) {
	pairs := []string{}
	for _, e := range env {
		pairs = append(pairs, "$("+e.Name+")", e.Value)
	}
	variables := strings.NewReplacer(pairs...)
	for _, w := range words {
		all = append(all, variables.Replace(w))
	}
	return all
}

func (p *Pod) container(name string) string { return p.Name + "-" + name }

// Start starts the pod's containers as the kubelet does, and returns when the last one has been
// started.
func (p *Pod) Start(ctx context.Context) error {
	beside, stop := context.WithCancel(context.Background())
	p.stop = stop
	for _, c := range p.spec.InitContainers {
		if !isSidecar(c) {
			if err := p.init(ctx, c); err != nil {
				return err
			}
			continue
		}
		if err := p.keep(ctx, beside, c); err != nil {
			return err
		}
		if err := p.started(ctx, c); err != nil {
			return err
		}
	}
	for _, c := range p.spec.Containers {
		if err := p.keep(ctx, beside, c); err != nil {
			return err
		}
	}
	return nil
}

// init runs an init container to its end, again if that was a failure.
func (p *Pod) init(ctx context.Context, c corev1.Container) error {
	for {
		_, err := p.node.try(ctx, "start", "--attach", p.container(c.Name))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s does not end: %w\n%s", c.Name, ctx.Err(), p.Log(c.Name))
		}
		p.count(c.Name)
		if err := sleep(ctx, time.Second); err != nil {
			return fmt.Errorf("%s fails: %w\n%s", c.Name, err, p.Log(c.Name))
		}
	}
}

// keep starts a container, and again whenever it has ended.
func (p *Pod) keep(ctx, beside context.Context, c corev1.Container) error {
	if _, err := p.node.try(ctx, "start", p.container(c.Name)); err != nil {
		return err
	}
	p.watches.Go(func() {
		for p.ended(beside, c.Name) {
			p.mu.Lock()
			again := !p.ending
			p.mu.Unlock()
			if !again {
				return
			}
			p.count(c.Name)
			p.node.try(beside, "start", p.container(c.Name)) // what fails is seen by who waits for it
		}
	})
	return nil
}

// ended waits until a container has ended; false: or until ctx is. It asks podman only when the
// process is gone: with many pods anything else would be most of the work here.
func (p *Pod) ended(ctx context.Context, container string) bool {
	pid := 0
	for {
		if pid == 0 || unix.Kill(pid, 0) != nil {
			out, err := p.node.try(ctx, "inspect", "--format", "{{.State.Pid}} {{.State.Status}}", p.container(container))
			status := ""
			if _, errScan := fmt.Sscan(out, &pid, &status); err != nil || errScan != nil {
				return false
			}
			if status == "exited" {
				return true
			}
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return false
		}
	}
}

func (p *Pod) count(container string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restarts[container]++
}

// Restarts is how often a container was started again.
func (p *Pod) Restarts(container string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.restarts[container]
}

// started waits for a container's startup probe.
func (p *Pod) started(ctx context.Context, c corev1.Container) error {
	if c.StartupProbe == nil {
		return nil
	}
	for failures := int32(0); ; failures++ {
		err := p.probe(ctx, c, c.StartupProbe)
		if err == nil {
			return nil
		}
		if failures >= c.StartupProbe.FailureThreshold {
			return fmt.Errorf("the kubelet would restart %s: %w\n%s", c.Name, err, p.Log(c.Name))
		}
		if err := sleep(ctx, time.Duration(c.StartupProbe.PeriodSeconds)*time.Second); err != nil {
			return fmt.Errorf("%s is not up: %w\n%s", c.Name, err, p.Log(c.Name))
		}
	}
}

func (p *Pod) probe(ctx context.Context, c corev1.Container, probe *corev1.Probe) error {
	p.node.probes.Lock()
	defer p.node.probes.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	_, err := p.Exec(ctx, c.Name, probe.Exec.Command...)
	return err
}

// Exec runs a command in a container.
func (p *Pod) Exec(ctx context.Context, container string, command ...string) (string, error) {
	return p.node.try(ctx, append([]string{"exec", p.container(container)}, command...)...)
}

// Ready says why the pod is not ready; nil: it is.
func (p *Pod) Ready(ctx context.Context) error {
	for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		if c.ReadinessProbe == nil {
			continue
		}
		if err := p.probe(ctx, c, c.ReadinessProbe); err != nil {
			return fmt.Errorf("%s is not ready: %w", c.Name, err)
		}
	}
	return nil
}

// End ends the pod as the kubelet does that is told to.
func (p *Pod) End(ctx context.Context) error {
	grace := time.Duration(*p.spec.TerminationGracePeriodSeconds) * time.Second
	until := time.Now().Add(grace)
	left := func() string { return strconv.Itoa(max(int(time.Until(until).Seconds()), 2)) }
	p.mu.Lock()
	p.ending = true
	p.mu.Unlock()

	var hooks sync.WaitGroup
	for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
			continue
		}
		hooks.Go(func() {
			ctx, cancel := context.WithDeadline(ctx, until)
			defer cancel()
			if out, err := p.Exec(ctx, c.Name, c.Lifecycle.PreStop.Exec.Command...); err != nil {
				p.node.tb.Logf("%s: preStop of %s: %v %s", p.Name, c.Name, err, out)
			}
		})
	}
	var errs []error
	for _, c := range p.spec.Containers {
		_, err := p.node.try(ctx, "stop", "--time", left(), p.container(c.Name))
		errs = append(errs, err)
	}
	hooks.Wait() // a sidecar's hook has ended before its turn comes
	for _, c := range slices.Backward(p.spec.InitContainers) {
		if isSidecar(c) {
			_, err := p.node.try(ctx, "stop", "--time", left(), p.container(c.Name))
			errs = append(errs, err)
		}
	}
	for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		out, err := p.node.try(ctx, "inspect", "--format", "{{.State.ExitCode}}", p.container(c.Name))
		p.exits[c.Name], _ = strconv.Atoi(strings.TrimSpace(out))
		errs = append(errs, err)
	}
	return errors.Join(append(errs, p.remove(ctx))...)
}

// Lose ends the pod without any of that, as a node that is lost does.
func (p *Pod) Lose(ctx context.Context) error {
	p.mu.Lock()
	p.ending = true
	p.mu.Unlock()
	return p.remove(ctx)
}

func (p *Pod) remove(ctx context.Context) error {
	if p.stop != nil {
		p.stop()
	}
	if p.gone {
		return nil
	}
	_, err := p.node.try(ctx, "pod", "rm", "--force", "--time", "0", p.Name)
	p.watches.Wait()
	p.gone = err == nil
	return err
}

// Log is what a container has written.
func (p *Pod) Log(container string) string {
	cmd := p.node.podman(context.Background(), "logs", "--tail", "40", p.container(container))
	b, _ := cmd.CombinedOutput()
	return string(b)
}

// dump shows what the pod says, to find out why a test fails.
func (p *Pod) dump(t testing.TB) {
	for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		t.Logf("%s, restarted %d times:\n%s", p.container(c.Name), p.Restarts(c.Name), p.Log(c.Name))
	}
}

// file is a file in a volume, here.
func (p *Pod) file(volume, name string) string { return filepath.Join(p.dir, volume, name) }

// Renew replaces a Secret in the pod's volume.
func (p *Pod) Renew(volume string) error {
	for _, v := range p.spec.Volumes {
		if v.Name == volume {
			return p.fillSecret(v, p.node.secrets[v.Secret.SecretName])
		}
	}
	return fmt.Errorf("there is no volume %s", volume)
}

// sleep waits for d; the error is that ctx ended first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
