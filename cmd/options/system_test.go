package options

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"k2hdkc-slave-agent/tests/fatal"
)

const (
	shopRole     = "yrn:yahoo:::shop:role:orders/slave"
	shopResource = "yrn:yahoo:::shop:resource:orders/slave"
	instance     = "6f1d0f1e-52a0-4f1c-9a57-0c3c2b7e11aa"
	token        = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// system is one with these files and this environment, working in /home/op.
func system(files map[string]string, environ ...string) System {
	all := fstest.MapFS{}
	for name, text := range files {
		all[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return System{Files: all, Environ: environ, Dir: "/home/op"}
}

// configured is a host whose configuration file has this text.
func configured(text string, environ ...string) System {
	return system(map[string]string{"/etc/k2hdkc/slave-agent.ini": text}, environ...)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// denying refuses to look at some files.
type denying struct {
	fs.FS
	names []string
}

func (d denying) Open(name string) (fs.File, error) {
	for _, n := range d.names {
		if "/"+name == n {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}
	}
	return d.FS.Open(name)
}

func deny(h System, names ...string) System {
	h.Files = denying{h.Files, names}
	return h
}

func verb(t *testing.T, name string) Verb {
	t.Helper()
	v, err := LookupVerb(name)
	fatal.If(t, err)
	return v
}

func mustLoad(t *testing.T, h System, args ...string) *Options {
	t.Helper()
	o, err := Load(verb(t, "run"), args, h)
	if err != nil {
		t.Fatalf("Load(%q): %v", args, err)
	}
	return o
}

// failLoad checks that the message says all of want and none of it unasked for, and returns the
// error.
func failLoad(t *testing.T, h System, args []string, want ...string) error {
	t.Helper()
	_, err := Load(verb(t, "run"), args, h)
	wantError(t, err, want...)
	return err
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), token) {
		t.Errorf("error %q tells the token", err)
	}
}

func isUsage(err error) bool { return errors.As(err, new(*UsageError)) }
