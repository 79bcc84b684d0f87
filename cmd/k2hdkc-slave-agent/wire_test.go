package main

import (
	"os"
	"strings"
	"testing"

	"k2hdkc-slave-agent/cmd/options"
)

func TestAnOwnerThatIsNotThereIsBlamedOnItsSource(t *testing.T) {
	verb, err := options.LookupVerb("run")
	if err != nil {
		t.Fatal(err)
	}
	o, err := options.Load(verb, []string{"--owner=nobody-of-this-name", "--group=0"}, options.System{Files: os.DirFS(t.TempDir()), Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := outputFile(o); err == nil || !strings.HasPrefix(err.Error(), "flag --owner: ") {
		t.Errorf("got %v", err)
	}
}
