package generator

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestGeneratedAgainOnlyWhereItHelps(t *testing.T) {
	const without, with = "[Service]\nPrivateUsers=no\n", "[Service]\nSupplementaryGroups=\n"
	for name, c := range map[string]struct {
		namespaces   bool
		agent, chmpx string
		reloads      int
	}{
		"namespaces, nothing generated":       {true, "", "", 0},
		"no namespaces, nothing generated":    {false, "", "", 1},
		"no namespaces, other rights":         {false, with, without, 1},
		"no namespaces, chmpx before that":    {false, without, "", 1},
		"no namespaces, generated after that": {false, without, without, 0},
		"namespaces, generated before that":   {true, without, without, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{dropIn: c.agent, chmpxunit.OptionsDropIn: c.chmpx} {
				if text == "" {
					continue
				}
				fatal.If(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755))
				fatal.If(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
			}
			reloads := 0
			failed := errors.New("no")
			a := again{dir: dir, userNamespaces: func() bool { return c.namespaces }, reload: func() error { reloads++; return failed }}
			if err := a.run(); reloads != c.reloads || (err != nil) != (reloads > 0) {
				t.Errorf("%d reloads, want %d; %v", reloads, c.reloads, err)
			}
		})
	}
}
