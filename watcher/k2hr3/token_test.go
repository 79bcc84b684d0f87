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

func newToken(t testing.TB) Token {
	t.Helper()
	token, err := NewToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenIsTakenAsFilesHoldIt(t *testing.T) {
	for _, in := range []string{secret, secret + "\n", " " + secret + "\r\n"} {
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
		secret + "\t":              "",
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
		if reason == "" {
			continue
		}
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
	token := newToken(t)
	type inside struct{ token Token }
	type outside struct{ Token Token }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t"} {
		for _, value := range []any{
			token, &token, inside{token}, &inside{token}, outside{token},
			[]Token{token}, []inside{{token}}, map[string]inside{"k": {token}}, Query{Token: token},
		} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T shows it: %s", verb, value, text)
			}
		}
	}
	encoded, err := json.Marshal(outside{token})
	if err != nil || !strings.Contains(string(encoded), hiddenToken) {
		t.Errorf("as JSON: %s, %v", encoded, err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "token", token, "in", inside{token}, "query", Query{Token: token})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "token", token, "in", inside{token}, "query", Query{Token: token})
	if strings.Contains(log.String(), secret) || !strings.Contains(log.String(), hiddenToken) {
		t.Errorf("log: %s", log.String())
	}
	if got := fmt.Sprint(Token{}); got != noToken {
		t.Errorf("no token is printed as %q", got)
	}
}
