package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"

	"k2hdkc-slave-agent/chmpx/conftest"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/bugreport"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/host"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// tidy closes the role tokens to others, and records which instance this host is. Neither is a
// reason to stop, and a verb that changes nothing does without.
func (p *program) tidy(o *options.Options, log *slog.Logger) {
	if !o.InPod() { // whose containers share that folder, with no token in it
		p.guard.CloseFolder(o.AntpickaxDir, options.AntpickaxRoleToken, log)
	}
	p.guard.CloseFile(options.OwnRoleToken, log)
	if path, _ := o.FindRoleTokenFile(); path != "" {
		p.guard.CloseFile(path, log)
	}
	if o.UserTokenFile != "" {
		p.guard.CloseUserToken(o.UserTokenFile, log)
	}
	if o.CUK.IsZero() && !o.InPod() {
		p.instance.Update(o.Instance(), log)
	}
}

// identify makes this pod's CUK, if this host is a pod and has none yet.
func (p *program) identify(o *options.Options, log *slog.Logger) error {
	if !o.InPod() || !o.CUK.IsZero() {
		return nil
	}
	made, err := o.Pod().Keep()
	if made {
		log.Info("this pod has a new CUK, which it keeps for its life", "file", o.Pod().File(), "pod", o.ResolveTag())
	}
	return err
}

// extra is the kind of host that this one registers as.
func extra(o *options.Options) k2hr3.Extra {
	if o.InPod() {
		return k2hr3.Kubernetes
	}
	return k2hr3.VM
}

// newMember makes this host's part in the conversation with K2HR3.
func (p *program) newMember(o *options.Options, log *slog.Logger) (*member.Member, error) {
	if err := o.RequireK2HR3(); err != nil {
		return nil, err
	}
	if err := checkWritten(o); err != nil {
		return nil, err
	}
	cuk, err := o.ResolveCUK()
	if err != nil {
		return nil, err
	}
	clientFrom := func(from netip.Addr) (*k2hr3.Client, error) {
		return k2hr3.New(k2hr3.Config{
			API: o.APIURI, CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile,
			Timeout: o.Timeout, UserAgent: options.Program + "/" + versionName(), Logger: log, From: from,
			Limiter: &p.limiter, Observe: p.observe(),
		})
	}
	client, err := clientFrom(netip.Addr{})
	if err != nil {
		return nil, err
	}
	return &member.Member{
		Client: client, Role: o.Role, Resource: o.Resource, CUK: cuk, Log: log,
		Left: hasLeft(o, cuk), Extra: extra(o), UserTokenFile: o.UserTokenFile,
		FixedTag: o.ResolveTag(), FullName: host.FullName, MayBeNamed: host.MayBeNamed, NameChanged: host.NewRenaming().Seen,
		Address: client.LocalAddress, ClientFrom: clientFrom,
		ForgetToken: o.ForgetBootstrapToken, Guard: &p.guard,
		TokenFile: func() string {
			path, _ := o.FindRoleTokenFile()
			return path
		},
	}, nil
}

// newWatcher makes the watcher, whole but not running. The caller closes its member.
func (p *program) newWatcher(o *options.Options, log *slog.Logger) (*watcher.Watcher, *member.Member, error) {
	m, err := p.newMember(o, log)
	if err != nil {
		return nil, nil, err
	}
	file, err := outputFile(o)
	if err != nil {
		m.Close()
		return nil, nil, err
	}
	w := &watcher.Watcher{
		Config: watcher.Config{
			File:       file,
			StateFile:  stateFile(o),
			Role:       m.Role.String(),
			Origin:     fmt.Sprintf("%s %s %s", o.APIURI, o.Resource, m.CUK),
			InstanceID: m.CUK.String(), Pod: o.InPod(), MinServers: o.MinServers, Stamp: o.Stamp,
			Interval: o.Interval, Wait: o.Wait, Confirm: o.Confirm, Peek: o.Peek, PeekDirect: o.PeekDirect(),
			Reload: o.Reload, Start: o.Start, RestartUnconfirmed: o.RestartUnconfirmed, Heal: o.Heal,
		},
		Member: m, Log: log,
		Judge: new(host.Local), Pace: &p.pace, Signs: daemon.Signs{File: o.Output},
	}
	if p.metrics != nil {
		w.Kept = (&bugreport.Kept{Dir: filepath.Join(o.StateDir, bugreport.KeptDir), Log: log}).Add
		w.Meter = p.metrics.Metrics
	}
	if o.StatusCommand != "" {
		prober := &daemon.Prober{Command: o.StatusCommand, Dir: o.RunDir}
		w.Chmpx, w.Peers = prober, daemon.Peers{}
		if o.InPod() && o.RestartUnconfirmed {
			w.Unit = &daemon.Container{Prober: prober}
		}
	}
	if o.CheckCommand != "" {
		w.SecondOpinion = &conftest.Opinion{Checker: conftest.Checker{Command: o.CheckCommand}, Log: log}
	}
	if o.Unit != "" {
		w.Unit = &daemon.Unit{Name: o.Unit}
	}
	return w, m, nil
}

// written are the files besides the output that the agent writes.
func written(o *options.Options) []render.Taken {
	return []render.Taken{
		{What: "the agent's state", Path: stateFile(o)},
		{What: "the agent's record of this instance", Path: o.Instance().Record},
		{What: "the agent's note that this pod has left", Path: leftFile(o)},
		{What: "the file for chmpxstatus", Path: filepath.Join(o.RunDir, daemon.ProbeName)},
		{What: "the agent's status", Path: filepath.Join(o.RunDir, status.FileName)},
		{What: "the lock beside the agent's status", Path: filepath.Join(o.RunDir, status.LockName)},
	}
}

// stateFile is where the watcher remembers what it did.
func stateFile(o *options.Options) string { return filepath.Join(o.StateDir, "state.json") }

// outputFile is the file to keep, with the ids of the owner and group that it is to have.
func outputFile(o *options.Options) (render.File, error) {
	f := render.File{Path: o.Output, Mode: o.Mode, Taken: slices.Concat(o.Reads(), written(o), o.MetricsFiles())}
	var errOwner, errGroup error
	f.Owner, errOwner = id(o.Owner, render.UserID)
	f.Group, errGroup = id(o.Group, render.GroupID)
	return f, errors.Join(o.Blame("owner", errOwner), o.Blame("group", errGroup))
}

// id returns the id of a user or group, nil for an empty one.
func id(account string, of func(string) (int, error)) (*int, error) {
	if account == "" {
		return nil, nil
	}
	n, err := of(account)
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// prepareDirs makes the agent's own directories where its package or unit has
// not. What the agent writes in them must be nothing that it reads.
func prepareDirs(o *options.Options) error {
	for _, d := range []struct{ key, path string }{{"state-dir", o.StateDir}, {"run-dir", o.RunDir}} {
		err := atomicfile.MakeFolders(d.path, 0o755)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("cannot make %s %s: run as root, or name another one: %w", d.key, d.path, err)
		}
		if err != nil {
			return fmt.Errorf("cannot make %s: %w", d.key, err)
		}
	}
	return checkWritten(o)
}

// checkWritten returns an error if something that the agent writes is something that it reads.
func checkWritten(o *options.Options) error {
	for _, own := range written(o) {
		for _, f := range o.Reads() {
			if regularfile.Locate(own.Path).Same(regularfile.Locate(f.Path)) {
				return fmt.Errorf("%s, %s, is also %s (%s); name another state-dir or run-dir", own.What, own.Path, f.What, f.Path)
			}
		}
	}
	others := append(o.Reads(), written(o)...)
	for _, own := range o.MetricsFiles() {
		for _, f := range others {
			if regularfile.Locate(own.Path).Same(regularfile.Locate(f.Path)) {
				return o.Blame(own.What, fmt.Errorf("%s is also %s (%s); name another file", own.Path, f.What, f.Path))
			}
		}
		others = append(others, own)
	}
	return nil
}
