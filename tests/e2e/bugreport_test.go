package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/realagent"
)

// archive returns the files of a bug report.
func archive(tb testing.TB, b []byte) map[string]string {
	tb.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(b))
	must(tb, err)
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		must(tb, err)
		text, err := io.ReadAll(r)
		must(tb, err)
		_, name, _ := strings.Cut(h.Name, "/")
		files[name] = string(text)
	}
}

// shapes are the forms of a secret that must not be in a text.
func shapes(secret string) map[string]string {
	m := map[string]string{"plain": secret, "URL-encoded": url.QueryEscape(secret), "URL-encoded as a path": url.PathEscape(secret)}
	for n, before := range []string{"", "x", "xy"} {
		core := strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(before+secret)), "=")
		m[fmt.Sprintf("base64 at %d", n)] = core[(n*8+5)/6+1 : len(core)-2]
	}
	return m
}

func TestABugReportHasNoSecrets(t *testing.T) {
	t.Parallel()
	const (
		token    = "7c41b0d99e2f4a6583c7d1e0f2a4b6c8d9e1f3a5b7c9d0e2f4a6b8c0d1e3f5a7"
		password = "canary/Pa55+word&"
		keyLine  = "MC4CAQAwBQYDK2VwBCIEIFcanaryCANARYcanaryCANARYcanaryQw"
	)
	pem := "-----BEGIN PRIVATE KEY-----\n" + keyLine + "\n-----END PRIVATE KEY-----\n"
	in64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	s := newSite(t, 1)
	for name, api := range map[string]string{
		"a configuration that is right":                 s.uri,
		"one with a password in the address of K2HR3's": "http://op:" + url.PathEscape(password) + "@k2hr3.shop.example:18080",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, s)
			proxy := "http://op:" + url.QueryEscape(password) + "@127.0.0.1:1/"
			// All that the programs of this host print has all the secrets in it.
			all := "R=" + token + " " + in64("x"+token) + " " + url.QueryEscape(password) + " " + in64("op:"+password) + " " + password
			program := func(name, text string) {
				write(t, h.path("bin/"+name), "#!/bin/sh\n/bin/cat <<'EOF'\nfirst line of "+name+"\n"+text+"\nlast line\nEOF\n")
				must(t, os.Chmod(h.path("bin/"+name), 0o755))
			}
			must(t, os.MkdirAll(h.path("bin"), 0o755))
			must(t, os.MkdirAll(h.path("antpickax"), 0o755))
			must(t, os.MkdirAll(h.path("state/replaced"), 0o755))
			must(t, os.MkdirAll(h.path("run"), 0o755))
			program("journalctl", all+"\n"+pem)                                                    // 1: the journal
			program("systemctl", "StatusText="+all+"\nEnvironment=X="+token+" HTTPS_PROXY="+proxy) // 2, 3: the units' state and environment
			program("chmpxstatus", all+"\n"+fmt.Sprintf("%q", pem))                                // 4: a tool
			write(t, h.path("token"), token+"\n")                                                  // 5: role-token-file
			write(t, h.path("antpickax/k2hr3-role-token"), "#include\nhttp://k2hr3/v1/userdata/"+token+"\n")
			write(t, h.path("key.pem"), pem) // 6: key-file
			write(t, h.path("cert.pem"), "none\n")
			write(t, h.output(), "# "+all+"\n[GLOBAL]\nGROUP = orders\n") // 7: slave.ini
			for i := range 2 {                                            // 8: one before
				write(t, h.path(fmt.Sprintf("state/replaced/2026010%dT000000.000.%d.ini", i+1, i)), fmt.Sprintf("# %d %s\n[GLOBAL]\n", i, all))
			}
			// 9: an error of K2HR3's
			write(t, h.path("run/status.json"), `{"schema":"k2hdkc-slave-agent/status/v1","health":"failed","conditions":[{"code":"k2hr3_unreachable","message":"proxy said `+password+` `+in64(token)+`"}],"k2hr3":{"last_error":"GET /v1/userdata/`+token+`?x=`+url.QueryEscape(password)+`"}}`)
			write(t, h.path("slave-agent.ini"), "# "+token+"\n[k2hr3]\napi-uri = "+api+"\nrole = "+s.SlaveRole()+
				"\nrole-token-file = "+h.path("token")+"\nkey-file = "+h.path("key.pem")+"\ncert-file = "+h.path("cert.pem")+"\n")
			cmd := h.command(deadline(t), "bugreport", "-", "--unit", "chmpx.service", "--status-command", "chmpxstatus", "--check-command", "")
			cmd.Env = append(h.without("PATH"), "PATH="+h.path("bin"), "HTTPS_PROXY="+proxy, "HTTP_PROXY="+proxy, // 10: proxies
				"SOME_TOKEN="+token, "K2HDKC_SLAVE_OWNER=0", "K2HDKC_SLAVE_GROUP="+in64(token)) // 11, 12: variables
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			must(t, cmd.Run())
			files := archive(t, stdout.Bytes())
			for name, text := range files {
				joined := strings.NewReplacer("\n", "", " ", "").Replace(text)
				for _, secret := range []string{token, password, keyLine} {
					for form, found := range shapes(secret) {
						if strings.Contains(text, found) || strings.Contains(joined, found) {
							t.Errorf("%s has a secret, %s:\n%s", name, form, text)
						}
					}
				}
			}
			for _, piece := range []string{"versions", "status.json", "doctor.json", "options", "environment", "slave.ini", "slave.ini.diff", "journal", "unit", "chmpx-unit", "chmpxstatus", "MANIFEST"} {
				if files[piece] == "" {
					t.Errorf("there is no %s:\n%s\n%s", piece, files["MANIFEST"], stderr.String())
				}
			}
			for piece, want := range map[string]string{
				"journal": "first line of journalctl\n", "chmpxstatus": "last line\n", "slave.ini": "GROUP = orders\n", "unit": "Environment=X=(not shown)",
				"options": "role = " + s.SlaveRole() + " (" + h.path("slave-agent.ini") + ":4)\n", "slave.ini.diff": "+++ 20260102T000000.000.1.ini\n@@ -1,2 +1,2 @@\n", "status.json": "k2hr3_unreachable",
			} {
				if !strings.Contains(files[piece], want) {
					t.Errorf("%s has no %q:\n%s", piece, want, files[piece])
				}
			}
		})
	}
}

func TestABugReportIsANewFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	h := newHost(t, s)
	p := h.start(s.args()...)
	p.says(realagent.Replaced, "")
	var kept []os.DirEntry
	until(t, "a text that is kept", func() bool {
		kept, _ = os.ReadDir(h.path("state/replaced"))
		return len(kept) == 1 && !strings.HasPrefix(kept[0].Name(), ".")
	})
	if info, err := kept[0].Info(); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	got := h.agent(append([]string{"bugreport", "--anonymize"}, s.args("--check-command", "")...)...)
	path := strings.TrimSpace(got.stdout)
	if got.status != 0 || !strings.HasPrefix(path, h.dir+"/k2hdkc-slave-agent-") || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	b, err := os.ReadFile(path)
	must(t, err)
	files := archive(t, b)
	for piece, text := range files {
		for _, word := range []string{hostCUK, id("kv", 0), name("kv", 0), addr(0)} {
			if strings.Contains(text, word) {
				t.Errorf("%s has %s:\n%s", piece, word, text)
			}
		}
	}
	if !regexp.MustCompile(`NAME +=  *name-\d`).MatchString(files["slave.ini"]) {
		t.Errorf("slave.ini:\n%s", files["slave.ini"])
	}
	if !strings.Contains(files["slave.ini.diff"], "+CUK                 = cuk-") {
		t.Errorf("slave.ini.diff:\n%s", files["slave.ini.diff"])
	}
	again := h.agent(append([]string{"bugreport", path}, s.args()...)...)
	if again.status != 1 || !strings.Contains(again.stderr, "is there already") {
		t.Errorf("%+v", again)
	}
	if got := h.agent("bugreport", "--anonymise"); got.status != 2 {
		t.Errorf("%+v", got)
	}
}
