package regularfile

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

const module = "k2hdkc-slave-agent"

// opens is what opens a file, or has one opened, whatever it is.
var opens = map[string][]string{
	"os":                    {"Open", "OpenFile", "ReadFile", "Create", "CreateTemp", "WriteFile", "DirFS", "OpenRoot", "OpenInRoot", "ReadDir", "CopyFS", "RemoveAll"},
	"io/fs":                 {"ReadFile", "ReadDir", "Glob", "WalkDir"},
	"io/ioutil":             {"ReadFile", "WriteFile", "ReadDir", "TempFile"},
	"syscall":               {"Open", "Openat", "Creat"},
	"golang.org/x/sys/unix": {"Open", "Openat", "Openat2", "Creat"},
	"crypto/tls":            {"LoadX509KeyPair"},
	"crypto/x509":           {"SystemCertPool"},
	"mime":                  {"TypeByExtension", "ExtensionsByType"},
	"net/http":              {"FileServer", "FileServerFS", "ServeContent", "ServeFile", "ServeFileFS", "NewFileTransport", "NewFileTransportFS"},
	"os/user":               {"Current", "Lookup", "LookupId", "LookupGroup", "LookupGroupId"},
	"net": {
		"DefaultResolver", "Dialer", "Dial", "DialTimeout", "Listen", "ListenConfig", "ListenPacket",
		"LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupPort", "ResolveIPAddr", "ResolveTCPAddr", "ResolveUDPAddr",
	},
	"time":            {"LoadLocation", "Local"},
	"gopkg.in/ini.v1": {"Load", "LooseLoad"},
	"path/filepath":   {"Walk", "WalkDir", "Glob"},
	"text/template":   {"ParseFiles", "ParseGlob"},
}

// methods open a file if they are those of an *os.Root or an fs.FS, or read the names in an open
// folder, which may have any number.
var methods = []string{"Open", "OpenFile", "ReadFile", "Create", "OpenRoot", "WriteFile", "ReadDir", "Readdirnames", "Readdir"}

// allowed are the ways around this package, and why they wait for nobody, or where they end.
var allowed = map[string]string{
	"render/regularfile/regularfile.go os.OpenFile":         "this package",
	"render/regularfile/regularfile.go os.OpenRoot":         "of a path that can only be that of a folder",
	"render/regularfile/regularfile.go method Open":         "of the file system that it is given: its own, or a test's",
	"render/atomicfile/atomicfile.go method OpenFile":       "O_CREATE and O_EXCL: what is there already is not opened",
	"render/regularfile/regularfile.go method ReadDir":      "some names at a time",
	"watcher/k2hr3/roots.go method ReadDir":                 "4,096 names at most",
	"chmpx/daemon/signs.go method Readdirnames":             "of processes, for which the kernel has a limit",
	"cmd/k2hdkc-slave-agent/hanging.go path/filepath.Glob":  "of this process's threads",
	"cmd/doctor/unit.go method Readdirnames":                "65,536 names at most",
	"packaging/preparechmpx/prepare.go method Readdirnames": "of processes, descriptors and queues, for which the kernel has limits",
	"packaging/maintain/chmpx.go path/filepath.Glob":        "of processes, for which the kernel has a limit",
	"render/file.go method Open":                            "of an open folder, by the name .",
	"packaging/generator/main.go os.OpenFile":               "the kernel's log, a device, with O_NONBLOCK",
	"packaging/preparechmpx/prepare.go os.OpenFile":         "a kernel's setting below /proc/sys, to write it",
	"packaging/generator/generator.go method Open":          "of a file system that is this package's, or a test's",
	"chmpx/conftest/conftest.go os.CreateTemp":              "makes a file that nobody else has",
	"cmd/k2hdkc-slave-agent/check.go os.WriteFile":          "in a folder that was made for it just now",
	"cmd/doctor/application.go os.WriteFile":                "in a folder that was made for it just now",
	"cmd/bugreport/report.go os.OpenFile":                   "O_CREATE and O_EXCL: what is there already is not opened",
	"cmd/k2hdkc-slave-agent/bugreport.go os.WriteFile":      "in a folder that was made for it just now",
	"cmd/k2hdkc-slave-agent/bugreport.go os.RemoveAll":      "opens the folder above, in which a folder was made just now",
	"cmd/doctor/chmpx.go net.Dialer":                        "after CheckNames",
	"watcher/member/guard.go golang.org/x/sys/unix.Open":    "opens a folder, with O_DIRECTORY",
	"watcher/member/guard.go golang.org/x/sys/unix.Openat":  "O_NONBLOCK and O_NOFOLLOW, and nothing is read",
	"cmd/k2hdkc-slave-agent/check.go os.RemoveAll":          "opens the folder above, in which a folder was made just now",
	"packaging/awaitchmpx/main.go os.RemoveAll":             "the same",
	"cmd/k2hdkc-slave-agent/doctor.go os.RemoveAll":         "the same",
	"cmd/doctor/application.go os.RemoveAll":                "the same",
	"cmd/glance/eye.go os.RemoveAll":                        "the same",
	"watcher/host/look.go net.DefaultResolver":              "after CheckNames",
	"chmpx/daemon/half.go net.Dialer":                       "after CheckNames",
	"chmpx/daemon/half.go net.DefaultResolver":              "after CheckNames",
	"watcher/host/dns.go net.Dialer":                        "goes to addresses, not to names",
	"watcher/k2hr3/dial.go net.Dialer":                      "goes to addresses, not to names",
	"cmd/metrics/exposer.go net.Dialer":                     "goes to a socket of this host, not to a name",
	"watcher/k2hr3/dial.go net.DefaultResolver":             "after CheckNames",
	"cmd/k2hdkc-slave-agent/zone.go time.Local":             "is set, before anybody reads it",
	"cmd/metrics/exposer.go net.ListenConfig":               "after CheckNames; the port is a number",
}

// TestTheProductOpensFilesThroughThisPackage looks for calls that open a file in some other way, in
// all that is linked into the agent.
func TestTheProductOpensFilesThroughThisPackage(t *testing.T) {
	used := map[string]bool{}
	for _, dir := range product(t) {
		for _, name := range sources(t, dir) {
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			fatal.If(t, err)
			for _, o := range opening(file) {
				way := path.Join(dir, filepath.Base(name)) + " " + o.way
				used[way] = true
				if _, ok := allowed[way]; !ok {
					t.Errorf("%v: %s: open files through render/regularfile, or say in allowed why this waits for nobody and has a bound", set.Position(o.pos), o.way)
				}
			}
		}
	}
	for way := range allowed {
		if !used[way] {
			t.Errorf("%s is allowed, and nobody does it", way)
		}
	}
}

type found struct {
	way string
	pos token.Pos
}

// opening finds what opens files in a file of source.
func opening(file *ast.File) (all []found) {
	imported := map[string]string{}
	for _, i := range file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		name := strings.TrimSuffix(path.Base(p), ".v1")
		if i.Name != nil {
			name = i.Name.Name
		}
		imported[name] = p
	}
	called := map[ast.Expr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			called[c.Fun] = true
		}
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && imported[x.Name] != "" {
			if p := imported[x.Name]; slices.Contains(opens[p], s.Sel.Name) {
				all = append(all, found{fmt.Sprintf("%s.%s", p, s.Sel.Name), s.Pos()})
			}
			return true
		}
		if called[s] && slices.Contains(methods, s.Sel.Name) {
			all = append(all, found{"method " + s.Sel.Name, s.Pos()})
		}
		return true
	})
	return all
}

// product returns the folders of the packages that the agent is made of.
func product(t *testing.T) (dirs []string) {
	t.Helper()
	todo := []string{"cmd/" + module}
	for len(todo) > 0 {
		dir := todo[0]
		todo = todo[1:]
		if slices.Contains(dirs, dir) {
			continue
		}
		dirs = append(dirs, dir)
		for _, name := range sources(t, dir) {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			fatal.If(t, err)
			for _, i := range file.Imports {
				imported, _ := strconv.Unquote(i.Path.Value)
				if in, ok := strings.CutPrefix(imported, module+"/"); ok {
					todo = append(todo, in)
				}
			}
		}
	}
	if len(dirs) < 15 {
		t.Fatalf("only %q", dirs)
	}
	return dirs
}

// sources returns the files of a package, but for tests.
func sources(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	fatal.If(t, err)
	return slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

func TestOpeningFindsWhatOpensFiles(t *testing.T) {
	const source = `package p
import ("os"; other "io/fs"; "golang.org/x/sys/unix")
func f() {
	read := os.ReadFile
	read("a"); other.ReadFile(nil, "b"); unix.Open("c", 0, 0)
	var root *os.Root
	root.Open("d"); os.Stat("e")
}`
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	fatal.If(t, err)
	var ways []string
	for _, o := range opening(file) {
		ways = append(ways, o.way)
	}
	if want := []string{"os.ReadFile", "io/fs.ReadFile", "golang.org/x/sys/unix.Open", "method Open"}; !slices.Equal(ways, want) {
		t.Errorf("found %q, want %q", ways, want)
	}
}
