// Command image makes the agent's container image without a container daemon: an archive of an OCI
// layout with one image for each architecture. packaging/build calls it.
//
//	go run -C packaging/image . -version 1.2.3 -out agent.tar amd64=PROGRAM,SBOM arm64=…,…
//
// The same programs, version and SOURCE_DATE_EPOCH give the same bytes. It is a module of its own,
// so that what it needs is no dependency of the agent's.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	version := flag.String("version", "", "the agent's `VERSION`")
	out := flag.String("out", "", "the archive to write, `FILE`.tar")
	flag.Parse()
	if err := run(*version, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "packaging/image:", err)
		os.Exit(1)
	}
}

func run(version, out string, args []string) error {
	if version == "" || out == "" || len(args) == 0 {
		return fmt.Errorf("give -version, -out, and an ARCH=PROGRAM,SBOM for each architecture")
	}
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is the time that everything carries: %w", err)
	}
	var platforms []Platform
	for _, arg := range args {
		arch, files, _ := strings.Cut(arg, "=")
		program, sbom, ok := strings.Cut(files, ",")
		if !ok {
			return fmt.Errorf("%q is not ARCH=PROGRAM,SBOM", arg)
		}
		p := Platform{Arch: arch}
		if p.Program, err = os.ReadFile(program); err != nil {
			return err
		}
		if p.SBOM, err = os.ReadFile(sbom); err != nil {
			return err
		}
		platforms = append(platforms, p)
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	err = Write(f, version, time.Unix(seconds, 0).UTC(), platforms)
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		os.Remove(out)
	}
	return err
}
