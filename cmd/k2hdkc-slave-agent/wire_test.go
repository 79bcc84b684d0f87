package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestAnOwnerThatIsNotThereIsBlamedOnItsSource(t *testing.T) {
	verb, err := options.LookupVerb("run")
	fatal.If(t, err)
	o, err := options.Load(verb, []string{"--owner=nobody-of-this-name", "--group=0"}, options.System{Files: os.DirFS(t.TempDir()), Dir: "/"})
	fatal.If(t, err)
	if _, err := outputFile(o); err == nil || !strings.HasPrefix(err.Error(), "flag --owner: ") {
		t.Errorf("got %v", err)
	}
}

func TestTheAgentsFoldersAreOpenToEverybody(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := t.TempDir()
	o := &options.Options{StateDir: filepath.Join(dir, "var", "state"), RunDir: filepath.Join(dir, "run", "agent")}
	fatal.If(t, prepareDirs(o))
	for _, name := range []string{"var", "var/state", "run", "run/agent"} {
		info, err := os.Stat(filepath.Join(dir, name))
		fatal.If(t, err)
		if mode := info.Mode().Perm(); mode != 0o755 {
			t.Errorf("%s has mode %v", name, mode)
		}
	}
}
