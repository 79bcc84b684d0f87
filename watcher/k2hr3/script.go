package k2hr3

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
)

// maxParts is more than user data has parts; K2HR3's has two.
const maxParts = 16

// readUserData reads an answer as readAnswer does, but one may be packed: K2HR3
// packs user data for most clients (docs/k2hr3.md E.2), and so does a proxy for
// some.
func readUserData(resp *http.Response) (answer, error) {
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Header.Del("Content-Encoding")
	}
	a, err := readAnswer(resp)
	if err != nil || !bytes.HasPrefix(a.body, []byte{0x1f, 0x8b}) {
		return a, err
	}
	z, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return a, wrongAnswer("the answer cannot be unpacked")
	}
	plain, err := io.ReadAll(io.LimitReader(z, MaxAnswer+1))
	switch {
	case err != nil:
		return a, wrongAnswer("the answer cannot be unpacked")
	case len(plain) > MaxAnswer:
		return a, tooLarge()
	}
	a.body = plain
	return a, nil
}

// tokenInUserData returns the role token of the registration script in a.
func tokenInUserData(a answer, role Role) (Token, error) {
	parts, err := userDataParts(a)
	if err != nil {
		return Token{}, err
	}
	for _, part := range parts {
		given := assignments(part)
		if given["TOKEN"] == "" || given["NAME"] == "" {
			continue
		}
		if !strings.EqualFold(given["NAME"], role.yrn) {
			return Token{}, otherRole(given["NAME"], role)
		}
		token, err := NewToken(given["TOKEN"])
		if err != nil {
			return Token{}, wrongAnswer("the token in the script is none: %v", err)
		}
		return token, nil
	}
	return Token{}, &answerError{kind: ErrUserData, text: "there is no role token in what K2HR3 has there",
		hint: "it answers so when it cannot read the address: the address in the role token file is cut off, or of another K2HR3; " +
			"else this K2HR3 has a registration script of its own, and the file has to hold the role token itself"}
}

// otherRole does not repeat what is no role.
func otherRole(name string, role Role) error {
	if _, err := ParseRole(name); err != nil {
		name = "something else"
	}
	return &answerError{kind: ErrOtherRole,
		text: fmt.Sprintf("the role token there is one for %.300s, and this host's role is %s", name, role),
		hint: "the role token file has to hold an address, or a token, of this host's role; or role has to name the other one"}
}

// assignment is a line of K2HR3's registration script that gives a value, not an
// expression, to one of the variables it is filled in by.
var assignment = regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?K2HR3_ROLE_(TOKEN|NAME)=["']?([^"'$` + "`" + `\s]*)["']?[ \t]*\r?$`)

// assignments returns the values of a script by the last word of their names;
// the first of each.
func assignments(script []byte) map[string]string {
	found := map[string]string{}
	for _, m := range assignment.FindAllSubmatch(script, -1) {
		if name := string(m[1]); found[name] == "" {
			found[name] = string(m[2])
		}
	}
	return found
}

// userDataParts returns the parts of user data: of a MIME message, whose header
// is that of the answer or, in one that was packed, stands before it; or the one
// script that extdata is.
func userDataParts(a answer) ([][]byte, error) {
	if bytes.HasPrefix(a.body, []byte("#!")) {
		return [][]byte{a.body}, nil
	}
	kind, body := a.header.Get("Content-Type"), io.Reader(bytes.NewReader(a.body))
	boundary := boundaryOf(kind)
	if boundary == "" {
		message, err := mail.ReadMessage(body)
		if err != nil {
			return nil, notUserData(a)
		}
		boundary, body = boundaryOf(message.Header.Get("Content-Type")), message.Body
	}
	if boundary == "" {
		return nil, notUserData(a)
	}
	var parts [][]byte
	for r := multipart.NewReader(body, boundary); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil || len(parts) == maxParts {
			return nil, wrongAnswer("the answer is a MIME message with a fault in it")
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, wrongAnswer("the answer is a MIME message that breaks off")
		}
		parts = append(parts, text)
	}
}

func boundaryOf(contentType string) string {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return ""
	}
	return params["boundary"]
}

func notUserData(a answer) error {
	text := "the answer is not user data of K2HR3"
	if a.isWebPage() {
		text = "the answer is a web page, not user data of K2HR3"
	}
	return &answerError{kind: ErrAnswer, text: text, hint: "the address in the role token file may be another server's, or a proxy answers in K2HR3's place"}
}
