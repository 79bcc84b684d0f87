package cloudinit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheImageKnowsTheRepository: entries of the same repository go by the same key, and nothing
// else of the image is touched.
func TestTheImageKnowsTheRepository(t *testing.T) {
	const ours, key = "https://packages.example.com/k2hdkc/apt", "/etc/apt/keyrings/k2hdkc.asc"
	for name, c := range map[string]struct{ path, had, want string }{
		"a line with another key": {"sources.list.d/shop.list",
			"deb [arch=amd64 signed-by=/usr/share/keyrings/shop.gpg] " + ours + " stable main\ndeb http://h/debian stable main\n",
			"deb [arch=amd64  signed-by=" + key + "] " + ours + " stable main\ndeb http://h/debian stable main\n"},
		"a line without a key, and its sources": {"sources.list",
			"# ours\n deb " + ours + "/ stable main extra\ndeb-src " + ours + " stable main\n",
			"# ours\ndeb [ signed-by=" + key + "] " + ours + "/ stable main extra\ndeb-src [ signed-by=" + key + "] " + ours + " stable main\n"},
		"another suite, another repository": {"sources.list.d/shop.list",
			"deb [signed-by=/k] " + ours + " testing main\n#deb " + ours + " stable main\ndeb [signed-by=/k] " + ours + "2 stable main\n", ""},
		"the same key": {"sources.list.d/shop.list", "deb [signed-by=" + key + "] " + ours + " stable main\n", ""},
		"a stanza among others": {"sources.list.d/shop.sources",
			"Types: deb\nURIs: http://h/debian\nSuites: stable\nComponents: main\nSigned-By: /k\n\n# ours\nTypes: deb\nURIs: http://h/a\n " + ours +
				"/\nSuites: stable\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x\n -----END PGP PUBLIC KEY BLOCK-----\nComponents: main\n\nTypes: deb\nURIs: http://i\nSuites: ./\n",
			"Types: deb\nURIs: http://h/debian\nSuites: stable\nComponents: main\nSigned-By: /k\n\n# ours\nTypes: deb\nURIs: http://h/a\n " + ours +
				"/\nSuites: stable\nComponents: main\nSigned-By: " + key + "\n\nTypes: deb\nURIs: http://i\nSuites: ./\n"},
		"a stanza without a key": {"sources.list.d/shop.sources",
			"types: deb\nuris: " + ours + "\nsuites: other stable\ncomponents: main", "types: deb\nuris: " + ours + "\nsuites: other stable\ncomponents: main\nSigned-By: " + key + "\n"},
		"a stanza of another suite": {"sources.list.d/shop.sources", "Types: deb\nURIs: " + ours + "\nSuites: testing\nComponents: main\nSigned-By: /k\n", ""},
		"the file that README names": {"sources.list.d/k2hdkc.sources", "Types: deb\nURIs: " + ours + "\nSuites: stable\nComponents: main\nSigned-By: /k\n",
			"# Packages of k2hdkc\nTypes: deb\nURIs: " + ours + "\nSuites: stable\nComponents: main\nSigned-By: " + key + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFresh(t, "apt-get")
			f.file("apt/"+c.path, c.had)
			if c.want == "" {
				c.want = c.had
			}
			for range 2 { // a second time changes nothing
				out, files, _, err := f.run(shells(t)[0], render(t, example(t).Script))
				if err != nil || !strings.Contains(out, "check: OK") {
					t.Fatalf("%v\n%s", err, out)
				}
				if diff := cmp.Diff(c.want, files["0644 /apt/"+c.path]); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if said := strings.Contains(out, "goes by the key in"); said && c.want == c.had {
					t.Errorf("it says\n%s", out)
				}
				for name := range files {
					if strings.HasSuffix(name, ".part") {
						t.Errorf("%s is left", name)
					}
				}
			}
		})
	}
}
