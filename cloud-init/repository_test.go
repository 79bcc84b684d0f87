package cloudinit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRepositoriesThatAreTaken(t *testing.T) {
	tests := []struct{ spec, apt, yum string }{
		{"https://packages.example.com/k2hdkc", "https://packages.example.com/k2hdkc/apt stable main", "https://packages.example.com/k2hdkc/yum"},
		{"http://10.0.2.2:8000/", "http://10.0.2.2:8000/apt stable main", "http://10.0.2.2:8000/yum"},
		{"http://[fd00::1]:8000", "http://[fd00::1]:8000/apt stable main", "http://[fd00::1]:8000/yum"},
		{"  deb   https://h.example/a   $RELEASE main  extra ", "https://h.example/a $RELEASE main extra", ""},
		{"deb https://h.example/a ./", "https://h.example/a ./", ""},
		{"rpm https://h.example/el/$releasever/$basearch", "", "https://h.example/el/$releasever/$basearch"},
	}
	for _, tt := range tests {
		r, err := ParseRepository("x", tt.spec, key(t), time.Now())
		if err != nil {
			t.Errorf("%s: %v", tt.spec, err)
			continue
		}
		if diff := cmp.Diff([]string{tt.apt, tt.yum}, []string{r.apt, r.yum}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.spec, diff)
		}
	}
}

func TestRepositoriesThatAreRefused(t *testing.T) {
	tests := []struct{ name, spec, want string }{
		{"nothing", "", "is not a repository"},
		{"no URL", "packages.example.com/k2hdkc", "not the URL of a repository"},
		{"another scheme", "ftp://h.example/a", `scheme "ftp"`},
		{"a file of this host", "file:///srv/repo", "not the URL of a repository"},
		{"no host", "https:///a", "not the URL of a repository"},
		{"a password", "https://me:secret@h.example/a", "user name"},
		{"a password in what is no URL", "h.example:me:secret@x y", "is not a repository"},
		{"a query", "https://h.example/a?b=c", "query or fragment"},
		{"what dnf replaces, in both", "https://h.example/$basearch", "would not take literally"},
		{"what another thing replaces", "rpm https://h.example/$awsregion", "would not take literally"},
		{"a percent sign", "https://h.example/a%20b", "would not take literally"},
		{"a quote", "https://h.example/a'b", "would not take literally"},
		{"a command", "https://h.example/`id`", "would not take literally"},
		{"a command for the shell", "deb https://h.example/$(id) stable main", "would not take literally"},
		{"options of apt", "deb [trusted=yes] https://h.example/a stable main", "options in brackets"},
		{"no suite", "deb https://h.example/a", "names no suite"},
		{"no component", "deb https://h.example/a stable", "names no component"},
		{"components of a flat one", "deb https://h.example/a ./ main", "without components"},
		{"a variable as suite", "deb https://h.example/a $MIRROR main", "$RELEASE"},
		{"a command as suite", "deb https://h.example/a $(id) main", "$RELEASE"},
		{"a command as component", "deb https://h.example/a stable `id`", "component"},
		{"too much for rpm", "rpm https://h.example/a stable main", "is not a repository"},
		{"two URLs", "https://h.example/a https://h.example/b", "is not a repository"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseRepository("x", tt.spec, key(t), time.Now())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q in it", tt.spec, err, tt.want)
			}
		})
	}
}
