package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// dialSystemd connects to systemd over the system bus, or directly when there
// is no bus and the agent is root.
func dialSystemd(ctx context.Context) (bus, error) {
	conn, err := systemd.NewWithContext(ctx)
	if err != nil {
		return nil, err // a nil *Conn must not become a bus
	}
	return conn, nil
}

// explainBus adds to an error of the bus what it means and what to do about it.
func explainBus(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %w", ErrNoSystemd, err)
	}
	var fault dbus.Error
	if !errors.As(err, &fault) {
		return err
	}
	// Without systemd the bus tries to start it, and fails in its own ways.
	if strings.HasPrefix(fault.Name, "org.freedesktop.DBus.Error.Spawn.") {
		return fmt.Errorf("%w: %w", ErrNoSystemd, err)
	}
	switch fault.Name {
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
		return fmt.Errorf("%w: %w", ErrNoSystemd, err)
	case "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "org.freedesktop.DBus.Error.AccessDenied":
		return fmt.Errorf("systemd does not allow it (%w): run the agent as root, or let polkit allow its user to manage the unit", err)
	}
	return err
}
