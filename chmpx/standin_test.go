package chmpx

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
)

// outcome is what becomes of a chmpx that is started on a text.
type outcome string

const (
	starts      outcome = "starts"
	doesntStart outcome = "loads, but does not start"
	doesntLoad  outcome = "does not load"
)

// outcome is what a report comes to.
func (r Report) outcome() outcome {
	switch {
	case r.Config == nil:
		return doesntLoad
	case r.Verdict == Reject:
		return doesntStart
	}
	return starts
}

// standinShop is shop as the stand-in's loader knows a host.
func standinShop() fakechmpx.Host {
	h := shop()
	return fakechmpx.Host{
		Names: append(h.Names, h.Addrs...),
		Lookup: func(name string) []string {
			all, _ := h.Lookup(context.Background(), name)
			return all
		},
		Stat: func(path string) (fs.FileInfo, error) {
			kind := h.Paths(path)
			if kind == NoPath {
				return nil, fs.ErrNotExist
			}
			return shopFile(kind), nil
		},
	}
}

// shopFile is what the stand-in's loader sees at a path.
type shopFile PathKind

func (f shopFile) Name() string       { return "" }
func (f shopFile) Size() int64        { return 0 }
func (f shopFile) Mode() fs.FileMode  { return map[bool]fs.FileMode{true: fs.ModeDir}[f.IsDir()] }
func (f shopFile) ModTime() time.Time { return time.Time{} }
func (f shopFile) IsDir() bool        { return PathKind(f) == Directory }
func (f shopFile) Sys() any           { return nil }

// standinDiffers are the cases of which the stand-in's loader, which shares
// nothing with this package, is known to make something else.
var standinDiffers = map[string]struct {
	is  outcome
	why string
}{
	"self/an expression that can't be judged":               {doesntStart, "it knows no back references"},
	"self/the own CUK under a name that can't be looked up": {doesntStart, noAnswer},
	"self/a name that can't be looked up, and no CUK":       {doesntStart, noAnswer},
}

const noAnswer = "without an answer the name is not this host's; whether there will be one is not known beforehand"

// TestStandinAgrees holds every case, and the configuration that comes of it,
// against the loader of the stand-in.
func TestStandinAgrees(t *testing.T) {
	host := standinShop()
	for _, c := range readCases(t) {
		t.Run(c.name, func(t *testing.T) {
			report := Judge(context.Background(), []byte(c.text), shop(), nil)
			want := report.outcome()
			if d, differs := standinDiffers[c.name]; differs {
				t.Log(d.why)
				want = d.is
			}
			is := starts
			loaded, err := fakechmpx.Load([]byte(c.text), host)
			if err != nil {
				is = doesntLoad
			} else if err = loaded.CanStart(host); err != nil {
				is = doesntStart
			}
			if is != want {
				t.Errorf("the stand-in %s (%v), want: %s", is, err, want)
			}
			if loaded == nil || report.Config == nil || report.Has(RuleManyNodes) {
				return // nothing to compare, or not all of it
			}
			if diff := cmp.Diff(printed(loaded), printed(report.Config.standin())); diff != "" {
				t.Errorf("the stand-in has another configuration (-stand-in +here):\n%s", diff)
			}
		})
	}
}

// TestStandinSeesTheSameChanges holds what a reload compares against the
// stand-in.
func TestStandinSeesTheSameChanges(t *testing.T) {
	host := standinShop()
	load := func(t *testing.T, text string) *fakechmpx.Config {
		t.Helper()
		c, err := fakechmpx.Load([]byte(text), host)
		fatal.If(t, err)
		return c
	}
	for _, c := range changeCases() {
		t.Run(c.name, func(t *testing.T) {
			is := !load(t, cluster).Equal(load(t, c.text(t)))
			if want := len(c.want) > 0; is != want {
				t.Errorf("the stand-in saw a change: %t, want %t", is, want)
			}
		})
	}
}

// printed is what chmpxconftest would print of a configuration.
func printed(c *fakechmpx.Config) string {
	var b strings.Builder
	fakechmpx.WriteConfig(&b, c)
	return withoutDate(b.String())
}

// withoutDate leaves DATE out, which is neither compared nor modelled.
func withoutDate(s string) string {
	head, rest, _ := strings.Cut(s, "\tDATE ")
	_, tail, _ := strings.Cut(rest, "\n")
	return head + tail
}

// standin is c in the words of the stand-in, which can print it.
func (c *Config) standin() *fakechmpx.Config {
	to := &fakechmpx.Config{
		Group: c.Group, FileVersion: c.FileVersion, Mode: fakechmpx.Mode(modeText(c)),
		Random: c.DeliverMode == DeliverRandom, SelfCtlPort: c.SelfCtlPort, SelfCUK: c.SelfCUK, IDType: string(c.IDType),
		Tuning: fakechmpx.Tuning{
			MaxChmpx: c.MaxChmpx, Replica: c.Replica, MaxMQServer: c.MaxMQServer, MaxMQClient: c.MaxMQClient,
			MQPerAttach: c.MQPerAttach, MaxMQPerClient: c.MaxMQPerClient,
			MaxQPerServerMQ: c.MaxQPerServerMQ, MaxQPerClientMQ: c.MaxQPerClientMQ,
			MaxHistLog: c.MaxHistLog, RetryCnt: c.RetryCnt, RWTimeout: c.RWTimeout, ConTimeout: c.ConTimeout,
			MQRetryCnt: c.MQRetryCnt, MQRWTimeout: c.MQRWTimeout, MQAck: c.MQAck, DoMerge: c.DoMerge, AutoMerge: c.AutoMerge,
			MergeTimeout: c.MergeTimeout, SockThreadCnt: c.SockThreadCnt, MQThreadCnt: c.MQThreadCnt,
			MaxSockPool: c.MaxSockPool, SockPoolTimeout: c.SockPoolTimeout, SSLMinVer: c.SSLMinVer, NSSDBDir: c.NSSDBDir,
		},
		K2Hash: fakechmpx.K2Hash{FullMap: c.K2HFullMap, MaskBit: c.K2HMaskBit, CMaskBit: c.K2HCMaskBit, MaxElement: c.K2HMaxEle},
	}
	for i := range c.Servers {
		to.Servers = append(to.Servers, c.Servers[i].standin())
	}
	for i := range c.Slaves {
		to.Slaves = append(to.Slaves, c.Slaves[i].standin())
	}
	return to
}

func (n *Node) standin() fakechmpx.Node {
	list := func(from []HostPort) (to []fakechmpx.HostPort) {
		for _, hp := range from {
			to = append(to, fakechmpx.HostPort(hp))
		}
		return to
	}
	return fakechmpx.Node{
		Name: n.Name, Port: n.Port, CtlPort: n.CtlPort, CUK: n.CUK, Seed: n.Seed,
		Endpoints: list(n.Endpoints), CtlEndpoints: list(n.CtlEndpoints),
		ForwardPeers: list(n.ForwardPeers), ReversePeers: list(n.ReversePeers),
		TLS: fakechmpx.TLS{
			On: n.SSL, VerifyPeer: n.VerifyPeer, CAPath: n.CAPath, CAFile: n.CAFile, ServerCert: n.ServerCert, ServerPriKey: n.ServerPrivKey,
			SlaveCert: n.SlaveCert, SlavePriKey: n.SlavePrivKey,
		},
	}
}
