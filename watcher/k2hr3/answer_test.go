package k2hr3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, transport http.RoundTripper, q Query) (Answer, error) {
	t.Helper()
	q.Resource = role.Resource()
	if q.Token.IsZero() {
		q.Token = newToken(t)
	}
	return newClient(t, Config{Transport: transport}).Resource(t.Context(), q)
}

func TestTextOfAResourceArrivesExactly(t *testing.T) {
	for name, tt := range map[string]struct{ sent, want string }{
		"plain":                {`[GLOBAL]\nGROUP = orders\n`, "[GLOBAL]\nGROUP = orders\n"},
		"empty":                {``, ""},
		"escapes":              {`\"\\\/\b\f\n\r\t\u0000\u001f`, "\"\\/\b\f\n\r\t\x00\x1f"},
		"raw UTF-8":            {`größe 日本 🙂`, "größe 日本 🙂"},
		"escaped pair":         {`\ud83d\ude42`, "🙂"},
		"escaped backslash u":  {`\\ud83d`, `\ud83d`},
		"replacement itself":   {`\ufffd�`, "��"},
		"slashes and brackets": {`a/b <c> & d`, "a/b <c> & d"},
		"blank lines at ends":  {`\n\n  \nx\n  \n\n`, "\n\n  \nx\n  \n\n"},
		"line separator":       {"a\u2028b", "a\u2028b"},
		"looks like JSON":      {`{\"result\":false}`, `{"result":false}`},
	} {
		body := `{"result":true,"message":null,"resource":"` + tt.sent + `"}`
		got, err := read(t, always(200, body, "ETag", etag), Query{})
		want := Answer{Text: tt.want, ETag: etag, Size: len(body)}
		got.Took = 0
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestNotModifiedKeepsTheETag(t *testing.T) {
	got, err := read(t, always(304, "", "ETag", etag), Query{ETag: etag})
	got.Took = 0
	if diff := cmp.Diff(Answer{NotModified: true, ETag: etag}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestAnswersThatAreNotWhatK2HR3Sends(t *testing.T) {
	const text = `"resource":"hush [GLOBAL]"`
	for name, tt := range map[string]struct {
		transport http.RoundTripper
		kind      error
		reason    string
	}{
		"empty":                    {always(200, ""), ErrAnswer, "answer is empty"},
		"blanks only":              {always(200, " \r\n"), ErrAnswer, "answer is empty"},
		"web page":                 {always(200, "<!DOCTYPE html><p>hush"), ErrAnswer, "web page"},
		"plain text":               {always(200, "hush"), ErrAnswer, "not a JSON object"},
		"array":                    {always(200, `["hush"]`), ErrAnswer, "not a JSON object"},
		"null":                     {always(200, `null`), ErrAnswer, "not a JSON object"},
		"cut off":                  {always(200, `{"result":true,"resource":"hush [GLO`), ErrAnswer, "JSON cut off after 36 bytes"},
		"not JSON":                 {always(200, `{"result":true,'resource':"hush"}`), ErrAnswer, "not JSON, from byte 16 on"},
		"raw line end in a text":   {always(200, "{\"result\":true,\"resource\":\"hush\n\"}"), ErrAnswer, "not JSON, from byte"},
		"more after it":            {always(200, `{"result":true,`+text+`}hush`), ErrAnswer, "goes on after the end of its JSON, at byte 42"},
		"two values":               {always(200, `{"result":true,`+text+`} {}`), ErrAnswer, "goes on after the end"},
		"byte order mark":          {always(200, "\ufeff{}"), ErrAnswer, "not a JSON object"},
		"not UTF-8":                {always(200, "{\"result\":true,\"resource\":\"hush\xff\"}"), ErrAnswer, "not UTF-8"},
		"half a surrogate pair":    {always(200, `{"result":true,"resource":"hush\ud83d"}`), ErrAnswer, "surrogate"},
		"two high surrogates":      {always(200, `{"result":true,"resource":"\ud83d\ud83d\ude42"}`), ErrAnswer, "surrogate"},
		"low surrogate first":      {always(200, `{"result":true,"resource":"\\\ude42"}`), ErrAnswer, "surrogate"},
		"two low surrogates":       {always(200, `{"result":true,"resource":"\ude42\ude42"}`), ErrAnswer, "surrogate"},
		"half a pair and a letter": {always(200, `{"result":true,"resource":"\ud83d\u0041"}`), ErrAnswer, "surrogate"},
		"result false":             {always(200, `{"result":false,`+text+`}`), ErrAnswer, `"result":false`},
		"result missing":           {always(200, `{`+text+`}`), ErrAnswer, `no "result"`},
		"result as text":           {always(200, `{"result":"true",`+text+`}`), ErrAnswer, "neither true nor false"},
		"result in capitals":       {always(200, `{"RESULT":true,`+text+`}`), ErrAnswer, `no "result"`},
		"resource missing":         {always(200, `{"result":true}`), ErrAnswer, `no "resource"`},
		"resource null":            {always(200, `{"result":true,"resource":null}`), ErrAnswer, `"resource" in the answer is null`},
		"resource a number":        {always(200, `{"result":true,"resource":7}`), ErrAnswer, "is a number, not a text"},
		"resource a truth value":   {always(200, `{"result":true,"resource":true}`), ErrAnswer, "is a truth value, not a text"},
		"resource an object":       {always(200, `{"result":true,"resource":{"string":"hush"}}`), ErrAnswer, "is an object, not a text"},
		"resource an array":        {always(200, `{"result":true,"resource":["hush"]}`), ErrAnswer, "is an array, not a text"},
		"compressed":               {always(200, "\x1f\x8bhush", "Content-Encoding", "gzip"), ErrAnswer, `encoded ("gzip")`},
		"304 not asked for":        {always(304, ""), ErrAnswer, "was not asked"},
		"201":                      {always(201, `{"result":true,`+text+`}`), ErrAnswer, "status 201"},
		"204":                      {always(204, ""), ErrAnswer, "status 204"},
		"forbidden by a proxy":     {always(403, "<p>hush"), ErrAnswer, "proxy"},
		"proxy wants a password":   {always(407, "<p>hush"), ErrAnswer, "HTTP_PROXY names none"},
		"moved":                    {always(302, "hush", "Location", "https://new.example:443/v1/x?cuk=hush"), ErrAnswer, `put the address it points to into api-uri ("https://new.example:443")`},
		"moved to nowhere":         {always(301, "hush"), ErrAnswer, "api-uri"},
		"moved permanently":        {always(308, "hush", "Location", "https://u:hush@new.example/"), ErrAnswer, "https://new.example"},
		"too large by its length":  {fake(declared(MaxAnswer + 1)), ErrTooLarge, "larger than 1048576 bytes"},
		"too large without length": {fake(endless), ErrTooLarge, "larger than 1048576 bytes"},
		"connection lost in body":  {fake(broken(io.ErrUnexpectedEOF)), ErrTransport, "broke off after 8 bytes"},
		"connection reset in body": {fake(broken(errors.New("reset"))), ErrTransport, "broke off after 8 bytes: reset"},
	} {
		got, err := read(t, tt.transport, Query{})
		if err == nil || kindOf(t, err) != tt.kind || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v, want %v with %q", name, err, tt.kind, tt.reason)
			continue
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the answer is quoted: %v", name, err)
		}
		if got != (Answer{}) {
			t.Errorf("%s: an answer besides the error: %+v", name, got)
		}
	}
}

func TestAnswerOfExactlyTheLimitIsTaken(t *testing.T) {
	frame := `{"result":true,"resource":""}`
	body := strings.Replace(frame, `""`, `"`+long(MaxAnswer-len(frame))+`"`, 1)
	got, err := read(t, always(200, body), Query{})
	if err != nil || got.Size != MaxAnswer {
		t.Errorf("%v, %d bytes", err, got.Size)
	}
}

func declared(n int64) fake {
	return func(*http.Request) (*http.Response, error) {
		resp := response(200, "")
		resp.ContentLength = n
		resp.Body = io.NopCloser(iotest.ErrReader(errors.New("read, though it says that it is too large")))
		return resp, nil
	}
}

func endless(*http.Request) (*http.Response, error) {
	resp := response(200, "")
	resp.ContentLength = -1
	resp.Body = io.NopCloser(endlessReader{})
	return resp, nil
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func broken(err error) fake {
	return func(*http.Request) (*http.Response, error) {
		resp := response(200, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"result`), iotest.ErrReader(err)))
		return resp, nil
	}
}

func TestHowLongK2HR3SaysItHolds(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                             0,
		"wait=55":                      55 * time.Second,
		"Wait = 55":                    55 * time.Second,
		`wait="55"`:                    55 * time.Second,
		"wait=10; why=load":            10 * time.Second,
		"respond-async, wait=9":        9 * time.Second,
		"wait=0":                       0,
		"wait":                         0,
		"wait=-5":                      0,
		"wait=soon":                    0,
		"wait=99999999999999999999999": 0,
		"handling=wait":                0,
	} {
		for _, status := range []int{200, 304} {
			got, err := read(t, always(status, `{"result":true,"resource":""}`, "Preference-Applied", header),
				Query{ETag: etag, Wait: time.Minute})
			if err != nil || got.Held != want {
				t.Errorf("%q with %d: held %v (%v), want %v", header, status, got.Held, err, want)
			}
		}
	}
}

func TestHoldingThatWasNotAskedForIsIgnored(t *testing.T) {
	got, err := read(t, fake(func(r *http.Request) (*http.Response, error) {
		if prefer := r.Header.Get("Prefer"); prefer != "" {
			t.Errorf("sent Prefer: %s", prefer)
		}
		return response(304, "", "Preference-Applied", "wait=55"), nil
	}), Query{ETag: etag})
	if err != nil || got.Held != 0 {
		t.Errorf("held %v, %v", got.Held, err)
	}
}

func TestPingWantsTheInterfaceTheAgentSpeaks(t *testing.T) {
	for body, want := range map[string]error{
		`{"version":["v1"]}`:      nil,
		`{"version":["v1","v2"]}`: nil,
		`{"version":["v2"]}`:      ErrAnswer,
		`{"version":"v1"}`:        ErrAnswer,
		`{}`:                      ErrAnswer,
		`<html>It works!</html>`:  ErrAnswer,
	} {
		err := newClient(t, Config{Transport: always(200, body)}).Ping(t.Context())
		if kindOf(t, err) != want || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
}
