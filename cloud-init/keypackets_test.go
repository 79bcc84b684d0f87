package cloudinit

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/need"
)

// gpgKey makes a key as an operator would, and returns its public half. Each command is the
// arguments of one gpg; KEY in them is the key's fingerprint.
func gpgKey(t *testing.T, commands ...[]string) string {
	t.Helper()
	home := t.TempDir()
	var key string
	gpg := func(args ...string) string {
		t.Helper()
		for i, a := range args {
			args[i] = strings.ReplaceAll(a, "KEY", key)
		}
		var stderr strings.Builder
		cmd := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %q: %v\n%s", args, err, stderr.String())
		}
		return string(out)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	for _, c := range commands {
		gpg(c...)
		for line := range strings.Lines(gpg("--with-colons", "--list-keys")) {
			if f := strings.Split(line, ":"); f[0] == "fpr" && key == "" {
				key = f[9]
			}
		}
	}
	return gpg("--armor", "--export", "KEY")
}

func TestKeysThatNoVMWouldTake(t *testing.T) {
	need.Programs(t, "gpg", "gpgconf")
	now := time.Now()
	ago := func(d time.Duration) string { return now.Add(-d).UTC().Format("20060102T150405!") }
	const day = 24 * time.Hour
	quick := func(algorithm, usage, expire string, more ...string) []string {
		return append(more, "--quick-gen-key", "p@shop.example", algorithm, usage, expire)
	}
	for _, c := range []struct {
		name    string
		key     [][]string
		refused string        // "": it is taken
		expires time.Duration // from now; 0: never
	}{
		{"as packaging/README.md says", [][]string{quick("rsa3072", "sign", "never")}, "", 0},
		{"newer than rpm on EL8", [][]string{quick("ed25519", "sign", "never")}, "", 0},
		{"the usual one, with a subkey for encryption", [][]string{quick("rsa2048", "default", "never")}, "", 0},
		{"it expires in a month", [][]string{quick("rsa2048", "sign", "30d")}, "", 30 * day},
		{"it has a new date", [][]string{
			quick("rsa2048", "sign", "10d", "--faked-system-time", ago(100*day)), {"--quick-set-expire", "KEY", "2y"},
		}, "", 730 * day},
		{"a subkey for signing", [][]string{quick("rsa2048", "cert", "never"), {"--quick-add-key", "KEY", "rsa2048", "sign", "never"}}, "", 0},
		{"a subkey for signing that expires first", [][]string{
			quick("rsa2048", "cert", "3y"), {"--quick-add-key", "KEY", "rsa2048", "sign", "40d"},
		}, "", 40 * day},
		{"SHA-1 before, SHA-256 now", [][]string{
			quick("rsa2048", "sign", "never", "--cert-digest-algo", "SHA1", "--faked-system-time", ago(100*day)),
			{"--cert-digest-algo", "SHA256", "--quick-set-expire", "KEY", "0"},
		}, "", 0},

		{"SHA-1", [][]string{quick("rsa2048", "sign", "never", "--cert-digest-algo", "SHA1")}, "SHA-1", 0},
		{"expired", [][]string{quick("rsa2048", "sign", "10d", "--faked-system-time", ago(20*day))}, "has expired on ", 0},
		{"expired, its subkey not", [][]string{
			quick("rsa2048", "cert", "10d", "--faked-system-time", ago(20*day)),
			{"--faked-system-time", ago(19 * day), "--quick-add-key", "KEY", "rsa2048", "sign", "never"},
		}, "has expired on ", 0},
		{"too short", [][]string{quick("rsa1024", "sign", "never")}, "1024 bits", 0},
		{"DSA", [][]string{quick("dsa2048", "sign", "never")}, "DSA", 0},
		{"for certifying alone", [][]string{quick("rsa2048", "cert", "never")}, "not for signing", 0},
		{"for encryption", [][]string{quick("rsa2048", "cert", "never"), {"--quick-add-key", "KEY", "rsa2048", "encr", "never"}}, "not for signing", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := gpgKey(t, c.key...)
			r, err := ParseRepository("x", "https://h.example/a", text, now)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, want %q in it", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.expires == 0 && !r.KeyExpires.IsZero() || c.expires != 0 && r.KeyExpires.Sub(now.Add(c.expires)).Abs() > time.Hour {
				t.Errorf("it expires at %v, want in %v", r.KeyExpires, c.expires)
			}
		})
	}
}

// TestKeysThatAreCutAnywhere: whatever is cut off or spoilt, it is an error and no crash.
func TestKeysThatAreCutAnywhere(t *testing.T) {
	packets, err := checkArmour(strings.TrimSuffix(strings.SplitN(key(t), armourHead+"\n", 2)[1], "\n"+armourTail+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signing(packets, time.Now()); err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if _, err := signing(packets[:i], time.Now()); err == nil && i > 0 {
			t.Fatalf("%d of %d bytes are taken", i, len(packets))
		}
		for _, bit := range []byte{0x01, 0x80, 0xff} {
			spoilt := []byte(string(packets))
			spoilt[i] ^= bit
			signing(spoilt, time.Now())
		}
	}
}
