package screen

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// usualWidth is that of a terminal that does not say how wide it is.
const usualWidth = 80

// On returns the screen that w is at this moment, in the local time. Only a terminal has a size,
// and colours: not with NO_COLOR in the environment (https://no-color.org), and not the one that
// calls itself dumb.
func On(w io.Writer, getenv func(string) string, now time.Time) Screen {
	s := Screen{Now: now}
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return s
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return s
	}
	s.Width, s.Height = int(size.Col), int(size.Row)
	if s.Width == 0 {
		s.Width = usualWidth
	}
	term := getenv("TERM")
	s.Redraws = term != "" && term != "dumb"
	s.Colour = s.Redraws && getenv("NO_COLOR") == ""
	return s
}
