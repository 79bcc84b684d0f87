// Command manual writes the configuration file of the packages, the man pages, the
// completions of bash, zsh and fish, and what there is to know of the log:
// packaging/slave-agent.ini, packaging/man, packaging/completions, the journal's
// catalog, docs/journal.md and the ids in cmd/service:
//
//	go run ./packaging/manual
//
// What they say of verbs and options comes from the tables of cmd/options, which
// `--help` is made from as well, and of the log from the table of packaging/events;
// what an administrator has to know besides is in the templates beside this file.
// The written files are committed, and a test fails when they are not what would be
// written.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	if err := writeAll("packaging"); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

// file is a file that is written, named by its path below packaging.
type file struct {
	path string
	text func() (string, error)
}

func files() []file {
	return []file{
		{"slave-agent.ini", config},
		{"man/k2hdkc-slave-agent.8", page(template8)},
		{"man/slave-agent.ini.5", page(template5)},
		{"completions/k2hdkc-slave-agent.bash", completion(bashTemplate)},
		{"completions/_k2hdkc-slave-agent", completion(zshTemplate)},
		{"completions/k2hdkc-slave-agent.fish", completion(fishTemplate)},
		{"k2hdkc-slave-agent.catalog", catalog},
		{"../docs/journal.md", journalDoc},
		{"../cmd/service/eventids.go", eventIDs},
	}
}

// writeAll writes every file below a folder, all of them or none.
func writeAll(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "manual")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s/manual here: run it at the root of the source", dir)
	}
	made := map[string]string{}
	for _, f := range files() {
		text, err := f.text()
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		made[filepath.Join(dir, f.path)] = text
	}
	for path, text := range made {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
