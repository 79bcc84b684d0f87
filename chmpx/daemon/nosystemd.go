//go:build !dbus

package daemon

import "context"

// The real connection, in systemd.go, is built once the module requires
// github.com/godbus/dbus/v5. Until then there is no systemd to be reached.

func dialSystemd(context.Context) (bus, error) { return nil, ErrNoSystemd }

func explainBus(err error) error { return err }
