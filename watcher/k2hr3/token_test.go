package k2hr3

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const secret = "5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2"

func newToken(t *testing.T) Token {
	t.Helper()
	token, err := NewToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenIsTakenAsFilesHoldIt(t *testing.T) {
	for _, in := range []string{secret, secret + "\n", " " + secret + "\r\n", secret + "\t"} {
		token, err := NewToken(in)
		if err != nil || token != newToken(t) || token.IsZero() {
			t.Errorf("NewToken(%q) = %v, %v", in, token, err)
		}
		if got := token.header(); got != "R="+secret {
			t.Errorf("header value %q", got)
		}
	}
}

func TestWhatIsNoTokenIsRefusedWithoutShowingIt(t *testing.T) {
	for in, reason := range map[string]string{
		"":                         "empty",
		" \n":                      "empty",
		secret + "\n" + secret:     "more than one line",
		"R=" + secret:              `begins with "R="`,
		"U=" + secret:              "user token",
		secret + " " + secret:      "blank",
		secret + "\x00x":           "control character",
		secret + "é":               "not ASCII",
		strings.Repeat(secret, 20): "has 1280 digits",
		secret[1:]:                 "has 63 digits, and K2HR3's have 64",
		secret + "0":               "has 65 digits",
		secret[:32]:                "has 32 digits",
		`"` + secret + `"`:         "is in quotes",
		"'" + secret + "'\n":       "is in quotes",
		"`" + secret:               "is in quotes",
		strings.ToUpper(secret):    "has capital letters",
		"A" + secret[1:]:           "has capital letters",
		secret[:63] + "g":          "something else than the digits",
		secret[:63] + "O":          "something else than the digits",
		secret + ";":               "something else than the digits",
		"TOKEN=" + secret:          "something else than the digits",
		"password1":                "something else than the digits",
		"\ufeff" + secret:          "not ASCII",
	} {
		token, err := NewToken(in)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: error %v, want one with %q", in, err, reason)
			continue
		}
		if !token.IsZero() || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: token %v, error %v", in, token, err)
		}
	}
}

func TestTokenIsNeverShown(t *testing.T) {
	checkHidden(t, newToken(t), secret, hiddenToken)
	checkHidden(t, Query{Token: newToken(t)}, secret, hiddenToken)
	if got := fmt.Sprint(Token{}); got != noToken {
		t.Errorf("no token is printed as %q", got)
	}
}

// checkHidden fails the test if printing, encoding or logging a value shows the secret in it, be it
// within other values. In JSON and in logs words stand in its place.
func checkHidden[T any](t *testing.T, v T, secret, words string) {
	t.Helper()
	type inside struct{ v T }
	type outside struct{ V T }
	var text, logged bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t"} {
		for _, value := range []any{v, &v, inside{v}, &inside{v}, outside{v}, []T{v}, []inside{{v}}, map[string]inside{"k": {v}}} {
			fmt.Fprintf(&text, verb+"\n", value)
		}
	}
	slog.New(slog.NewTextHandler(&logged, nil)).Info("text", "v", v, "in", inside{v})
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("json", "v", v, "in", inside{v})
	encoded := string(must(json.Marshal(outside{v})))
	if !strings.Contains(encoded, words) || !strings.Contains(logged.String(), words) {
		t.Errorf("%T: no %q in %s or in %s", v, words, encoded, &logged)
	}
	for _, shown := range []string{text.String(), encoded, logged.String()} {
		if strings.Contains(shown, secret) || strings.Contains(strings.ToLower(shown), fmt.Sprintf("%x", secret)) {
			t.Errorf("%T shows it: %s", v, shown)
		}
	}
}
