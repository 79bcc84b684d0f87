package machine

import (
	"path/filepath"
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
	libraries, err := p.Libraries(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{p.Chmpx, p.Status, p.Conftest} {
		files = append(files, File{Path: "/usr/bin/" + filepath.Base(program), Mode: 0o755, From: program})
	}
	for name, path := range libraries {
		// Where the loader looks without being told.
		files = append(files, File{Path: "/usr/lib/" + name, From: path})
	}
	return files, true
}
