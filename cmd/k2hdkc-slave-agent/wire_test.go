package main

import (
	"os"
	"strings"
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
