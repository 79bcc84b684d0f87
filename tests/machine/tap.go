package machine

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// plugTap lays a cable whose other end is the network card of a virtual machine:
// the file that is returned. The cable ends when that is closed by all who have
// it. Its number starts at first, and is the next one that nobody uses.
func plugTap(ctx context.Context, first int) (cable, *os.File, error) {
	for i := range cables {
		c := newCable((first + i) % cables)
		f, err := openTap(c.name)
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EINVAL) {
			continue // another machine's, or one of another kind
		}
		if err != nil {
			return cable{}, nil, fmt.Errorf("make a network card: %w", err)
		}
		err = errors.Join(
			ip(ctx, "addr", "add", c.outside.String()+"/30", "dev", c.name),
			ip(ctx, "link", "set", c.name, "up"),
		)
		if err != nil {
			f.Close()
			return cable{}, nil, err
		}
		return c, f, nil
	}
	return cable{}, nil, errors.New("all cables are in use")
}

func openTap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/net/tun", err)
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_TUN_EXCL)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
