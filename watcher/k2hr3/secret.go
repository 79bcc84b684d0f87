package k2hr3

import (
	"fmt"
	"regexp"
)

var (
	// K2HR3's tokens have 64 digits (docs/k2hr3.md B.3).
	tokenLike = regexp.MustCompile(`[0-9A-Fa-f]{64}`)
	tokenForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// The address of user data is as good as the token in there.
	userDataLike = regexp.MustCompile(`(?i)/v1/(?:user|ext)data/`)
)

// HoldsToken reports whether s holds what looks like a token.
func HoldsToken(s string) bool { return tokenLike.MatchString(s) }

// HoldsUserDataAddress reports whether s holds what looks like the address of user data.
func HoldsUserDataAddress(s string) bool { return userDataLike.MatchString(s) }

// Quote quotes a value for a message, the first 200 characters of it. It does not repeat a secret
// that got into the wrong place.
func Quote(value string) string {
	switch {
	case HoldsUserDataAddress(value):
		return "the value (not shown, it looks like the address of user data)"
	case HoldsToken(value):
		return "the value (not shown, it looks like a token)"
	}
	return fmt.Sprintf("%.200q", value)
}
