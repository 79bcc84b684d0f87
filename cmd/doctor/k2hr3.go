package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/prose"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

func k2hr3Checks() []check {
	return []check{
		{id: "store", about: "whether K2HR3 reaches its own store", needs: []string{"k2hr3"}, look: lookStore},
		{id: "membership", about: "this host in the role, by the address K2HR3 sees and the CUK", needs: []string{"store"}, look: lookMembership},
		{id: "resource", about: "the RESOURCE's text in K2HR3", needs: []string{"membership"}, look: lookResource},
		{id: "text", about: "what chmpx would make of the RESOURCE", needs: []string{"resource"}, look: lookText},
		{id: "duplicates", about: "this host's entries in the RESOURCE", needs: []string{"resource"}, look: lookDuplicates},
	}
}

// standing is what K2HR3 says of this host.
type standing struct {
	is  bool // a member
	err error

	// Of the role token, where the host is no member.
	token    k2hr3.Token
	tokenErr error // why there is none to ask by
	taken    bool  // K2HR3 takes it
}

// slowNo is how long K2HR3 takes for a no that means nothing: it takes about 14 s to notice that
// its store is down.
const slowNo = 3 * time.Second

// patience is how long K2HR3 may take for an answer. It is less than its store's 14 s.
const patience = 3500 * time.Millisecond

func (x *exam) stand(ctx context.Context) standing {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var s standing
	var took time.Duration
	if s.is, took, s.err = x.Client.IsMember(ctx, x.Options.Role, x.CUK); s.is || s.err != nil {
		return s
	}
	if took >= slowNo {
		s.err = fmt.Errorf("K2HR3 took %v to say no, as it does while its store is down", took.Round(time.Second))
		return s
	}
	path, _ := x.Options.FindRoleTokenFile()
	s.tokenErr = member.ErrNoToken
	if path != "" {
		s.token, _, s.tokenErr = member.ReadTokenFile(path)
	}
	if s.tokenErr == nil && s.token.IsZero() {
		s.tokenErr = fmt.Errorf("%s holds the address of user data", path)
	}
	if s.tokenErr != nil {
		return s
	}
	s.taken, _, s.err = x.Client.TakesToken(ctx, x.Options.Role, s.token)
	return s
}

func lookStore(_ context.Context, x *exam) *finding {
	const remedy = "K2HR3's API is up, and what needs its store is not: look at the log of k2hr3-api and at the store (k2hdkc and chmpx on K2HR3's hosts)"
	s := x.standing()
	switch {
	case s.err != nil:
		message, hint := explained(s.err)
		if hint == "" || errors.Is(s.err, k2hr3.ErrTransport) || errors.Is(s.err, context.DeadlineExceeded) {
			hint = remedy
		}
		if errors.Is(s.err, context.DeadlineExceeded) {
			message = fmt.Sprintf("K2HR3 does not say within %v whether this host is a member", patience)
		}
		return bad(hint, "%s", message)
	case s.is:
		return good("K2HR3 finds this host in its store")
	case s.taken:
		return good("K2HR3 finds the role token in its store")
	case s.tokenErr == nil && x.Known.Role == x.Options.Role.String():
		return bad(remedy+". If that is well: the role was made anew, or this host removed and its token revoked; then issue a new role token",
			"K2HR3 knows neither this host, which was a member, nor its role token; it says so of everybody while its store is down")
	}
	return skip("K2HR3 knows nothing yet that this host could ask for")
}

func lookMembership(ctx context.Context, x *exam) *finding {
	from := "an address that cannot be told"
	addr, err := x.Client.LocalAddress(ctx)
	if err == nil {
		from = addr.String()
	}
	looked := fmt.Sprintf("%s from %s with the CUK %s", x.Options.Role, from, x.CUK.Brief())
	s := x.standing()
	if s.is {
		return good("this host is a member, from %s with the CUK %s", from, x.CUK.Brief()).at("%s", looked)
	}
	not := fmt.Sprintf("this host is not a member of %s", x.Options.Role)
	path, _ := x.Options.FindRoleTokenFile()
	var f *finding
	switch {
	case errors.Is(s.tokenErr, member.ErrNoToken) && x.Options.UserTokenFile != "":
		f = bad("look at what the agent logs (in a pod: kubectl logs): it has K2HR3 make a role token of the user's token in "+x.Options.UserTokenFile+" and registers with that",
			"%s", not)
	case errors.Is(s.tokenErr, member.ErrNoToken):
		f = bad("put a role token into /etc/k2hdkc/role-token (or name its file with role-token-file); the agent registers at once. If this host was a member: somebody removed it, or K2HR3's store is down",
			"%s, and has no role token to register with", not)
	case errors.Is(s.tokenErr, fs.ErrPermission) && !isRoot():
		f = blind(unseen("why %s", not))
	case s.tokenErr != nil:
		f = bad("see why the agent does not register: journalctl -u k2hdkc-slave-agent", "%s; of the role token: %v", not, s.tokenErr).after("token")
	case !s.taken:
		f = bad("issue a new role token for "+x.Options.Role.String()+", and put it into "+path+": this one is expired, revoked, or of a role that was deleted",
			"%s, and K2HR3 does not take its role token", not)
	case addr.IsValid() && !k2hr3.CanLeave(addr):
		f = bad("let this host reach K2HR3 over IPv4, or give it an IPv6 address whose last group has one digit",
			"%s, and the agent does not register it under %s: K2HR3 could never remove that address", not, addr)
	case x.Known.Address != "" && x.Known.Address != from && x.Known.Role == x.Options.Role.String():
		f = bad("the agent registers it under the new address within seconds; if that lasts: journalctl -u k2hdkc-slave-agent",
			"%s: it was registered from %s, and K2HR3 sees it as %s now", not, x.Known.Address, from)
	default:
		f = bad("the agent registers it within a minute or two; if that lasts: journalctl -u k2hdkc-slave-agent, or `k2hdkc-slave-agent register` says why. Behind NAT or a proxy K2HR3 sees another address each time",
			"%s by the address K2HR3 sees and its CUK", not)
	}
	return f.at("%s", looked)
}

func lookResource(ctx context.Context, x *exam) *finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q := k2hr3.Query{Resource: x.Options.Resource, Role: x.Options.Role, CUK: x.CUK}
	a, err := x.Client.Resource(ctx, q)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return bad("K2HR3 is overloaded, or its template takes long: look at its log", "K2HR3 does not give the RESOURCE within %v", patience).
			at("GET %s", q.Resource)
	case err != nil:
		message, hint := explained(err)
		if hint == "" {
			hint = "look at the RESOURCE and the role's policies in K2HR3"
		}
		return bad(hint, "%s", message).at("GET %s", q.Resource)
	case strings.TrimSpace(a.Text) == "":
		return bad("give the RESOURCE "+q.Resource.String()+" its text, or correct resource", "the RESOURCE's text is empty").at("GET %s", q.Resource)
	}
	x.answer = a
	return good("K2HR3 renders it: %d bytes in %v", len(a.Text), a.Took.Round(time.Millisecond)).at("GET %s", q.Resource)
}

func lookText(ctx context.Context, x *exam) *finding {
	ctx, cancel := context.WithTimeout(ctx, judgeLimit)
	defer cancel()
	const mend = "correct the template of the RESOURCE in K2HR3; `k2hdkc-slave-agent once --dry-run` shows what would come of it, and `check FILE` judges a file"
	b := render.Bytes(x.answer.Text, x.values(x.revision()))
	fresh := x.Judge(ctx, b, nil)
	x.text = fresh
	switch c := fresh.Config; {
	case fresh.Only(chmpx.RuleNoServer):
		return bad("start a server node of the cluster; if one runs, the RESOURCE's template lists another role's hosts", "it lists no server nodes")
	case fresh.Only(chmpx.RuleTLSFile):
		return good("chmpx would take it, but for the certificates it names")
	case fresh.Only(chmpx.RuleSelfUnsure):
		return warn("look at the name service of this host (/etc/resolv.conf), or set tag", "%s", fresh.Why())
	case len(fresh.Grave()) > 0:
		return bad(mend, "%s: %s", fresh.Verdict, fresh.Why())
	case fresh.Has(chmpx.RulePlaceholder):
		left, _ := fresh.Leftover()
		return bad(mend, "%s", left.InWords())
	case len(c.Servers) < x.Options.MinServers:
		return bad("start the server nodes that are missing, or lower min-servers", "it lists %d server nodes, fewer than min-servers (%d)", len(c.Servers), x.Options.MinServers)
	}
	if f, wait := x.liveText(ctx, b); wait {
		return f
	}
	x.fit = true
	return good("chmpx takes it: %s", nodes(fresh.Config))
}

// liveText says whether the text must wait for a restart of the chmpx that runs.
func (x *exam) liveText(ctx context.Context, b []byte) (*finding, bool) {
	p, c := x.chmpx(), x.inPlace().report.Config
	unseen := p.err != nil && !errors.Is(p.err, daemon.ErrNotRunning)
	var running *chmpx.Running
	switch {
	case p.err == nil && c != nil && c.FileVersion == p.status.Revision:
		running = watcher.Running(p.status, c)
	case p.err == nil:
		running = watcher.Running(p.status, nil)
	case unseen && c != nil:
		running = &chmpx.Running{Config: c, Unseen: true}
	default:
		return nil, false
	}
	live := x.Judge(ctx, b, running)
	if len(live.Grave()) > 0 && !live.Only(chmpx.RuleTLSFile, chmpx.RuleSelfUnsure) {
		restart := "restart chmpx when it suits its clients"
		if x.Options.Unit != "" {
			restart += " (systemctl restart " + x.Options.Unit + ")"
		}
		restart += ": the agent puts the file in place in between"
		if unseen && x.Options.Unit == "" {
			signs := daemon.Signs{File: x.File.Path, Proc: x.Proc}.Look(max(c.SelfCtlPort, 0))
			if signs.Any() {
				restart += "; " + watcher.HowToRestart(signs)
			} else {
				restart = watcher.HowToRestart(signs)
			}
		}
		which := "the one that runs"
		if unseen {
			which = "one that runs slave.ini as it is"
		}
		return bad(restart, "a fresh chmpx takes it, and %s must not load it: %s", which, live.Why()), true
	}
	return nil, false
}

// revision is the FILEVERSION to judge a text with: that of the file in place, so that nothing but
// the text differs.
func (x *exam) revision() int {
	if c := x.inPlace().report.Config; c != nil && x.Options.Stamp {
		return c.FileVersion
	}
	return 0
}

func nodes(c *chmpx.Config) string {
	return fmt.Sprintf("%s, %s", prose.Count(len(c.Servers), "server node"), prose.Count(len(c.Slaves), "slave node"))
}

// allThere has a file load whatever certificates are on this host.
func allThere(string) chmpx.PathKind { return chmpx.RegularFile }

func lookDuplicates(_ context.Context, x *exam) *finding {
	c, _ := chmpx.Load(render.Bytes(x.answer.Text, x.values(0)), allThere)
	if c == nil {
		return skip("the RESOURCE does not load").after("text")
	}
	var mine []chmpx.Node
	for _, n := range c.Slaves {
		if n.CUK == x.CUK.String() {
			mine = append(mine, n)
		}
	}
	switch len(mine) {
	case 0:
		return warn("nothing, if slaves go by another key than the CUK; else look whether the template lists the hosts of "+x.Options.Role.String(),
			"no slave node has this host's CUK %s", x.CUK.Brief()).after("text")
	case 1:
	default:
		var names []string
		for _, n := range mine {
			names = append(names, n.Name)
		}
		return warn("remove the entry that is not this host's from the role in K2HR3: an old address of this host, or another host with the same CUK",
			"%d slave nodes have this host's CUK: %s", len(mine), strings.Join(names, ", "))
	}
	for _, n := range c.Slaves {
		if n.Name == mine[0].Name && n.CtlPort == mine[0].CtlPort && n.CUK != mine[0].CUK {
			return warn("remove the entry that is not this host's from the role in K2HR3, or give one of the two hosts another tag",
				"another slave node has this host's name %s, with the CUK %s", n.Name, n.CUK)
		}
	}
	return good("one slave node has this host's CUK: %s", mine[0].Name)
}
