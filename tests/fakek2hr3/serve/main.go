// Command serve is a K2HR3 to play with: the stand-in of the tests, with one
// cluster, on an address of this machine. It prints its address, a role, a role
// token and what to type, then each request as it comes, and ends on Ctrl-C.
//
//	go run ./tests/fakek2hr3/serve
//	go run ./tests/fakek2hr3/serve --help
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// choices are what the command line says.
type choices struct {
	listen  string
	hold    time.Duration
	latency time.Duration
	servers int
	fault   string
}

func flags(o *choices) *pflag.FlagSet {
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.Usage = func() {}
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", "127.0.0.1:18080", "`HOST:PORT` to listen on; port 0: any that is free")
	f.DurationVar(&o.hold, "hold", time.Minute, "how long a request may be held until something changes; 0: answer at once, as K2HR3 does today")
	f.DurationVar(&o.latency, "latency", 0, "how long each answer takes, held or not")
	f.IntVar(&o.servers, "servers", 2, "how many server nodes the cluster has at first, at most 99")
	f.StringVar(&o.fault, "fault", "", "what is wrong with each answer: "+faultNames())
	return f
}

// faultNames are the faults that need to be told nothing else.
func faultNames() string {
	var names []string
	for _, n := range fakek2hr3.FaultNames() {
		if n != fakek2hr3.Slow && n != fakek2hr3.Redirect && n != fakek2hr3.WrongJSON && n != fakek2hr3.Drip {
			names = append(names, string(n))
		}
	}
	return strings.Join(names, ", ")
}

func parse(args []string) (choices, error) {
	var o choices
	f := flags(&o)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("there is no argument %q", f.Arg(0))
	case o.hold < 0, o.latency < 0:
		return o, errors.New("hold and latency cannot be below 0")
	case o.servers < 0, o.servers > 99:
		return o, fmt.Errorf("%d servers: want 0 to 99", o.servers)
	case o.fault != "" && !strings.Contains(", "+faultNames()+",", ", "+o.fault+","):
		return o, fmt.Errorf("there is no fault %q: want one of %s", o.fault, faultNames())
	}
	return o, nil
}

// command runs a command line until ctx ends, and returns its exit status.
func command(ctx context.Context, args []string, out, errs io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(out, usage())
		return 0
	case err != nil:
		fmt.Fprintf(errs, "serve: %v\n%s", err, usage())
		return 2
	}
	if err := serve(ctx, o, out); err != nil {
		fmt.Fprintln(errs, "serve:", err)
		return 1
	}
	return 0
}

func usage() string {
	return "usage: go run ./tests/fakek2hr3/serve [options]\n" + flags(new(choices)).FlagUsagesWrapped(100)
}

func serve(ctx context.Context, o choices, out io.Writer) error {
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("%w; --listen takes another address, as 127.0.0.1:0 for any free port", err)
	}
	k2hr3 := fakek2hr3.New()
	k2hr3.Hold(o.hold)
	cluster := k2hr3.AddCluster("shop", "orders")
	for n := range o.servers {
		s := server(n + 1)
		cluster.Join(s.Addr, s.CUK, s.Tag)
	}
	if o.latency > 0 {
		k2hr3.Fault(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: o.latency})
	}
	if o.fault != "" {
		k2hr3.Fault(fakek2hr3.Fault{Name: fakek2hr3.FaultName(o.fault)})
	}
	fmt.Fprint(out, guide(listener.Addr().String(), o, cluster))
	k2hr3.OnRequest(func(r fakek2hr3.Request) { fmt.Fprintln(out, r) })

	web := fakek2hr3.NewHTTPServer(k2hr3)
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func server(n int) fakek2hr3.Host {
	return fakek2hr3.Host{Addr: fmt.Sprintf("10.0.0.%d", 10+n), CUK: fmt.Sprintf("server-%d", n), Tag: fmt.Sprintf("server-%d.orders.example", n)}
}
