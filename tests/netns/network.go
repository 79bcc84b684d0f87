package netns

import (
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loopback is the interface number of lo in a fresh network namespace.
const loopback = 1

// SetAddrs brings the loopback of this thread's network up and gives it the
// addresses.
func SetAddrs(addrs ...string) error {
	four, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(four)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(four, unix.SIOCSIFFLAGS, up); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	for i, s := range addrs {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return err
		}
		if addr.Is4() {
			err = setAddr4(four, fmt.Sprintf("lo:%d", i+1), addr)
		} else {
			err = setAddr6(addr)
		}
		if err != nil {
			return fmt.Errorf("give lo the address %s: %w", s, err)
		}
	}
	return nil
}

func setAddr4(fd int, alias string, addr netip.Addr) error {
	if err := setInet4(fd, alias, unix.SIOCSIFADDR, addr.AsSlice()); err != nil {
		return err
	}
	return setInet4(fd, alias, unix.SIOCSIFNETMASK, []byte{255, 255, 255, 255})
}

func setInet4(fd int, alias string, request uint, value []byte) error {
	r, err := unix.NewIfreq(alias)
	if err != nil {
		return err
	}
	if err := r.SetInet4Addr(value); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, request, r)
}

// setAddr6 hands the kernel its struct in6_ifreq, for which there is no wrapper.
func setAddr6(addr netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r := struct {
		addr   [16]byte
		prefix uint32
		index  int32
	}{addr.As16(), 128, loopback}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}
