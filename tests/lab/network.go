package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"k2hdkc-slave-agent/tests/netns"
)

const (
	// labAddress is what a lab with a network of its own has besides the loopback's.
	labAddress = "10.254.0.1"
	// envInside is set in it.
	envInside = "K2HDKC_LAB_NETWORK"
)

// exitError is the exit status of a process that has said why.
type exitError struct{ status int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// elsewhere runs this command line again in a network that has an address.
func elsewhere(ctx context.Context, args []string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envInside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second // the lab needs a moment to end all it has started
	if err := cmd.Start(); err != nil {
		return noNetwork(err)
	}
	var exit *exec.ExitError
	switch err := cmd.Wait(); {
	case errors.As(err, &exit):
		return &exitError{exit.ExitCode()}
	case ctx.Err() == nil:
		return err
	}
	return nil
}

// enter makes the network of this process one that has an address.
func enter() error {
	if err := netns.SetAddrs(labAddress); err != nil {
		return noNetwork(err)
	}
	return nil
}

func noNetwork(err error) error {
	return fmt.Errorf("this machine has no address but the loopback's, chmpx starts on none without, and a network for the lab alone is not allowed here (%w): "+
		"give the machine an address, for instance by: ip address add %s dev lo", err, labAddress)
}
