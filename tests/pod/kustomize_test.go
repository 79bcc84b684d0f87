package pod

import (
	"fmt"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// oneAtATime is for kustomize, which sets the schema of its library anew for each run, and reads it
// without a lock.
var oneAtATime sync.Mutex

// kustomize returns what "kubectl kustomize" prints for a folder.
func kustomize(files filesys.FileSystem, dir string) ([]byte, error) {
	oneAtATime.Lock()
	defer oneAtATime.Unlock()
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy // as kubectl does
	resources, err := krusty.MakeKustomizer(options).Run(files, dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", dir, err)
	}
	return resources.AsYaml()
}
