package stats

import "time"

// Totals are counts of the whole broker since it started.
type Totals struct {
	PutMessages int64 // stored
	PutBytes    int64
	GetMessages int64 // given to groups (Java: transferred)
	GetBytes    int64
	Found       int64 // requests that got messages
	Missed      int64 // requests that got none
}

// Totals returns the counts of now.
func (s *Stats) Totals() Totals { return s.totals() }

func (s *Stats) totals() Totals {
	t := Totals{Missed: s.misses.Load()}
	for i := range s.put {
		t.PutMessages += s.put[i].nums.Load()
		t.PutBytes += s.put[i].bytes.Load()
		t.GetMessages += s.get[i].nums.Load()
		t.GetBytes += s.get[i].bytes.Load()
		t.Found += s.get[i].times.Load()
	}
	return t
}

// Rate is a number for each second over a time. Known is false until the broker has run that long.
type Rate struct {
	TPS   float64
	Known bool
}

// Rates are what the broker does each second, over the last 10, 60 and 600 s.
// Java: StoreStatsService.getPutTps and the like.
type Rates struct {
	Put         [3]Rate // messages stored
	Found       [3]Rate // requests that got messages
	Missed      [3]Rate // requests that got none
	Transferred [3]Rate // messages given to groups
}

// rateSpans are the times of Rates, in samples of a second.
var rateSpans = [3]int{10, 60, 600}

// keptSeconds is one more than the longest of rateSpans.
const keptSeconds = 601

// seconds are the totals at each of the last seconds.
type seconds struct {
	taken int // since the start
	ring  [keptSeconds]second
}

type second struct {
	at                              time.Time
	put, found, missed, transferred int64
}

func (r *seconds) take(now time.Time, t Totals) {
	r.ring[r.taken%keptSeconds] = second{now, t.PutMessages, t.Found, t.Missed, t.GetMessages}
	r.taken++
}

// Rates returns the rates as of the last full second.
func (s *Stats) Rates() Rates {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.seconds
	last := &r.ring[(r.taken-1)%keptSeconds]
	var out Rates
	for i, span := range rateSpans {
		if r.taken <= span {
			continue
		}
		first := &r.ring[(r.taken-1-span)%keptSeconds]
		took := last.at.Sub(first.at).Seconds()
		if took <= 0 {
			continue
		}
		rate := func(from, to int64) Rate { return Rate{float64(to-from) / took, true} }
		out.Put[i] = rate(first.put, last.put)
		out.Found[i] = rate(first.found, last.found)
		out.Missed[i] = rate(first.missed, last.missed)
		out.Transferred[i] = rate(first.transferred, last.transferred)
	}
	return out
}

// day holds the totals of users' topics at the last two midnights.
type day struct {
	next                   time.Time
	putYesterday, putToday int64
	getYesterday, getToday int64
}

func (d *day) turn(put, get int64) {
	d.putYesterday, d.putToday = d.putToday, put
	d.getYesterday, d.getToday = d.getToday, get
}

// Days are the messages of users' topics since the broker started, as they stood at midnight a day ago,
// at the last midnight, and now. Java: BrokerStats.
type Days struct {
	PutYesterdayMorning, PutTodayMorning, PutNow int64
	GetYesterdayMorning, GetTodayMorning, GetNow int64
}

// Days returns the totals that tell today from yesterday.
func (s *Stats) Days() Days {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Days{s.day.putYesterday, s.day.putToday, s.putUsers(), s.day.getYesterday, s.day.getToday, s.getUsers()}
}
