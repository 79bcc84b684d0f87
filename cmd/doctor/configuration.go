package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

func configurationChecks() []check {
	return []check{
		{id: "config", about: "the agent's options, wherever they are from", look: lookConfig},
		{id: "token", about: "the role token's file", needs: []string{"config"}, look: lookToken},
		{id: "clock", about: "this host's clock beside K2HR3's", needs: []string{"config"}, look: lookClock},
	}
}

func lookConfig(_ context.Context, x *exam) *finding {
	o := x.Options
	switch {
	case x.Wrong != nil && errors.Is(x.Wrong, fs.ErrPermission) && !isRoot():
		return blind(unseen("the agent's configuration: %v", x.Wrong)).at("%s", o.ConfigFile)
	case x.Wrong != nil:
		return bad("correct what the message names; where two places set an option, a flag beats the environment, which beats "+o.ConfigFile+
			", which beats the files in "+o.AntpickaxDir, "%s", strings.ReplaceAll(x.Wrong.Error(), "\n", "; ")).at("%s, the environment and %s", o.ConfigFile, o.AntpickaxDir)
	}
	return good("K2HR3 at %s, %s, CUK %s, flavour %s (%s)", o.APIURI, o.Role, x.CUK.Brief(), o.Flavour, o.Source("flavour")).
		at("%s, the environment and %s", o.ConfigFile, o.AntpickaxDir)
}

func lookToken(_ context.Context, x *exam) *finding {
	path, _ := x.Options.FindRoleTokenFile()
	if user := x.Options.UserTokenFile; path == "" && user != "" {
		if _, err := os.Stat(user); err != nil {
			return warn("put a user's token into "+user+", or remove user-token-file: a host that is a member needs none", "%v", err).at("%s", user)
		}
		return good("there is no role token; K2HR3 makes one of the user's token in %s when it is needed", user).at("%s", user)
	}
	if path == "" {
		return good("there is none that can be seen from here (a systemd credential of the agent's unit could not); a host that is a member needs none")
	}
	token, at, err := member.ReadTokenFile(path)
	switch {
	case errors.Is(err, member.ErrNoToken):
		return warn("put the role token into "+path+", or remove role-token-file: a host that is a member needs none",
			"%s is not there", path).at("%s", path)
	case errors.Is(err, fs.ErrPermission) && !isRoot():
		return unseen("the role token in %s", path).at("%s", path)
	case err != nil:
		return bad("write K2HR3's role token alone into "+path+"; it has 64 digits", "%v", err).at("%s", path)
	}
	if info, err := os.Stat(path); err == nil && info.Mode()&0o007 != 0 {
		return warn("chmod 0600 "+path+", and issue a new token if somebody else may have read this one",
			"%s can be read by everybody (mode %04o)", path, info.Mode().Perm()).at("%s", path)
	}
	if token.IsZero() && !at.IsZero() {
		return good("%s holds the address of K2HR3's user data (%s), which has the token", path, at).at("%s", path)
	}
	return good("%s holds a role token", path).at("%s", path)
}

// By how much clocks may differ. A slave whose clock is ahead of the servers' ignores their reports
// for that long (docs/chmpx.md J.2), and certificates have their times.
const (
	clockDiffers = 15 * time.Second
	clockWrong   = 2 * time.Minute
)

func lookClock(_ context.Context, x *exam) *finding {
	w := x.way()
	if !w.Dated && w.Err == nil {
		return skip("K2HR3's answer has no Date that this host's clock could be compared with")
	}
	if !w.Dated {
		f := skip("nothing answers that tells the time")
		f.waits = stepCheck(w)
		return f
	}
	ahead := "ahead of"
	by := w.Ahead
	if by < 0 {
		ahead, by = "behind", -by
	}
	const remedy = "have this host keep its time (timedatectl set-ntp true, or chrony); if this host is right, K2HR3's host is not"
	switch {
	case by >= clockWrong:
		return bad(remedy, "this host's clock is %v %s K2HR3's", by, ahead)
	case by >= clockDiffers:
		return warn(remedy, "this host's clock is %v %s K2HR3's", by, ahead)
	}
	return good("this host's clock agrees with K2HR3's (to %v)", max(by, time.Second))
}

// stepCheck is the check of the step that failed.
func stepCheck(w k2hr3.Way) string {
	switch w.Reached {
	case k2hr3.Resolving:
		return "name"
	case k2hr3.Connecting:
		return "tcp"
	case k2hr3.Agreeing:
		return "tls"
	}
	return "k2hr3"
}
