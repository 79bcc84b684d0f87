// Package pod tests the manifests of packaging/kubernetes: that Kubernetes takes them, and that the
// pods they make work, from the first start to the node that is drained.
//
// # Pods without Kubernetes
//
// podman makes the containers of a pod from the manifest as it is (kube play), in a network
// namespace of the test's own, with real network, IPC and PID namespaces, users, capabilities and
// read-only roots. What podman does not do, or not as the kubelet does, the test does at the
// kubelet's moments, and reads from the manifest what and when:
//
//   - The order of the containers: init containers one after the other, each to its end;
//     those with restartPolicy Always (native sidecars) run on, and the next one waits for their
//     startup probe; then the containers of the pod.
//   - Probes, with their period, their time limit and their number of failures.
//   - Restarts of what ends, at once; the kubelet makes longer pauses from the second one on.
//   - The end: preStop hooks first, all at the same time; SIGTERM to the containers of the pod;
//     when they have ended, to the sidecars, the last one first; SIGKILL after the grace period.
//   - Volumes: emptyDir, ConfigMaps, Secrets (replaced as a whole, by the rename of a link) and
//     their modes and groups; limits of memory are left out.
//   - The variables that come from the pod's own fields, and from ConfigMaps, also in commands.
//   - StatefulSet: pods get their names, and those that are gone are made anew.
//   - NetworkPolicy: nothing enforces it here.
//
// It is a module of its own: what it takes to read manifests is no dependency of the agent's.
package pod
