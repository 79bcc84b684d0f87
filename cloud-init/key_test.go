package cloudinit

import (
	"bytes"
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/need"
)

func TestPublicKeysThatAreTaken(t *testing.T) {
	plain := key(t)
	sumless := strings.Replace(plain, plain[strings.LastIndex(plain, "\n="):strings.Index(plain, "\n"+armourTail)], "", 1)
	headed := strings.Replace(plain, armourHead+"\n", armourHead+"\nVersion: GnuPG v2\nComment: by hand\n", 1)
	for name, text := range map[string]string{
		"as gpg prints it":       plain,
		"without checksum":       sumless,
		"with headers":           headed,
		"with line ends of old":  strings.ReplaceAll(plain, "\n", "\r\n"),
		"without last line end":  strings.TrimSuffix(plain, "\n"),
		"with text on both ends": "pub rsa2048\n" + plain + "that was it\n",
	} {
		got, _, err := publicKey(text, time.Now())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.HasPrefix(got, armourHead+"\n") || !strings.HasSuffix(got, "\n"+armourTail+"\n") || strings.Contains(got, "\r") {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

func TestWhatIsNoPublicKeyIsRefused(t *testing.T) {
	plain := key(t)
	body := plain[strings.Index(plain, "\n\n")+2 : strings.LastIndex(plain, "\n=")]
	packets, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	armour := func(b []byte) string {
		return armourHead + "\n\n" + base64.StdEncoding.EncodeToString(b) + "\n=" + checksum(b) + "\n" + armourTail + "\n"
	}
	secret := bytes.Clone(packets)
	secret[0] = 0x95 // the old form of a secret key packet
	secret6 := append([]byte{0xc5}, packets[1:]...)
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "no armoured public key"},
		{"binary", string(packets), "no armoured public key"},
		{"a private key", strings.ReplaceAll(plain, "PUBLIC", "PRIVATE"), "private key"},
		{"a private key after a public one", plain + strings.ReplaceAll(plain, "PUBLIC", "PRIVATE"), "private key"},
		{"a private key in disguise", armour(secret), "does not begin with a public key"},
		{"a private key in disguise, new form", armour(secret6), "does not begin with a public key"},
		{"half of it", plain[:len(plain)/2], "cut off"},
		{"a line missing", strings.Replace(plain, body[65:130], "", 1), "checksum"},
		{"a letter wrong", strings.Replace(plain, body[:10], "mQENBGsBVA", 1), "checksum"},
		{"no empty line", strings.Replace(plain, "\n\n", "\n", 1), "damaged"},
		{"two blocks", plain + plain, "more than one block"},
		{"a certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "no armoured public key"},
	} {
		_, _, err := publicKey(tt.text, time.Now())
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), body[:16]) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func TestGPGReadsTheKey(t *testing.T) {
	need.Programs(t, "gpg")
	text, _, err := publicKey("x\n"+key(t)+"y\n", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gpg", "--homedir", t.TempDir(), "--batch", "--with-colons", "--show-keys")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "pub:") {
		t.Errorf("gpg: %v\n%s", err, out)
	}
}
