package host

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k2hdkc-slave-agent/chmpx"
)

// factsLast is how long the answers of the name service are used before they are asked for again,
// if nothing on this host says that they may be others by now.
const factsLast = 5 * time.Minute

// Local is this host. The name service may take seconds to say nothing, and must not stand
// between K2HR3's answer and the file each time; so Local keeps its answers, and asks again
// beside the judgement that finds them old. Addresses and the host's own name are always those
// of the moment. The zero Local is ready for use, from several goroutines.
type Local struct {
	look func(context.Context) (chmpx.Host, error) // nil: Look

	mu     sync.Mutex
	last   chmpx.Host
	key    string // last is right as long as this is
	at     time.Time
	asking bool
}

// Judge judges a file for this host, see [chmpx.Judge]. The name service may take
// [chmpx.LookupLimit] of it. The file is dangerous if nothing can tell who this host is.
func (l *Local) Judge(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report {
	ctx, cancel := context.WithTimeout(ctx, chmpx.LookupLimit)
	defer cancel()
	h, err := l.Facts(ctx)
	if err != nil {
		return chmpx.Report{Verdict: chmpx.Dangerous, Findings: []chmpx.Finding{{
			Verdict: chmpx.Dangerous, Rule: chmpx.RuleSelfUnsure, Text: "cannot tell who this host is: " + err.Error(),
		}}}
	}
	return chmpx.Judge(ctx, b, h, running)
}

// Facts returns what chmpx knows of this host now.
func (l *Local) Facts(ctx context.Context) (chmpx.Host, error) {
	key, err := nameAndAddresses()
	if err != nil {
		return chmpx.Host{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key != key {
		h, err := l.ask(ctx)
		if err != nil {
			return h, err
		}
		l.last, l.key, l.at = h, key, time.Now()
		return h, nil
	}
	if time.Since(l.at) > factsLast && !l.asking {
		l.asking = true
		go l.refresh()
	}
	return l.last, nil
}

func (l *Local) ask(ctx context.Context) (chmpx.Host, error) {
	if l.look != nil {
		return l.look(ctx)
	}
	return Look(ctx)
}

// refresh asks again; it ends within the limit of the lookups.
func (l *Local) refresh() {
	h, err := l.ask(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = false
	l.at = time.Now()
	if err == nil {
		l.last = h
	}
}

// nameAndAddresses is what this host knows of itself without asking anybody, and the versions of
// the files that may tell another name.
func nameAndAddresses() (string, error) {
	addrs, err := addresses()
	return fmt.Sprint(madeOf(naming), addrs), err
}
