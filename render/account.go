package render

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/render/regularfile"
)

// ErrNoAccount says that this host has no user or group of a name.
var ErrNoAccount = errors.New("does not exist")

// MaxAccounts bounds the list of users or groups that is searched for a name, in bytes.
const MaxAccounts = 64 << 20

// UserID returns the number of a user, who is given by that or by a name in /etc/passwd. The error
// is ErrNoAccount's kind if there is none of the name, or says why the list cannot be read.
func UserID(user string) (int, error) { return accountID("user", user, "/etc/passwd", MaxAccounts) }

// GroupID returns the number of a group, which is given by that or by a name in /etc/group. Its
// errors are those of [UserID].
func GroupID(group string) (int, error) {
	return accountID("group", group, "/etc/group", MaxAccounts)
}

func accountID(kind, account, path string, limit int64) (int, error) {
	if strings.Trim(account, "0123456789") == "" {
		id, ok := accountNumber(account)
		if !ok {
			return 0, fmt.Errorf("%s is too large for the number of a %s", account, kind)
		}
		return id, nil
	}
	id, err := searchAccounts(account, path, limit)
	if errors.Is(err, ErrNoAccount) {
		return 0, fmt.Errorf("the %s %s %w: %s has no line for it; make the %s, or give its number if another service knows it, as LDAP may",
			kind, account, err, path, kind)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot look up the %s %s; its number needs no look-up: %w", kind, account, err)
	}
	return id, nil
}

// searchAccounts finds the line of a name in a list of users or groups, and returns its number.
func searchAccounts(name, path string, limit int64) (int, error) {
	if err := regularfile.Check(path, limit); err != nil {
		return 0, err
	}
	f, err := regularfile.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return SearchAccounts(io.LimitReader(f, limit), name)
}

// SearchAccounts returns the number of a name in a list of users or groups that is written as
// /etc/passwd or /etc/group, of which it reads MaxAccounts bytes at most. The error is
// ErrNoAccount if the list does not have it, or says why the list cannot be read.
func SearchAccounts(list io.Reader, name string) (int, error) {
	in := bufio.NewReader(io.LimitReader(list, MaxAccounts))
	// A group's line is as long as its members are many, and begins with what is looked for.
	for within := false; ; {
		line, more, err := in.ReadLine()
		if errors.Is(err, io.EOF) {
			return 0, ErrNoAccount
		}
		if err != nil {
			return 0, err
		}
		if id, ok := idIn(string(line), name); ok && !within {
			return id, nil
		}
		within = more
	}
}

// idIn returns the number in a line, name:password:number:…, if it is that of the name.
func idIn(line, name string) (id int, ok bool) {
	fields := strings.SplitN(strings.TrimSpace(line), ":", 4)
	if len(fields) < 4 || fields[0] != name {
		return 0, false
	}
	return accountNumber(fields[2])
}

// accountNumber parses the number of a user or group. The largest is nobody's: to chown, it means
// that nothing changes.
func accountNumber(s string) (id int, ok bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n != math.MaxUint32
}
