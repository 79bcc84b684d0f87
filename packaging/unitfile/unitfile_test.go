package unitfile

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fatal"
)

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func TestWhichFilesCount(t *testing.T) {
	const (
		vendor = "usr/lib/systemd/system/"
		admin  = "etc/systemd/system/"
		run    = "run/systemd/system/"
	)
	user := func(name string) *fstest.MapFile { return text("[Unit]\nUser=unit\n[Service]\nUser=" + name + "\n") }
	null := &fstest.MapFile{Mode: fs.ModeDevice | fs.ModeCharDevice}
	for _, c := range []struct {
		name, unit string
		files      fstest.MapFS
		want       string
	}{
		{"there is none", "a.service", nil, ""},
		{"a package's", "a.service", fstest.MapFS{vendor + "a.service": user("v")}, "v"},
		{"the administrator's hides it", "a.service", fstest.MapFS{vendor + "a.service": user("v"), admin + "a.service": user("a")}, "a"},
		{"masked", "a.service", fstest.MapFS{vendor + "a.service": user("v"), admin + "a.service": null}, ""},
		{"a drop-in", "a.service", fstest.MapFS{vendor + "a.service": user("v"), vendor + "a.service.d/x.conf": user("x")}, "x"},
		{"by name, wherever they are", "a.service", fstest.MapFS{admin + "a.service.d/10.conf": user("10"), vendor + "a.service.d/20.conf": user("20")}, "20"},
		{"one hides another of its name", "a.service", fstest.MapFS{admin + "a.service.d/20.conf": text(""), vendor + "a.service.d/20.conf": user("20"), run + "a.service.d/10.conf": user("10")}, "10"},
		{"a masked drop-in", "a.service", fstest.MapFS{admin + "a.service.d/20.conf": null, vendor + "a.service.d/20.conf": user("20")}, ""},
		{"no drop-in by its name", "a.service", fstest.MapFS{vendor + "a.service.d/20.conf.rpmsave": user("20")}, ""},
		{"a template", "a@b.service", fstest.MapFS{vendor + "a@.service": user("t")}, "t"},
		{"an instance's own", "a@b.service", fstest.MapFS{vendor + "a@.service": user("t"), vendor + "a@b.service": user("i")}, "i"},
		{"a template's drop-in", "a@b.service", fstest.MapFS{vendor + "a@.service": user("t"), admin + "a@.service.d/x.conf": user("x")}, "x"},
		{"taken back", "a.service", fstest.MapFS{vendor + "a.service": user("v"), admin + "a.service.d/x.conf": user("")}, ""},
	} {
		u, err := Read(c.files, c.unit)
		if got := u.Value("User"); got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestWhatIsWrongInOneFileDoesNotMatterToAnother(t *testing.T) {
	files := fstest.MapFS{
		"etc/systemd/system/a.service":             text("[Service]\nUser=a\n"),
		"etc/systemd/system/a.service.d/10.conf":   text("[Service]\nUser=10\nrubbish\n"),
		"etc/systemd/system/a.service.d/20.conf":   text("[Service]\nGroup=20\n"),
		"etc/systemd/system/a.service.d/huge.conf": text(strings.Repeat("#\n", regularfile.Small)),
	}
	u, err := Read(files, "a.service")
	if u.Value("User") != "10" || u.Value("Group") != "20" {
		t.Errorf("%+v", u)
	}
	for _, name := range []string{"10.conf", "huge.conf"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("nothing is said about %s: %v", name, err)
		}
	}
}

func TestListsAreTakenBackByAnEmptyValue(t *testing.T) {
	u, err := Read(fstest.MapFS{"etc/systemd/system/a.service": text("[Service]\nX=1\nX=2\nX=\nX=3 \\\n  4\n# X=5\nX=6\n")}, "a.service")
	if got, want := u.List("X"), []string{"3    4", "6"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestWords(t *testing.T) {
	for value, want := range map[string][]string{
		"":                              nil,
		" a  b\tc ":                     {"a", "b", "c"},
		`"a b" 'c d'`:                   {"a b", "c d"},
		`a="b c"d`:                      {"a=b cd"},
		`""`:                            {""},
		`a\x20b\sc\td`:                  {"a b c\td"},
		`\"a\" '\'' \u00e4 \q`:          {`"a"`, "'", "ä", `\q`},
		`50%% a`:                        {"50%", "a"},
		`A=ä`:                           {"A=ä"},
		`"it's" 'say "x"'`:              {"it's", `say "x"`},
		`"K2HDKC_SLAVE_OUTPUT=/srv/a b`: nil,
		`a %i b`:                        {"a", "b"},
	} {
		got, err := Words(value)
		if wrong := strings.Contains(value, "%i") || strings.Count(value, `"`) == 1; wrong != (err != nil) {
			t.Errorf("%s: %v", value, err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func TestEnvironAndCommand(t *testing.T) {
	files := fstest.MapFS{
		"etc/systemd/system/a.service": text(`[Service]
Environment="A=1 2" B=x
Environment=C=%i D=4
EnvironmentFile=-/etc/none
EnvironmentFile=/etc/default/a
ExecStart=-@/usr/bin/a run $FLAGS --b=${B} "${A}" $ONLY_ONE.ini $$ $NONE
`),
		"etc/default/a": text("# more\n\n; of it\nFLAGS=--x 'y z'\nE=\"a b\" \n B = y\nF=1\\\n2\n"),
	}
	u, err := Read(files, "a.service")
	fatal.If(t, err)
	environ, err := u.Environ(files)
	if err == nil || !strings.Contains(err.Error(), "%i") {
		t.Errorf("%%i: %v", err)
	}
	if want := []string{"A=1 2", "B=x", "D=4", "FLAGS=--x y z", "E=a b", "B=y", "F=12"}; !slices.Equal(environ, want) {
		t.Errorf("environment %q, want %q", environ, want)
	}
	argv, err := u.Command(environ)
	if want := []string{"/usr/bin/a", "run", "--x", "y", "z", "--b=y", "1 2", "$ONLY_ONE.ini", "$"}; err != nil || !slices.Equal(argv, want) {
		t.Errorf("%q, %v, want %q", argv, err, want)
	}
	if argv, err := (Unit{}).Command(nil); argv != nil || err != nil {
		t.Errorf("a unit without a command: %q, %v", argv, err)
	}
}
