package retention

import "time"

// Bounds of Clock.
const (
	jump  = 24 * time.Hour // further than that no clock drifts between two rounds
	doubt = time.Hour      // how long a clock that jumped is not believed
)

// Clock watches the wall clock for jumps, so that a wrong date does not make every file look expired.
type Clock struct {
	seen   bool
	wall   time.Time
	uptime time.Duration
	until  time.Duration // the uptime up to which the wall clock is in doubt
}

// Look compares the wall clock with uptime, a clock that only ever runs forward, and reports whether ages
// are in doubt: the wall clock has run more than a day ahead of uptime between two calls, less than an
// hour ago. A clock that is set back ends the doubt.
func (c *Clock) Look(wall time.Time, uptime time.Duration) (doubtful, jumped bool) {
	wall = wall.Round(0) // without its monotonic part
	if c.seen {
		ahead := wall.Sub(c.wall) - (uptime - c.uptime)
		switch {
		case ahead > jump:
			c.until, jumped = uptime+doubt, true
		case ahead < -jump:
			c.until = 0
		}
	}
	c.seen, c.wall, c.uptime = true, wall, uptime
	return uptime < c.until, jumped
}
