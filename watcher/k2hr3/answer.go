package k2hr3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxAnswer bounds the body of an answer, in bytes. K2HR3 itself sets no limit;
// a text of a hundred nodes has some 20 KiB.
const MaxAnswer = 1 << 20

// answer is an answer read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration // by K2HR3
}

// answerError says that an answer arrived whole and is wrong.
type answerError struct {
	kind error
	text string
	hint string
}

func (e *answerError) Error() string { return e.text }

func wrongAnswer(format string, args ...any) *answerError {
	return &answerError{kind: ErrAnswer, text: fmt.Sprintf(format, args...)}
}

// readAnswer reads resp to its end, at most MaxAnswer bytes, and closes it. The
// error is an *answerError, or one of the connection.
func readAnswer(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return a, &answerError{kind: ErrAnswer,
			text: fmt.Sprintf("the answer is encoded (%.20q), which the agent did not ask for", coding),
			hint: "a proxy or gateway in front of K2HR3 should not change its answers"}
	}
	if resp.ContentLength > MaxAnswer {
		return a, tooLarge()
	}
	var buf bytes.Buffer
	if resp.ContentLength > 0 {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case n > MaxAnswer:
		return a, tooLarge()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return a, fmt.Errorf("the answer broke off after %d bytes: %w", n, io.ErrUnexpectedEOF)
	case err != nil:
		return a, fmt.Errorf("the answer broke off after %d bytes: %w", n, withoutQuotes(err))
	}
	a.body = buf.Bytes()
	return a, nil
}

func tooLarge() *answerError {
	return &answerError{kind: ErrTooLarge, text: fmt.Sprintf("the answer is larger than %d bytes", MaxAnswer)}
}

// members is a JSON object, its members not decoded yet. A struct would not do:
// encoding/json takes "RESULT" for "result".
type members map[string]json.RawMessage

// object decodes the body: one JSON object, nothing after it, in UTF-8.
func (a answer) object() (members, error) {
	switch body := bytes.TrimSpace(a.body); {
	case len(body) == 0:
		return nil, wrongAnswer("the answer is empty")
	case body[0] == '<':
		return nil, &answerError{kind: ErrAnswer, text: "the answer is a web page, not JSON",
			hint: "api-uri may name another server, or a proxy answers in K2HR3's place"}
	case !utf8.Valid(body):
		return nil, wrongAnswer("the answer is not UTF-8")
	case body[0] != '{':
		return nil, wrongAnswer("the answer is not a JSON object")
	}
	var m members
	if err := json.Unmarshal(a.body, &m); err != nil {
		return nil, wrongAnswer("%s", jsonFault(err, a.body))
	}
	return m, nil
}

// jsonFault says what is wrong with body without quoting it.
func jsonFault(err error, body []byte) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return "the answer is not the JSON it should be"
	}
	if syntax.Offset >= int64(len(body)) {
		return fmt.Sprintf("the answer is JSON cut off after %d bytes", len(body))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if dec.Decode(&json.RawMessage{}) == nil {
		return fmt.Sprintf("the answer goes on after the end of its JSON, at byte %d", dec.InputOffset())
	}
	return fmt.Sprintf("the answer is not JSON, from byte %d on", syntax.Offset)
}

// success returns the members of an answer that says "result":true.
func (a answer) success() (members, error) {
	m, err := a.object()
	if err != nil {
		return nil, err
	}
	switch string(m["result"]) {
	case "true":
		return m, nil
	case "false":
		return nil, wrongAnswer(`the answer says that it failed ("result":false)`)
	case "":
		return nil, wrongAnswer(`the answer has no "result"`)
	}
	return nil, wrongAnswer(`"result" in the answer is neither true nor false`)
}

// text returns the member name, which has to be a string.
func (m members) text(name string) (string, error) {
	raw, ok := m[name]
	switch {
	case !ok:
		return "", wrongAnswer("the answer has no %q", name)
	case raw[0] == 'n':
		return "", wrongAnswer("%q in the answer is null", name)
	case raw[0] != '"':
		return "", wrongAnswer("%q in the answer is %s, not a text", name, jsonType(raw))
	case hasLoneSurrogate(raw):
		return "", wrongAnswer("%q in the answer contains half of a surrogate pair, which is no character", name)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", wrongAnswer("%q in the answer is not a text", name)
	}
	return s, nil
}

func jsonType(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a truth value"
	}
	return "a number"
}

// hasLoneSurrogate reports whether the JSON string raw has an escape that
// stands for no character. encoding/json would put U+FFFD in its place.
func hasLoneSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return false
		}
		raw = raw[i:]
		unit, ok := escapedUnit(raw)
		if !ok {
			raw = raw[2:]
			continue
		}
		raw = raw[6:]
		switch {
		case unit < 0xD800 || unit > 0xDFFF:
			continue
		case unit > 0xDBFF:
			return true
		}
		if low, ok := escapedUnit(raw); !ok || low < 0xDC00 || low > 0xDFFF {
			return true
		}
		raw = raw[6:]
	}
}

// escapedUnit returns the UTF-16 unit that raw begins with as \uXXXX.
func escapedUnit(raw []byte) (uint64, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return unit, err == nil
}

// redirectHint says where a redirect points to, without the query that the
// request brought along.
func redirectHint(header http.Header) string {
	to, err := url.Parse(header.Get("Location"))
	if err != nil || to.Host == "" {
		return "redirects are not followed: put the API's own address into api-uri"
	}
	base := (&url.URL{Scheme: to.Scheme, Host: to.Host}).String()
	return fmt.Sprintf("redirects are not followed: put the address it points to into api-uri (%.200q)", base)
}
