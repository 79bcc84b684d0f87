package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/cmd/options"
)

// maxFile bounds what check reads; a configuration of that size would be
// somebody's mistake.
const maxFile = 64 << 20

// check says what chmpx would do with a file.
func (p *program) check(ctx context.Context, o *options.Options) error {
	b, err := p.checked(o)
	if err != nil {
		return err
	}
	report := judge(ctx, b, nil)
	fmt.Fprintln(p.stdout, report.Verdict)
	for _, f := range report.Findings {
		fmt.Fprintln(p.stdout, f)
	}
	if report.Verdict != chmpx.Accept {
		return errSaid
	}
	return nil
}

// checked reads the file to check: the one named, standard input, or the
// output file.
func (p *program) checked(o *options.Options) ([]byte, error) {
	path := o.Output
	if len(o.Args) > 0 {
		path = o.Args[0]
	}
	in := p.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("cannot check: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot check %s: %w", path, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("cannot check %s: it has more than %d bytes", path, maxFile)
	}
	return b, nil
}
