package pod

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

func TestFirst(t *testing.T) {
	w := newWorld(t, fakechmpx.BuildT(t), "confirm")
	w.server(1)
	w.server(2)
	p, err := w.NewPod("slave-0", "10.89.0.21")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(500 * time.Millisecond)
		w.ring(t, p, 1, 2)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := p.Start(ctx); err != nil {
		t.Log(err)
	}
	fmt.Println(w.run("ps", "-a"))
	for _, c := range []string{"certificates", "register", "agent", "chmpx", "application"} {
		fmt.Printf("== %s\n%s\n", c, p.Log(c))
	}
	fmt.Println(w.members())
	for _, r := range w.K2HR3.Requests() {
		fmt.Println(r)
	}
	for _, d := range []string{"antpickax", "state", "run", "memory", "tls"} {
		out, _ := p.Exec(ctx, "chmpx", "ls", "-la", p.file(d, ""))
		_ = out
	}
	begin := time.Now()
	fmt.Println(p.End(ctx), time.Since(begin))
}
