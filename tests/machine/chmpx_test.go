package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/chmpx"
)

// chmpxFiles are chmpx and its tools for a machine: those of this host, or the
// stand-ins where it has none.
func chmpxFiles(t *testing.T) (files []File, real bool) {
	t.Helper()
	p, real := chmpx.Installed()
	if !real {
		p = chmpx.BuildT(t)
		return []File{
			{Path: "/usr/bin/chmpx", Mode: 0o755, From: p.Chmpx},
			{Path: "/usr/bin/chmpxstatus", Link: "chmpx"},
			{Path: "/usr/bin/chmpxconftest", Link: "chmpx"},
			{Path: "/usr/bin/standin.dir", Text: shmDir},
		}, false
	}
	base, err := Rootfs(t.Context(), Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{}
	for _, program := range []string{p.Chmpx, p.Status, p.Conftest} {
		files = append(files, File{Path: "/usr/bin/" + filepath.Base(program), Mode: 0o755, From: program})
		libs, err := lacking(base, program)
		if err != nil {
			t.Fatal(err)
		}
		for _, lib := range libs {
			if !taken[lib.Path] {
				taken[lib.Path] = true
				files = append(files, lib)
			}
		}
	}
	return files, true
}

// lacking are the shared libraries of this host that a program needs and a
// machine does not have. They go where the loader looks without being told.
func lacking(base, program string) (files []File, err error) {
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("ask for the libraries of %s: %w", program, err)
	}
	for line := range strings.Lines(string(out)) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if !ok {
			continue // the kernel's, and the loader itself
		}
		path, _, _ := strings.Cut(rest, " (")
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("%s needs %s: %s", program, name, rest)
		}
		if _, err := os.Stat(filepath.Join(base, path)); err == nil {
			continue
		}
		files = append(files, File{Path: "/usr/lib/" + name, From: path})
	}
	return files, nil
}
