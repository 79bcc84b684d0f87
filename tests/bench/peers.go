package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// envPeers is the environment variable that tells the benchmarks in which folder the peers are.
// Without it they measure the agent and the timer alone.
const envPeers = "K2HDKC_BENCH_PEERS"

// peer is a program that also keeps a file by what a service says. None of them speaks to K2HR3.
type peer struct {
	name            string
	module, version string
	program         string // the program's folder in the module
}

var peers = []peer{
	{name: consulTemplate, module: "github.com/hashicorp/consul-template", version: "v0.41.1"},
	{name: confd, module: "github.com/abtreece/confd", version: "v0.20.0", program: "/cmd/confd"},
}

// build builds the peer into dir/bin, stripped, in a module of its own: this one's go.mod knows
// nothing of it.
func (p peer) build(ctx context.Context, dir string) error {
	module := filepath.Join(dir, p.name)
	if err := os.MkdirAll(module, 0o755); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mod", "init", "peer"},
		{"mod", "edit", "-require=" + p.module + "@" + p.version},
		{"build", "-mod=mod", "-buildvcs=false", "-ldflags", "-s -w", "-o", p.path(dir), p.module + p.program},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

func (p peer) path(dir string) string { return filepath.Join(dir, "bin", p.name) }
