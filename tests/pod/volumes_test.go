package pod

import (
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// volume makes what the kubelet mounts for a volume, and returns its folder.
func (p *Pod) volume(v corev1.Volume) (string, error) {
	dir := filepath.Join(p.dir, v.Name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", err
	}
	if v.Secret != nil {
		return dir, p.fillSecret(v, p.node.secrets[v.Secret.SecretName])
	}
	if v.ConfigMap != nil {
		return dir, p.fillConfigMap(dir, p.node.manifest.Configs[v.ConfigMap.Name])
	}
	if v.EmptyDir == nil {
		return "", fmt.Errorf("the volume %s is of a kind that this test does not know", v.Name)
	}
	return dir, p.giveToGroup(dir, os.ModeSetgid|0o777)
}

func (p *Pod) fillConfigMap(dir string, data map[string]string) error {
	for name, text := range data {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// fillSecret replaces what is in the volume of a Secret as the kubelet does: a new folder, and a
// link that is renamed to lead there. Who opens a file by its path finds the whole old or the whole
// new set.
func (p *Pod) fillSecret(v corev1.Volume, data map[string][]byte) error {
	if data == nil {
		return fmt.Errorf("there is no Secret %s", v.Secret.SecretName)
	}
	dir := filepath.Join(p.dir, v.Name)
	fresh, err := os.MkdirTemp(dir, "..20261126_")
	if err != nil {
		return err
	}
	if err := p.giveToGroup(fresh, os.ModeSetgid|0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if m := v.Secret.DefaultMode; m != nil {
		mode = os.FileMode(*m)
	}
	files := map[string][]byte{}
	for _, item := range v.Secret.Items {
		content, ok := data[item.Key]
		if !ok {
			return fmt.Errorf("the Secret %s has no %s", v.Secret.SecretName, item.Key)
		}
		files[item.Path] = content
	}
	if len(v.Secret.Items) == 0 {
		files = data
	}
	for name, content := range files {
		path := filepath.Join(fresh, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := p.giveToGroup(path, mode|0o040); err != nil {
			return err
		}
		link := filepath.Join(dir, name)
		if _, err := os.Lstat(link); err != nil {
			if err := os.Symlink(filepath.Join("..data", name), link); err != nil {
				return err
			}
		}
	}
	if err := os.Symlink(filepath.Base(fresh), filepath.Join(dir, "..data_tmp")); err != nil {
		return err
	}
	before, _ := os.Readlink(filepath.Join(dir, "..data"))
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		return err
	}
	if before != "" {
		return os.RemoveAll(filepath.Join(dir, before))
	}
	return nil
}

// giveToGroup gives a file to the pod's fsGroup.
func (p *Pod) giveToGroup(path string, mode os.FileMode) error {
	group := 0
	if s := p.spec.SecurityContext; s != nil && s.FSGroup != nil {
		group = int(*s.FSGroup)
	}
	if err := os.Chown(path, 0, group); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}
