package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	release := flag.String("release", "", "version of the program")
	copyright := flag.String("copyright", "", "copyright file, as Debian has it")
	flag.Parse()
	if flag.NArg() != 1 || *release == "" || *copyright == "" {
		fmt.Fprintln(os.Stderr, "usage: sbom -release VERSION -copyright FILE PROGRAM")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *release, *copyright); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(program, release, copyright string) error {
	made, err := epoch()
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	bytes, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(copyright)
	if err != nil {
		return err
	}
	known, err := licences(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", copyright, err)
	}
	b, err := describe(filepath.Base(program), release, sha256.Sum256(bytes), made, info, known)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(b)
}

// epoch is when the program was made, as far as the bill is concerned.
func epoch() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, not a number of seconds", s)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
