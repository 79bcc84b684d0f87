package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"k2hdkc-slave-agent/cmd/options"
)

// release is set by the package build.
var release = ""

func (p *program) version() error { return writeVersion(p.stdout) }

func writeVersion(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s %s (%s, %s/%s)\n", options.Program, versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// versionName is the release, or what the build knows of its source.
func versionName() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}
