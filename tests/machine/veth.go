package machine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// cables is how many cables fit into the network they take their addresses
// from, four each. The network is set aside for tests of network equipment.
const cables = 1 << 15

var cableNetwork = netip.MustParseAddr("198.18.0.0")

// cable is a pair of network interfaces, one in the host's network and one in
// a machine's. It ends with the machine's network.
type cable struct {
	name            string // of the host's interface
	outside, inside netip.Addr
}

func newCable(number int) cable {
	base := cableNetwork.As4()
	base[1] += byte(number >> 14)
	base[2] = byte(number >> 6)
	base[3] = byte(number << 2)
	outside, inside := base, base
	outside[3]++
	inside[3] += 2
	return cable{fmt.Sprintf("k2hm%04x", number), netip.AddrFrom4(outside), netip.AddrFrom4(inside)}
}

// plug lays a cable to the network of the process pid. Its number starts at
// first, and is the next one that nobody uses.
func plug(ctx context.Context, first, pid int) (cable, error) {
	for i := range cables {
		c := newCable((first + i) % cables)
		err := ip(ctx, "link", "add", c.name, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid))
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return c, err
		}
		return c, c.up(ctx, pid)
	}
	return cable{}, errors.New("all cables are in use")
}

func (c cable) up(ctx context.Context, pid int) error {
	within := []string{"nsenter", "--net", "--target", strconv.Itoa(pid), "ip"}
	for _, args := range [][]string{
		{"ip", "addr", "add", c.outside.String() + "/30", "dev", c.name},
		{"ip", "link", "set", c.name, "up"},
		append(within, "addr", "add", c.inside.String()+"/30", "dev", "eth0"),
		append(within, "link", "set", "lo", "up"),
		append(within, "link", "set", "eth0", "up"),
	} {
		if err := quietly(exec.CommandContext(ctx, args[0], args[1:]...)); err != nil {
			return err
		}
	}
	return nil
}

// unplug takes the cable away. It may be gone already.
func (c cable) unplug(ctx context.Context) error {
	if _, err := os.Stat("/sys/class/net/" + c.name); c.name == "" || err != nil {
		return nil
	}
	err := ip(ctx, "link", "del", c.name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// ip runs the command of that name. It says in words only that something is
// there already, or not there.
func ip(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case strings.Contains(string(out), "File exists"):
		err = os.ErrExist
	case strings.Contains(string(out), "Cannot find device"):
		err = os.ErrNotExist
	}
	return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, tail(out))
}
