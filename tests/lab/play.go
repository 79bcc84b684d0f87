package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// play takes commands until there are no more or ctx ends.
func (l *lab) play(ctx context.Context, in io.Reader) error {
	l.head("the lab stays up")
	fmt.Printf(`
K2HR3      %s
slave.ini  %s
chmpx      %s -conf %s

join N, leave N, break, mend, quit
`, l.url, l.file, l.programs.Status, l.file)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-lines:
			if !ok {
				// No terminal: stay until told to end.
				<-ctx.Done()
				return nil
			}
			if line == "quit" {
				return l.end()
			}
			if err := l.command(strings.Fields(line)); err != nil {
				fmt.Println(err)
			}
		}
	}
}

func (l *lab) command(words []string) error {
	if len(words) == 0 {
		return nil
	}
	number := 0
	if len(words) > 1 {
		number, _ = strconv.Atoi(words[1])
	}
	switch {
	case words[0] == "join" && number > 0:
		return l.join(number)
	case words[0] == "leave" && number > 0:
		return l.leave(number)
	case words[0] == "break":
		l.cluster.SetText("<html><body>Bad gateway</body></html>\n")
	case words[0] == "mend":
		l.cluster.ClearText()
	default:
		return fmt.Errorf("want join N, leave N, break, mend or quit")
	}
	return nil
}
