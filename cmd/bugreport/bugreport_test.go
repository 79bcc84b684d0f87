package bugreport

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

const (
	canaryToken    = "5f0c3d7e91a24b68c0d2e4f6a8b1c3d5e7f90a2b4c6d8e0f1a3b5c7d9e1f2a4b"
	canaryPassword = `Tr0ub4dor&3 "/?%`
	canaryKey      = "MC4CAQAwBQYDK2VwBCIEIFcanarycanaryQwertyUiopAsdfGhjklZx"
)

// unpack returns the files of an archive.
func unpack(t *testing.T, b []byte) map[string]string {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(b))
	fatal.If(t, err)
	files := map[string]string{}
	for archive := tar.NewReader(packed); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		fatal.If(t, err)
		text, err := io.ReadAll(archive)
		fatal.If(t, err)
		if h.Mode != 0o600 || !strings.HasPrefix(h.Name, folder) {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		files[strings.TrimPrefix(h.Name, folder)] = string(text)
	}
}

// leaks reports a form in which a secret is in a text.
func leaks(text, secret string) string {
	strip := strings.NewReplacer("\n", "", "\r", "", " ", "")
	forms := map[string]string{"plain": secret, "percent-encoded": url.QueryEscape(secret), "hex": hex.EncodeToString([]byte(secret))}
	every := ""
	for _, c := range []byte(secret) {
		every += fmt.Sprintf("%%%02X", c)
	}
	forms["percent-encoded, each byte"] = every
	marshalled, _ := json.Marshal(secret)
	forms["percent-encoded, a path"] = url.PathEscape(secret)
	forms["percent-encoded, each byte, lower case"] = strings.ToLower(every)
	forms["quoted"] = strings.Trim(fmt.Sprintf("%q", secret), `"`)
	forms["JSON"] = strings.Trim(string(marshalled), `"`)
	for n, before := range []string{"", "x", "xy"} {
		core := base64.StdEncoding.EncodeToString([]byte(before + secret))
		core = strings.TrimRight(core, "=")
		forms[fmt.Sprintf("base64 at %d", n)] = core[(n*8+5)/6+1 : len(core)-2]
		forms[fmt.Sprintf("base64 for URLs at %d", n)] = strings.NewReplacer("+", "-", "/", "_").Replace(core[(n*8+5)/6+1 : len(core)-2])
	}
	for name, form := range forms {
		if strings.Contains(text, form) || strings.Contains(strip.Replace(text), strip.Replace(form)) {
			return name
		}
	}
	return ""
}

// ways are those to write a secret into a text.
func ways(secret string) map[string]string {
	every := ""
	for _, c := range []byte(secret) {
		every += fmt.Sprintf("%%%02x", c)
	}
	marshalled, _ := json.Marshal("see " + secret + " there")
	wrapped := base64.StdEncoding.EncodeToString([]byte("some text before " + secret + " and behind"))
	w := map[string]string{
		"plain":                 "before " + secret + " behind",
		"quoted":                fmt.Sprintf("err=%q", "x "+secret),
		"JSON":                  string(marshalled),
		"query":                 "?t=" + url.QueryEscape(secret) + "&x=1",
		"path":                  "/a/" + url.PathEscape(secret) + "/b",
		"each byte":             every,
		"twice percent-encoded": url.QueryEscape(url.QueryEscape(secret)),
		"hex":                   hex.EncodeToString([]byte(secret)),
		"wrapped":               wrapped[:30] + "\n" + wrapped[30:],
		"wrapped and indented":  "  " + secret[:9] + "\n  " + secret[9:],
	}
	for n, before := range []string{"", "x", "xy"} {
		w[fmt.Sprintf("base64 at %d", n)] = "Basic " + base64.StdEncoding.EncodeToString([]byte(before+secret+"tail"))
		w[fmt.Sprintf("base64 for URLs at %d", n)] = base64.RawURLEncoding.EncodeToString([]byte(before + secret))
	}
	return w
}

func TestNoSecretGetsOutHoweverItIsWritten(t *testing.T) {
	for _, secret := range []string{canaryToken, canaryPassword, canaryKey, "hunter2hunter2"} {
		r := Report{Secrets: NewSecrets("R=x", secret)}
		for name, text := range ways(secret) {
			whole := "a line before\n" + text + "\na line behind\n"
			if leaks(whole, secret) == "" && !strings.Contains(name, "twice") {
				t.Fatalf("the test does not see %q in %q", secret, whole)
			}
			cleaned, removed, err := r.clean([]byte(whole))
			if how := leaks(string(cleaned), secret); how != "" {
				t.Errorf("%s: leaks %s: %s", name, how, cleaned)
			}
			if err == nil && (removed == 0 || !strings.Contains(string(cleaned), "a line before\n") || !strings.Contains(string(cleaned), "a line behind\n")) {
				t.Errorf("%s: %d removed: %s", name, removed, cleaned)
			}
			if err != nil && !strings.Contains(name, "wrapped") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What nobody has told of is known by its form.
func TestWhatLooksLikeASecretIsRemoved(t *testing.T) {
	pem := "-----BEGIN PRIVATE KEY-----\n" + canaryKey + "\n-----END PRIVATE KEY-----\n"
	for _, text := range []string{
		"token " + canaryToken,
		"x-auth-token: R=" + canaryToken,
		"Proxy-Authorization: Basic c2VjcmV0OnBhc3N3b3Jk",
		"https://user:c2VjcmV0OnBhc3N3b3Jk@proxy.example:3128/",
		"GET http://k2hr3/v1/userdata/c2VjcmV0OnBhc3N3b3Jk 404",
		`"password": "c2VjcmV0OnBhc3N3b3Jk"`,
		pem, fmt.Sprintf("%q", pem), pem[:60],
	} {
		got, n := Secrets{}.Remove("before\n" + text + "\n")
		if n == 0 || strings.Contains(got, canaryToken) || strings.Contains(got, "c2VjcmV0OnBhc3N3b3Jk") || strings.Contains(got, canaryKey[:20]) || !strings.Contains(got, "before\n") {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, text := range []string{
		`"sha256": "` + canaryToken + `"`, "https://k2hr3.example:18080/v1/resource", "a@b.example", "yrn:yahoo:::shop:role:orders/slave",
		"role-token-file = /etc/k2hdkc/role-token (default)",
	} {
		if got, n := (Secrets{}).Remove(text); got != text || n != 0 {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestManifestSaysWhatIsThereAndWhyNot(t *testing.T) {
	give := func(text string, err error) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return []byte(text), err }
	}
	r := Report{Now: time.Now(), Secrets: NewSecrets(canaryToken), Sources: []Source{
		{"good", "a piece", give("text\n", nil)},
		{"none", "a piece", give("", errors.New("nobody has made it, "+canaryToken))},
		{"part", "a piece", give("half", errors.New("it broke\noff"))},
		{"empty", "a piece", give("", nil)},
		{"dirty", "a piece", give("token "+canaryToken, nil)},
		{"hopeless", "a piece", give(canaryToken[:30]+"\n"+canaryToken[30:], nil)},
		{"large", "a piece", give(strings.Repeat("x", maxPiece+1), nil)},
	}}
	var b bytes.Buffer
	fatal.If(t, r.Write(t.Context(), &b))
	files := unpack(t, b.Bytes())
	for _, want := range []string{
		"good (a piece): included\n", "none (a piece): not here: nobody has made it, (removed)\n", "part (a piece): included in part: it broke; off\n",
		"empty (a piece): empty\n", "dirty (a piece): included; secrets were removed from it in 1 places\n",
		"hopeless (a piece): not here: it holds a secret that cannot be taken out of it\n",
	} {
		if !strings.Contains(files["MANIFEST"], want) {
			t.Errorf("no %q in\n%s", want, files["MANIFEST"])
		}
	}
	if files["good"] != "text\n" || files["part"] != "half" || files["dirty"] != "token (removed)" || files["hopeless"] != "" || !strings.HasSuffix(files["large"], "(cut off here)\n") {
		t.Errorf("%.300q", files)
	}
}

func TestAReportReplacesNothingAndLeavesNoHalf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.tar.gz")
	r := Report{Now: time.Now()}
	fatal.If(t, r.Save(t.Context(), path))
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	before, _ := os.ReadFile(path)
	if err := r.Save(t.Context(), path); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("it was replaced")
	}
	other := filepath.Join(t.TempDir(), "other.tar.gz")
	ctx, cancel := context.WithCancel(t.Context())
	r.Sources = []Source{{"x", "y", func(context.Context) ([]byte, error) { cancel(); return nil, nil }}}
	if err := r.Save(ctx, other); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("half a report is left")
	}
}

func TestMasks(t *testing.T) {
	m := NewMasks([]string{"store-1.shop.example", "store-1", "localhost", "10.20.1.1"}, []string{"cuk-of-1", ""})
	first := m.Apply("store-1.shop.example 10.20.1.1 cuk-of-1 restore-1 store-1: 2001:db8::1, 127.0.0.1 12:30:45 localhost")
	if want := "name-1 address-1 cuk-1 restore-1 name-2: address-2, 127.0.0.1 12:30:45 localhost"; first != want {
		t.Errorf("got %q", first)
	}
	if got := m.Apply("again 2001:0db8:0::1 and 10.20.1.1:8021, 10.20.1.2"); got != "again address-2 and address-1:8021, address-3" {
		t.Errorf("got %q", got)
	}
}

func TestTheLatestTextsAreKept(t *testing.T) {
	k := &Kept{Dir: filepath.Join(t.TempDir(), KeptDir), Log: slog.New(slog.DiscardHandler)}
	unified := func(oldName, newName, oldText, newText string) string {
		return strings.TrimSpace(oldText) + " -> " + newText
	}
	if _, err := Diffs(k.Dir, 1<<20, unified)(t.Context()); err == nil || !strings.Contains(err.Error(), "has replaced no slave.ini") {
		t.Error(err)
	}
	for i := range 9 {
		k.Add(i, fmt.Appendf(nil, "%d\n", i))
		k.out.Flush(t.Context())
		time.Sleep(2 * time.Millisecond) // their names have milliseconds
		want := " -> 0\n"
		if i > 0 {
			want = fmt.Sprintf("%d -> %d\n", i-1, i)
		}
		got, err := Diffs(k.Dir, 1<<20, unified)(t.Context())
		if err != nil || !strings.HasSuffix(string(got), want) || i >= keep && strings.Count(string(got), "->") != keep-1 {
			t.Errorf("after %d: %q, %v", i, got, err)
		}
	}
	entries, err := os.ReadDir(k.Dir)
	if err != nil || len(entries) != keep {
		t.Errorf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, _ := e.Info(); info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if info, _ := os.Stat(k.Dir); info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v", info.Mode())
	}
}

// Of a folder with many names the latest texts are kept, what the agent itself left behind goes,
// and what is not the agent's stays.
func TestTheLatestTextsAreKeptAmongMany(t *testing.T) {
	k := Kept{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	put := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(k.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		put(fmt.Sprintf("other.%d", i))
		put(fmt.Sprintf("20250101T000000.%03d.%d.ini", i, i))
	}
	put(".20250101T000001.000.1000.ini.X.next")
	k.Add(1, []byte("new"))
	k.out.Flush(t.Context())
	names, err := keptNames(k.Dir, func(name string) { t.Errorf("%s is left", name) })
	if err != nil || len(names) != keep || !strings.HasSuffix(names[0], ".995.ini") || !strings.HasSuffix(names[keep-1], ".1.ini") {
		t.Errorf("kept: %q, %v", names, err)
	}
	if entries, err := os.ReadDir(k.Dir); err != nil || len(entries) != 1000+keep {
		t.Errorf("%d names, %v", len(entries), err)
	}
}

func TestUnitsAreShownByAnAllowList(t *testing.T) {
	got := string(allowed([]byte("Id=a.service\nExecStart={ argv[]=/bin/x --secret }\nEnvironment=K2HDKC_SLAVE_ROLE=r HTTPS_PROXY=http://u:p@h \"X=a b\"\nnonsense\nActiveState=active\n")))
	if want := "Id=a.service\nEnvironment=K2HDKC_SLAVE_ROLE=r HTTPS_PROXY=(not shown) X=(not shown)\nActiveState=active\n"; got != want {
		t.Errorf("got %q", got)
	}
}

// A piece that never comes keeps none of the others away.
func TestAPieceThatHangsIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		var b bytes.Buffer
		fatal.If(t, Report{Sources: []Source{
			{Name: "stuck", Get: func(context.Context) ([]byte, error) { <-release; return nil, nil }},
			{Name: "good", Get: func(context.Context) ([]byte, error) { return []byte("text"), nil }},
		}}.Write(t.Context(), &b))
		if files := unpack(t, b.Bytes()); files["good"] != "text" || !strings.Contains(files["MANIFEST"], "stuck (): not here: no answer within 30s") {
			t.Errorf("%q", files)
		}
	})
}
