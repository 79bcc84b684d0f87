package main

import (
	"time"

	"k2hdkc-slave-agent/watcher/schedule"
)

const (
	interval = time.Minute      // the agent's default
	wait     = 55 * time.Second // the same
	answers  = 50 * time.Millisecond
)

// anHour returns how often the agent's own schedule (watcher/schedule, the code that it runs) asks
// K2HR3 in an hour in which nothing changes: for the RESOURCE, and whether the host is a member.
// It is the mean of a hundred hours of virtual time, on a host among so many slaves, with a K2HR3
// that holds requests for so long (0: it does not) and answers the others in 50 ms.
func anHour(slaves int, hold time.Duration) float64 {
	const hours = 100
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := now.Add(hours * time.Hour)
	dice := schedule.Seeded(1)
	asking := schedule.NewAsking(interval, wait, dice)
	checking := schedule.Checking{Dice: dice}
	scene := schedule.Scene{Good: true, Calm: true, Turn: schedule.Turn{Slaves: slaves}}
	n := 0
	for at := now; at.Before(end); at = at.Add(checking.OK(1)) {
		n++
	}
	for asking.Want(now); now.Before(end); n++ {
		now = asking.Next()
		asking.Due(now)
		asking.Begin(now)
		answer := schedule.Answer{Took: answers, NotModified: true}
		if hold > 0 {
			answer.Held = min(hold, asking.Hold())
			answer.Took = answer.Held
		}
		now = now.Add(answer.Took)
		scene.Turn.Wall = now
		asking.Heard(answer, scene)
		asking.Same(now, answer, scene)
	}
	return float64(n) / hours
}
