package k2hr3

import (
	"bytes"
	"net/http"
	"strings"
)

// verdict is what an answer other than success means.
type verdict struct {
	kind error
	hint string
}

const (
	hintStore     = "or K2HR3's store is down, to which it gives the same answer"
	hintElsewhere = "api-uri may name another server, or a proxy answers in K2HR3's place"
	hintMember    = "this host is not a member by the address K2HR3 sees and its CUK; "
)

// asked is what was asked for, as far as the meaning of an answer depends on it.
type asked struct {
	byToken bool // a token was sent
	byRole  bool // the resource follows from the role, so that the operator knows the role alone
}

// judge returns what status means, given what was asked for and what K2HR3 says in
// the body. The text of the body goes no further.
func judge(a answer, by asked) verdict {
	switch {
	case a.status == http.StatusUnauthorized && !a.isJSON():
		return judgeOther(a.status) // a gateway that wants a password
	case a.status == http.StatusUnauthorized && by.byToken:
		return verdict{ErrUnauthorized, "the role token is expired, revoked or of a role that was deleted (" + hintStore +
			"): if it lasts, issue a new role token and put it into the role token file"}
	case a.status == http.StatusUnauthorized:
		return verdict{ErrUnauthorized, "the agent sent no role token, as K2HR3 needs none here: " + hintElsewhere}
	case a.status == http.StatusBadRequest && !a.isJSON():
		return verdict{ErrAnswer, "K2HR3 gives no such answer: " + hintElsewhere + "; or api-uri says http, and K2HR3 speaks https"}
	case a.status == http.StatusBadRequest:
		return judgeBadRequest(a.message())
	case a.status == http.StatusNotFound:
		return judgeNotFound(a, by)
	case a.status >= 300 && a.status < 400 && a.status != http.StatusNotModified:
		return verdict{ErrAnswer, redirectHint(a.header)}
	}
	return judgeOther(a.status)
}

func judgeOther(status int) verdict {
	switch {
	case status == http.StatusTooManyRequests:
		return verdict{ErrServer, "K2HR3 or a gateway in front of it is asked too often"}
	case status == http.StatusInternalServerError:
		return verdict{ErrServer, "K2HR3 failed inside; its log says why"}
	case status == http.StatusNetworkAuthenticationRequired:
		return verdict{ErrServer, "the network wants a login before it lets this host out (a captive portal): log in there, or have the network let this host reach K2HR3"}
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported:
		return verdict{ErrServer, "K2HR3 gives no such answer: " + hintElsewhere}
	case status >= 500:
		return verdict{ErrServer, "K2HR3 is down behind its gateway, or overloaded"}
	case status == http.StatusProxyAuthRequired:
		return verdict{kind: ErrAnswer} // the route knows more
	case status == http.StatusRequestHeaderFieldsTooLarge, status == http.StatusRequestURITooLong,
		status == http.StatusRequestEntityTooLarge:
		return verdict{ErrBadRequest, "role, CUK and tag together are too long for K2HR3"}
	}
	return verdict{ErrAnswer, "K2HR3 gives no such answer: " + hintElsewhere}
}

func judgeBadRequest(message string) verdict {
	switch {
	case strings.HasPrefix(message, "could not set "):
		return verdict{ErrServer, "K2HR3 could not write to its store"}
	case strings.Contains(message, "tenant"):
		return verdict{ErrBadRequest, "the role token belongs to another tenant than the role or resource"}
	}
	return verdict{ErrBadRequest, "K2HR3 refuses the arguments: check role, resource, cuk and tag"}
}

// judgeNotFound tells the 404s apart, which only their text does (docs/k2hr3.md
// B.4, D.1). Prefixes come first: a template that is echoed can contain
// anything.
func judgeNotFound(a answer, by asked) verdict {
	message := a.message()
	switch {
	case message == "":
		return verdict{ErrNotFound, "K2HR3 gives a reason with that status, and this answer has none: " + hintElsewhere}
	case strings.HasPrefix(message, "failed to expand "), strings.HasPrefix(message, "Could not load resource for template"):
		return verdict{ErrTemplate, "the resource's template has a fault, or the resource has no keys: its owner has to correct it in K2HR3"}
	case strings.HasPrefix(message, "Not initialize yet"):
		return verdict{ErrServer, "K2HR3 is not connected to its store yet"}
	case strings.HasPrefix(message, "ip:port(") && strings.Contains(message, "is not role("):
		return verdict{ErrNotMember, hintMember + hintStore}
	case strings.HasPrefix(message, "role yrn("):
		return verdict{ErrNotFound, "K2HR3 does not take the role for a full YRN: check role"}
	case strings.Contains(message, "does not allow to read access to resource(") && by.byRole:
		return verdict{ErrNotAllowed, "check role: resource follows from it, and either there is no such resource, or no policy of the role names it"}
	case strings.Contains(message, "does not allow to read access to resource("):
		return verdict{ErrNotAllowed, "there is no such resource, or no policy of the role names it: check resource, and the role's policies in K2HR3"}
	case strings.HasPrefix(message, "could not get role(") && strings.Contains(message, "policy data"):
		return verdict{ErrNotAllowed, "there is no such role, or it has no policy: check role, and its policies in K2HR3"}
	case strings.HasPrefix(message, "Could not get resource data"):
		return verdict{ErrNotFound, "the role may read the resource, but it or one above it in its path is missing in K2HR3"}
	case strings.Contains(message, "does not have value for type("):
		return verdict{ErrNotFound, "the resource exists, but has no text"}
	case message == "Internal server error":
		return verdict{ErrNotFound, "K2HR3 does not know such a request: check api-uri, role and resource"}
	}
	return verdict{ErrNotFound, "K2HR3 gives a reason that this agent does not know"}
}

// message returns what K2HR3 says in the body of an error, for telling errors
// apart only.
func (a answer) message() string {
	m, err := a.object()
	if err != nil {
		return ""
	}
	message, err := m.text("message")
	if err != nil {
		return ""
	}
	return message
}

// isJSON reports whether the answer says it is JSON, which K2HR3 says of every refusal.
func (a answer) isJSON() bool {
	return strings.HasPrefix(strings.ToLower(a.header.Get("Content-Type")), "application/json")
}

// isNo reports whether the answer is of status and without a body, as K2HR3's no to HEAD and DELETE
// is (docs/k2hr3.md C.6, C.7). K2HR3 says that it is JSON; a proxy on the way may leave that out.
// Any other comes from a proxy or gateway itself: one of another type, one with a body, which shows
// in its length where HEAD leaves it out, and one with Retry-After.
func (a answer) isNo(status int) bool {
	length := a.header.Get("Content-Length")
	return a.status == status && (a.isJSON() || a.header.Get("Content-Type") == "") &&
		len(a.body) == 0 && (length == "" || length == "0") && a.header.Get("Retry-After") == ""
}

// isWebPage reports whether the answer says it is HTML, which K2HR3 never does.
func (a answer) isWebPage() bool {
	kind := strings.ToLower(a.header.Get("Content-Type"))
	return strings.HasPrefix(kind, "text/html") || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
}
