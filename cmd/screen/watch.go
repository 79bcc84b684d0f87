package screen

import (
	"context"
	"reflect"
	"time"

	"k2hdkc-slave-agent/cmd/status"
)

// ages is how often Watch looks anew without a change.
const ages = time.Second

// Watch looks and shows, at each change and once a second, until ctx ends, which is no error.
func Watch(ctx context.Context, changes <-chan struct{}, look func(context.Context) status.Document, show func(status.Document) error) error {
	tick := time.NewTicker(ages)
	defer tick.Stop()
	for {
		d := look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := show(d); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		case <-tick.C:
		}
	}
}

// Same tells whether two documents say the same but for times that go by: of signs of life, of
// requests, and of looks.
func Same(a, b status.Document) bool { return reflect.DeepEqual(lasting(a), lasting(b)) }

// lasting is a document without what changes while nothing happens.
func lasting(d status.Document) status.Document {
	d.WrittenAt, d.SeenAt, d.Agent.AliveAt = time.Time{}, time.Time{}, time.Time{}
	d.K2HR3.LastOK, d.K2HR3.NextAt, d.K2HR3.AskingSince, d.K2HR3.NextWhy = time.Time{}, time.Time{}, time.Time{}, ""
	d.K2HR3.LastErrorAt, d.Membership.CheckedAt = time.Time{}, time.Time{}
	return d
}
