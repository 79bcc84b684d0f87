package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	cloudinit "k2hdkc-slave-agent/cloud-init"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/selfsigned"
)

const (
	vmAPI   = "https://k2hr3.shop.example"
	vmRole  = "yrn:yahoo:::shop:role:orders/slave"
	vmToken = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
)

// desk is where an operator types the command line.
type desk struct {
	t      *testing.T
	dir    string
	system options.System
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	d.system = options.System{Files: os.DirFS("/"), Dir: d.dir, Environ: []string{"K2HDKC_SLAVE_CONFIG=" + d.file("none.ini", 0o644, "")}}
	d.file("token", 0o600, vmToken+"\n")
	key, err := os.ReadFile("../../cloud-init/testdata/packages.asc")
	fatal.If(t, err)
	d.file("packages.asc", 0o644, string(key))
	return d
}

func (d *desk) file(name string, mode fs.FileMode, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	fatal.If(d.t, os.WriteFile(path, []byte(text), mode))
	return path
}

// good is a command line that works, with more flags after it; a flag twice is
// the last one.
func good(more ...string) []string {
	return append([]string{"user-data", "--api-uri", vmAPI, "--role", vmRole, "--role-token-file", "token",
		"--repo", "https://packages.shop.example", "--repo-key-file", "packages.asc"}, more...)
}

func (d *desk) run(args ...string) (status int, out, messages string) {
	d.t.Helper()
	var stdout, stderr bytes.Buffer
	p := program{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, system: d.system}
	status = p.main(context.Background(), args)
	if strings.Contains(stderr.String(), vmToken) {
		d.t.Errorf("%q: the token is in a message:\n%s", args, stderr.String())
	}
	return status, stdout.String(), stderr.String()
}

// print runs a command line that works, and expects nothing but the result.
func (d *desk) print(args ...string) string {
	d.t.Helper()
	status, out, messages := d.run(args...)
	if status != 0 || messages != "" {
		d.t.Fatalf("%q: status %d\n%s", args, status, messages)
	}
	return out
}

func TestUserDataInBothFormats(t *testing.T) {
	d := newDesk(t)
	for format, begin := range map[string]string{"cloud-config": "#cloud-config\n", "script": "#!/bin/sh\n"} {
		out := d.print(good("--format", format)...)
		for _, want := range []string{vmToken, cloudinit.TokenPath, cloudinit.ConfigPath, "api-uri = " + vmAPI, "role = " + vmRole, "BEGIN PGP PUBLIC KEY", "URIs: https://packages.shop.example/apt", "baseurl=https://packages.shop.example/yum", "chmpx.service"} {
			if !strings.HasPrefix(out, begin) || !strings.Contains(out, want) {
				t.Errorf("%s: no %s in\n%s", format, want, out)
			}
		}
	}
	if d.print(good()...) != d.print(good("--format", "cloud-config")...) {
		t.Error("cloud-config is not the default")
	}
}

// configIn is the agent's configuration in a script.
func configIn(t *testing.T, out string) string {
	t.Helper()
	_, rest, _ := strings.Cut(out, "put 0644 "+cloudinit.ConfigPath+" <<'END'\n")
	text, _, ok := strings.Cut(rest, "END\n")
	if !ok {
		t.Fatalf("no configuration in\n%s", out)
	}
	return text
}

func TestUserDataTakesOptionsAlong(t *testing.T) {
	d := newDesk(t)
	d.system.Environ = []string{
		"K2HDKC_SLAVE_INTERVAL=30s",
		"K2HDKC_SLAVE_CONFIG=" + d.file("cluster.ini", 0o644, "[slave]\noutput = /etc/antpickax/k2hdkc.ini\ncuk = here\ntag = here.shop.example\n[chmpx]\nstart = no\n"),
	}
	status, out, messages := d.run(good("--format", "script", "--role", strings.ToUpper(vmRole), "--log-level", "debug", "--unit", "")...)
	if status != 0 {
		t.Fatal(messages)
	}
	want := "[k2hr3]\napi-uri = " + vmAPI + "\nrole = " + vmRole + "\ninterval = 30s\n\n[slave]\noutput = /etc/antpickax/k2hdkc.ini\n\n[chmpx]\nunit =\nstart = no\n\n[agent]\nlog-level = debug\n"
	if got := configIn(t, out); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, key := range []string{"cuk (" + d.dir + "/cluster.ini:3) belongs to this host", "tag (" + d.dir + "/cluster.ini:4) belongs to this host"} {
		if !strings.Contains(messages, key) {
			t.Errorf("%s is not said:\n%s", key, messages)
		}
	}
	if strings.Contains(out, "chmpx.service") {
		t.Error("chmpx's unit is touched")
	}
	out = d.print(append(good("--format", "script"), "--tag", "app-9.shop.example", "--config", d.file("tagless.ini", 0o644, ""))...)
	if !strings.Contains(configIn(t, out), "tag = app-9.shop.example\n") {
		t.Error("a tag that is given for the VM is missing")
	}
}

// A slave makes user data for others like it.
func TestUserDataFromASlave(t *testing.T) {
	d := newDesk(t)
	d.system.Environ = append(d.system.Environ, "CREDENTIALS_DIRECTORY="+d.dir)
	d.file("role-token", 0o600, vmToken)
	for name, text := range map[string]string{"k2hr3-api-uri": vmAPI, "k2hr3-role-name": vmRole, "k2hr3-cuk": "this-one"} {
		d.file(name, 0o644, text)
	}
	status, out, messages := d.run("user-data", "--antpickax-dir", d.dir, "--repo", "https://packages.shop.example", "--repo-key-file", "packages.asc")
	if status != 0 || !strings.Contains(messages, "the role token is this host's, from "+d.dir+"/role-token") {
		t.Fatal(messages)
	}
	for _, want := range []string{"api-uri = " + vmAPI, "role = " + vmRole, vmToken} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if strings.Contains(out, "this-one") {
		t.Error("the slave's CUK is in it")
	}
}

func TestUserDataWithK2HR3sUserDataInPlaceOfAToken(t *testing.T) {
	d := newDesk(t)
	const include = "#include\n" + vmAPI + "/v1/userdata/Zm9v%3Abar%3D\n"
	d.file("token", 0o600, include)
	out := d.print(good("--format", "script")...)
	if !strings.Contains(out, "put 0600 "+cloudinit.TokenPath+" <<'END'\n"+include+"END\n") {
		t.Errorf("the address is not in\n%s", out)
	}
}

func TestUserDataTakesFilesAlong(t *testing.T) {
	d := newDesk(t)
	cert, key := selfsigned.Pair(t)
	d.file("ca.pem", 0o644, "the roots of the shop\n"+cert+cert)
	d.file("cert.pem", 0o644, key+cert) // both in one file, as some tools write it
	d.file("key.pem", 0o600, key)
	out := d.print(good("--format", "script", "--ca-file", "ca.pem", "--cert-file", "cert.pem", "--key-file", "key.pem")...)
	for _, want := range []string{
		"put 0644 " + cloudinit.CAPath + " <<'END'\n" + cert + cert + "END\n",
		"put 0644 " + cloudinit.CertPath + " <<'END'\n" + cert + "END\n",
		"put 0600 " + cloudinit.KeyPath + " <<'END'\n" + key + "END\n",
		"ca-file = " + cloudinit.CAPath + "\ncert-file = " + cloudinit.CertPath + "\nkey-file = " + cloudinit.KeyPath + "\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("missing:\n%s", want)
		}
	}
	if strings.Contains(out, "roots of the shop") {
		t.Error("more than certificates was taken along")
	}
}

func TestUserDataRefusesWhatWouldNotWork(t *testing.T) {
	d := newDesk(t)
	cert, key := selfsigned.Pair(t)
	otherCert, _ := selfsigned.Pair(t)
	d.file("cert.pem", 0o644, cert)
	d.file("other.pem", 0o644, otherCert)
	d.file("key.pem", 0o600, key)
	d.file("locked.pem", 0o600, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
	d.file("broken.pem", 0o644, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
	d.file("short", 0o600, vmToken[1:])
	d.file("binary", 0o600, "\x99\x01\x0d\xff")
	d.file("huge", 0o644, strings.Repeat("x", cloudinit.MaxBase64+1))
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"a format that is none", []string{"--format", "yaml"}, 2, `"yaml" is not one of cloud-config, script`},
		{"a CUK for every VM", []string{"--cuk", "abc"}, 2, "every VM has its own"},
		{"a token as flag", []string{"--role-token-file", vmToken}, 2, "looks like a token itself"},
		{"no token file", []string{"--role-token-file", "nowhere"}, 1, "nowhere"},
		{"a token too short", []string{"--role-token-file", "short"}, 1, "digits, and K2HR3's have 64"},
		{"no text for a token", []string{"--role-token-file", "binary"}, 1, "not a text file"},
		{"a directory for a token", []string{"--role-token-file", "."}, 1, "role-token-file"},
		{"no key", []string{"--chmpx-repo", "https://h.example/a"}, 1, "--chmpx-repo needs --chmpx-repo-key-file"},
		{"no repository", []string{"--chmpx-repo-key-file", "packages.asc"}, 1, "give --chmpx-repo too"},
		{"a repository that is none", []string{"--repo", "/srv/repo"}, 1, "--repo: "},
		{"repositories for two families", []string{"--repo", "deb https://h.example/a stable main", "--chmpx-repo", "rpm https://h.example/a", "--chmpx-repo-key-file", "packages.asc"}, 1, "no VM can use both"},
		{"a huge key", []string{"--repo-key-file", "huge"}, 1, "more than 65535 bytes"},
		{"certificates that are none", []string{"--ca-file", "packages.asc"}, 1, "no PEM certificate"},
		{"certificates that are broken", []string{"--ca-file", "broken.pem"}, 1, "cannot read one of its certificates"},
		{"a certificate without key", []string{"--cert-file", "cert.pem"}, 2, "set key-file too"},
		{"a key for another certificate", []string{"--cert-file", "other.pem", "--key-file", "key.pem"}, 1, "do not belong together"},
		{"no key in the key's file", []string{"--cert-file", "cert.pem", "--key-file", "cert.pem"}, 1, "no PEM private key"},
		{"an encrypted key", []string{"--cert-file", "cert.pem", "--key-file", "locked.pem"}, 1, "is encrypted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, messages := d.run(good(tt.args...)...)
			if status != tt.status || out != "" || !strings.Contains(messages, tt.want) {
				t.Errorf("status %d, want %d\n%s%s\nwant %q", status, tt.status, out, messages, tt.want)
			}
		})
	}
}

func TestUserDataNeedsWhatEveryVMNeeds(t *testing.T) {
	d := newDesk(t)
	d.system.Files = fstest.MapFS{}
	d.system.Environ = nil
	for _, tt := range []struct{ flag, want string }{
		{"--api-uri", "K2HR3's address is not known"},
		{"--role", "this host's role is not known"},
		{"--role-token-file", "there is no role token"},
		{"--repo-key-file", "--repo needs --repo-key-file"},
	} {
		args := good()
		i := slices.Index(args, tt.flag)
		status, out, messages := d.run(slices.Delete(args, i, i+2)...)
		if status != 1 || out != "" || !strings.Contains(messages, tt.want) {
			t.Errorf("without %s: status %d\n%s%s", tt.flag, status, out, messages)
		}
	}
}

func TestUserDataSaysWhatToMind(t *testing.T) {
	d := newDesk(t)
	d.file("open", 0o644, vmToken)
	fatal.If(t, os.Chmod(filepath.Join(d.dir, "open"), 0o644))
	status, out, messages := d.run(good("--role-token-file", "open")...)
	if status != 0 || out == "" || !strings.Contains(messages, "other users can read the role token: chmod 0600 "+d.dir+"/open") {
		t.Errorf("a token that everybody may read: status %d\n%s", status, messages)
	}
	args := good()
	args = args[:slices.Index(args, "--repo")]
	status, out, messages = d.run(args...)
	if status != 0 || out == "" || !strings.Contains(messages, "without --repo") {
		t.Errorf("no repository: status %d\n%s", status, messages)
	}
}

// TestUserDataWarnsOfAKeyThatExpires: it prints the user data all the same.
func TestUserDataWarnsOfAKeyThatExpires(t *testing.T) {
	need.Programs(t, "gpg", "gpgconf")
	d := newDesk(t)
	home := t.TempDir()
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	for expire, warned := range map[string]bool{"300d": true, "400d": false} {
		gpg := func(args ...string) string {
			out, err := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"}, args...)...).Output()
			fatal.If(t, err)
			return string(out)
		}
		gpg("--quick-gen-key", expire, "rsa2048", "sign", expire)
		d.file(expire, 0o644, gpg("--armor", "--export", expire))
		status, out, messages := d.run(good("--repo-key-file", expire)...)
		said := strings.Contains(messages, "/"+expire+" expires on "+time.Now().AddDate(0, 0, 300).UTC().Format("2006-01-"))
		if status != 0 || out == "" || said != warned {
			t.Errorf("%s: status %d\n%s", expire, status, messages)
		}
	}
}
