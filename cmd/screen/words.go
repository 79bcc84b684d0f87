package screen

import (
	"fmt"
	"strings"
	"time"
)

// span is a time's length in words, in two units at most: "40 s", "12 min", "3 d 4 h".
func span(d time.Duration) string {
	d = max(d, 0)
	two := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		text := fmt.Sprintf("%d %s", d/big, bigName)
		if rest := d % big / small; rest > 0 {
			text += fmt.Sprintf(" %d %s", rest, smallName)
		}
		return text
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 10*time.Minute:
		return two(time.Minute, "min", time.Second, "s")
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return two(time.Hour, "h", time.Minute, "min")
	case d < 100*day:
		return two(day, "d", time.Hour, "h")
	}
	return fmt.Sprintf("%d d", d/day)
}

// pad fills a text up with blanks to a width in runes, and cuts what is longer.
func pad(s string, width int) string {
	n := len([]rune(s))
	if n > width {
		return string([]rune(s)[:max(width-1, 0)]) + "…"
	}
	return s + strings.Repeat(" ", width-n)
}
