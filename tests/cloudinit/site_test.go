package cloudinit

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/packages"
	"k2hdkc-slave-agent/tests/realagent"
)

// What the machines of a site know the others by.
const (
	k2hr3Name    = "k2hr3.shop.example"
	k2hr3URI     = "http://" + k2hr3Name
	packagesName = "packages.shop.example"
	packagesPort = "8080"
	packagesURI  = "http://" + packagesName + ":" + packagesPort
)

// site is where machines are booted: K2HR3 with a cluster, and a package
// repository.
type site struct {
	tb      testing.TB
	k2hr3   *fakek2hr3.Server
	cluster *fakek2hr3.Cluster
	repo    *packages.Repository

	late bool // the package repository is served from openPackages on only

	mu    sync.Mutex
	hosts []netip.Addr // the ends of the cables where K2HR3 is
	doors []*http.Server
	down  bool
}

func newSite(tb testing.TB, opts ...fakek2hr3.Option) *site {
	tb.Helper()
	return newSiteOf(tb, machine.Bookworm, opts...)
}

// newSiteOf is a site whose machines have that release of Debian.
func newSiteOf(tb testing.TB, suite string, opts ...fakek2hr3.Option) *site {
	tb.Helper()
	s := &site{tb: tb, k2hr3: fakek2hr3.New(opts...)}
	s.repo = packages.Repo(tb, packages.Build(tb, "1.4.0"), packages.ChmpxOn(tb, suite))
	s.k2hr3.Hold(time.Minute)
	s.cluster = s.k2hr3.AddCluster("shop", "orders")
	s.join(1, 2)
	tb.Cleanup(func() { s.setDown(true) })
	return s
}

// plugged serves at the test's end of a machine's cable.
func (s *site) plugged(outside, _ netip.Addr) error {
	if !s.late {
		if err := s.openPackages(outside); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts = append(s.hosts, outside)
	if s.down {
		return nil
	}
	return s.open(outside)
}

// openPackages serves the package repository.
func (s *site) openPackages(outside netip.Addr) error {
	return s.serve(outside, packagesPort, http.FileServer(http.Dir(s.repo.Dir)))
}

func (s *site) serve(outside netip.Addr, port string, h http.Handler) error {
	l, err := net.Listen("tcp", net.JoinHostPort(outside.String(), port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	s.tb.Cleanup(func() { server.Close() })
	return nil
}

func (s *site) open(outside netip.Addr) error {
	l, err := net.Listen("tcp", net.JoinHostPort(outside.String(), "80"))
	if err != nil {
		return err
	}
	server := fakek2hr3.NewHTTPServer(s.k2hr3)
	go server.Serve(l)
	s.doors = append(s.doors, server)
	return nil
}

// setDown has nobody listen where K2HR3 was, or K2HR3 be back.
func (s *site) setDown(down bool) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.doors {
		d.Close()
	}
	s.doors, s.down = nil, down
	if down {
		return
	}
	for _, outside := range s.hosts {
		if err := s.open(outside); err != nil {
			s.tb.Fatal(err)
		}
	}
}

// join and leave are what server nodes do.
func (s *site) join(numbers ...int) {
	for _, n := range numbers {
		s.cluster.Join(serverAddr(n), serverCUK(n), serverAddr(n))
	}
}

func (s *site) leave(n int) { s.cluster.Leave(serverAddr(n), serverCUK(n)) }

func serverAddr(n int) string { return fmt.Sprintf("203.0.113.%d", n) }
func serverCUK(n int) string  { return fmt.Sprintf("6d0f3a52-91c4-4a7e-b1d8-5c2e90f7a%03d", n) }

// userData is what the agent of this source tree prints for a new slave.
func (s *site) userData(token, format string) string {
	s.tb.Helper()
	dir := s.tb.TempDir()
	bin, err := realagent.Build(dir)
	if err != nil {
		s.tb.Fatal(err)
	}
	file := filepath.Join(dir, "role-token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.Command(bin, "user-data", "--api-uri", k2hr3URI, "--role", s.cluster.SlaveRole(), "--role-token-file", file,
		"--repo", packagesURI, "--repo-key-file", s.repo.Key, "--format", format,
		"--packages", "", "--app-user", "games", "--app-user", "nosuch") // the site has no k2hdkc
	cmd.Env = []string{"K2HDKC_SLAVE_ANTPICKAX_DIR=" + dir, "PATH=" + os.Getenv("PATH")}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.tb.Fatalf("user-data: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// noMirrors keeps cloud-init from telling apt of Debian's mirrors, which are
// out of reach: what a site with mirrors of its own says in its images.
const noMirrors = "apt: { preserve_sources_list: true }\n"

// options are those of a machine at the site.
func (s *site) options(name, instance, userData string) machine.Options {
	o := machine.Options{
		Name: name, Outside: k2hr3Name + " " + packagesName, InstanceID: instance, UserData: userData, Plugged: s.plugged,
		Files: []machine.File{{Path: "/etc/cloud/cloud.cfg.d/91-site.cfg", Text: noMirrors}},
	}
	if !need.VM() {
		o.Files = append(o.Files, slave.Queues()...)
	}
	return o
}

// wantSlaves checks who is a member of the slaves' role: each ADDRESS CUK.
func (s *site) wantSlaves(want ...string) {
	s.tb.Helper()
	slices.Sort(want)
	if got := s.slaves(); !slices.Equal(got, want) {
		s.tb.Errorf("the slaves' role has %q, want %q", got, want)
	}
}

func (s *site) slaves() (list []string) {
	for _, h := range s.cluster.Slaves() {
		list = append(list, h.Addr+" "+h.CUK)
	}
	slices.Sort(list)
	return list
}

// key is the public key that the repository is signed with.
func (s *site) key() string {
	s.tb.Helper()
	b, err := os.ReadFile(s.repo.Key)
	if err != nil {
		s.tb.Fatal(err)
	}
	return string(b)
}
