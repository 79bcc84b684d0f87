package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/packaging/awaitchmpx"
	"k2hdkc-slave-agent/packaging/generator"
	"k2hdkc-slave-agent/packaging/maintain"
	"k2hdkc-slave-agent/packaging/preparechmpx"
	"k2hdkc-slave-agent/packaging/takeparked"
	"k2hdkc-slave-agent/packaging/waitonline"
	"k2hdkc-slave-agent/render/regularfile"
)

// otherNames are what the program is besides the agent, by the name that it is
// called by: what the packages need done on a host by somebody who reads the
// options as the agent does. nfpm.yaml has the links of these names. Each takes the
// arguments and returns the exit status.
func otherNames() map[string]func(args []string) int {
	return map[string]func(args []string) int{
		generator.Name:      generator.Main,
		generator.AgainName: generator.AgainMain,
		awaitchmpx.Name:     awaitchmpx.Main,
		preparechmpx.Name:   preparechmpx.Main,
		takeparked.Name:     takeparked.Main,
		waitonline.Name:     waitonline.Main,
		maintain.Name: func(args []string) int {
			return maintain.Main(args, os.Stdout, unregisterAsUnit)
		},
	}
}

// unregisterAsUnit is the verb unregister with the options that the service has.
func unregisterAsUnit(ctx context.Context, a agentunit.Agent) error {
	for _, entry := range a.Environ { // a proxy, for one
		name, value, _ := strings.Cut(entry, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	p := program{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard,
		system: options.System{Files: regularfile.Dir("/"), Environ: a.Environ, Dir: "/"},
	}
	if p.main(ctx, append([]string{"unregister"}, a.Flags...)) != 0 {
		return errors.New("this host is still in its role")
	}
	return nil
}
