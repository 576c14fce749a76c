package stats

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// clocked is Stats whose seconds pass when the test says so.
type clocked struct {
	*Stats
	now time.Time
}

func newClocked() *clocked {
	c := &clocked{now: time.Date(2026, 3, 1, 23, 50, 0, 0, time.UTC)}
	c.Stats = newStats(Options{ClusterName: "c1", IsSystem: func(topic string) bool { return strings.HasPrefix(topic, "SYS") },
		Now: func() time.Time { return c.now }})
	return c
}

func (c *clocked) pass(seconds int) {
	for range seconds {
		c.now = c.now.Add(time.Second)
		c.sample(c.now)
	}
}

func view(t *testing.T, s *Stats, name, key string) body.BrokerStatsData {
	t.Helper()
	d, ok := s.View(name, key)
	require.True(t, ok, "%s %s", name, key)
	return d
}

func TestNothingCountedIsNoStatistic(t *testing.T) {
	s := newClocked()
	for _, key := range []string{"t", "t@g", "c1", ""} {
		for _, name := range []string{TopicPutNums, TopicPutSize, GroupGetNums, GroupGetSize, SndbckPutNums, BrokerPutNums, BrokerGetNums, "OTHER"} {
			_, ok := s.View(name, key)
			require.False(t, ok)
		}
	}
	s.Pull("g", "t", 1, 1)
	_, ok := s.View(TopicPutNums, "t")
	require.False(t, ok, "getting makes no put statistic")
	_, ok = s.View(SndbckPutNums, "t@g")
	require.False(t, ok)
	_, ok = s.View(BrokerGetNums, "another cluster")
	require.False(t, ok)
}

func TestMinuteWindowSlides(t *testing.T) {
	s := newClocked()
	s.Put("t", 30, 3000)
	require.Equal(t, body.BrokerStatsData{}, view(t, s.Stats, TopicPutNums, "t"), "before the first sample all is zero")
	s.pass(10)
	want := body.BrokerStatsItem{Sum: 30, Tps: 3, Avgpt: 30}
	require.Equal(t, want, view(t, s.Stats, TopicPutNums, "t").StatsMinute)
	require.Equal(t, body.BrokerStatsItem{Sum: 3000, Tps: 300, Avgpt: 3000}, view(t, s.Stats, TopicPutSize, "t").StatsMinute)
	require.InDelta(t, 3, s.TopicPutTPS("t"), 0)
	s.pass(10)
	require.InDelta(t, 1.5, s.TopicPutTPS("t"), 1e-9)
	s.Put("t", 6, 1)
	s.Put("t", 6, 1)
	s.pass(40) // six samples and the zero before the first
	require.Equal(t, body.BrokerStatsItem{Sum: 42, Tps: 0.7, Avgpt: 14}, view(t, s.Stats, TopicPutNums, "t").StatsMinute)
	s.pass(10) // the zero is out
	require.Equal(t, body.BrokerStatsItem{Sum: 12, Tps: 0.2, Avgpt: 6}, view(t, s.Stats, TopicPutNums, "t").StatsMinute)
	s.pass(20)
	require.Equal(t, body.BrokerStatsItem{}, view(t, s.Stats, TopicPutNums, "t").StatsMinute)
	s.pass(60)
	require.Nil(t, s.TopicPut("t").windows[minute].kept, "a counter that stands still keeps no samples")
	s.Put("t", 60, 1)
	s.pass(10)
	require.Equal(t, body.BrokerStatsItem{Sum: 60, Tps: 1, Avgpt: 60}, view(t, s.Stats, TopicPutNums, "t").StatsMinute,
		"the minute before counts although its samples were dropped")
}

func TestHourAndDayHaveTheirOwnSamples(t *testing.T) {
	s := newClocked()
	s.Pull("g", "t", 600, 0)
	s.pass(599)
	require.Zero(t, view(t, s.Stats, GroupGetNums, "t@g").StatsHour)
	s.pass(1)
	require.Equal(t, body.BrokerStatsItem{Sum: 600, Tps: 1, Avgpt: 600}, view(t, s.Stats, GroupGetNums, "t@g").StatsHour)
	require.Zero(t, view(t, s.Stats, GroupGetNums, "t@g").StatsDay)
	s.pass(3000)
	require.Equal(t, body.BrokerStatsItem{Sum: 600, Tps: 600.0 / 3600, Avgpt: 600}, view(t, s.Stats, GroupGetNums, "t@g").StatsDay)
	s.pass(24 * 3600)
	require.Zero(t, view(t, s.Stats, GroupGetNums, "t@g"))
}

func TestBrokerTotalsTellUsersTopicsFromSystemTopics(t *testing.T) {
	s := newClocked()
	s.Put("t", 2, 20)
	s.Put("SYS_t", 1, 5)
	s.Pull("g", "t", 4, 40)
	s.Pull("g", "SYS_t", 1, 1)
	s.Miss()
	require.Equal(t, Totals{PutMessages: 3, PutBytes: 25, GetMessages: 5, GetBytes: 41, Found: 2, Missed: 1}, s.Totals())
	s.pass(10)
	require.Equal(t, body.BrokerStatsItem{Sum: 3, Tps: 0.3}, view(t, s.Stats, BrokerPutNums, "c1").StatsMinute)
	require.Equal(t, body.BrokerStatsItem{Sum: 2, Tps: 0.2}, view(t, s.Stats, BrokerPutNumsOfUsers, "c1").StatsMinute)
	require.Equal(t, body.BrokerStatsItem{Sum: 5, Tps: 0.5}, view(t, s.Stats, BrokerGetNums, "c1").StatsMinute)
	require.Equal(t, body.BrokerStatsItem{Sum: 4, Tps: 0.4}, view(t, s.Stats, BrokerGetNumsOfUsers, "c1").StatsMinute)
}

func TestSentBackCountsMessages(t *testing.T) {
	s := newClocked()
	s.SendBack("g", "t")
	s.SendBack("g", "t")
	s.pass(10)
	require.Equal(t, body.BrokerStatsItem{Sum: 2, Tps: 0.2, Avgpt: 1}, view(t, s.Stats, SndbckPutNums, "t@g").StatsMinute)
	require.Zero(t, s.Totals())
}

func TestDeletedNamesAreForgotten(t *testing.T) {
	s := newClocked()
	put, get := s.TopicPut("t"), s.GroupGet("g", "t")
	other := s.GroupGet("h", "t")
	put.Add(1, 1)
	get.Add(1, 1)
	other.Add(1, 1)
	s.SendBack("g", "t")
	require.Same(t, get, s.GroupGet("g", "t"))
	s.RemoveGroup("g")
	require.True(t, get.Gone())
	require.False(t, other.Gone())
	require.False(t, put.Gone())
	_, ok := s.View(SndbckPutNums, "t@g")
	require.False(t, ok)
	view(t, s.Stats, GroupGetNums, "t@h")
	s.RemoveTopic("t")
	s.RemoveTopic("t")
	require.True(t, put.Gone())
	require.True(t, other.Gone())
	require.Zero(t, s.topics.Len())
	put.Add(1, 1)
	require.EqualValues(t, 2, s.Totals().PutMessages, "the broker has stored it all the same")
	_, ok = s.View(TopicPutNums, "t")
	require.False(t, ok)
	require.NotSame(t, put, s.TopicPut("t"))
}

func TestRatesNeedTheirTime(t *testing.T) {
	s := newClocked()
	require.Equal(t, Rates{}, s.Rates())
	s.pass(9)
	require.False(t, s.Rates().Put[0].Known)
	s.Put("t", 20, 1)
	s.Pull("g", "t", 10, 1)
	s.Miss()
	s.pass(1)
	r := s.Rates()
	require.Equal(t, Rate{2, true}, r.Put[0])
	require.Equal(t, Rate{0.1, true}, r.Found[0])
	require.Equal(t, Rate{0.1, true}, r.Missed[0])
	require.Equal(t, Rate{1, true}, r.Transferred[0])
	require.False(t, r.Put[1].Known)
	s.pass(590)
	r = s.Rates()
	require.Equal(t, Rate{0, true}, r.Put[0])
	require.Equal(t, Rate{20.0 / 600, true}, r.Put[2])
	s.pass(10)
	require.Equal(t, Rate{0, true}, s.Rates().Put[2])
}

func TestDaysTurnAtMidnight(t *testing.T) {
	s := newClocked()
	s.Put("t", 5, 1)
	s.Put("SYS", 100, 1)
	s.Pull("g", "t", 3, 1)
	s.pass(1)
	require.Equal(t, Days{PutNow: 5, GetNow: 3}, s.Days())
	s.pass(600)
	s.Put("t", 2, 1)
	require.Equal(t, Days{PutTodayMorning: 5, PutNow: 7, GetTodayMorning: 3, GetNow: 3}, s.Days())
	s.pass(24 * 3600)
	require.Equal(t, Days{PutYesterdayMorning: 5, PutTodayMorning: 7, PutNow: 7, GetYesterdayMorning: 3, GetTodayMorning: 3, GetNow: 3}, s.Days())
}

func TestTimesShowTheLastFullMinute(t *testing.T) {
	s := newClocked()
	require.Zero(t, s.Times())
	s.PutTook(0, 1)
	s.PutTook(5*time.Millisecond, 98)
	s.PutTook(20*time.Second, 1)
	require.Equal(t, Times{PutMax: 20 * time.Second}, s.Times())
	s.pass(60)
	got := s.Times()
	require.Equal(t, []int64{1, 98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, got.PutClasses)
	require.InDelta(t, 5, got.Put99, 0.05)
	require.InDelta(t, 5, got.Put999, 0.05)
	s.pass(60)
	require.Equal(t, make([]int64, len(timeBounds)), s.Times().PutClasses)
	require.Equal(t, 20*time.Second, s.Times().PutMax)
}

func TestFineClassesAreJavas(t *testing.T) {
	require.EqualValues(t, 1, fineBound(0))
	require.EqualValues(t, 20, fineBound(19))
	require.EqualValues(t, 22, fineBound(20))
	require.EqualValues(t, 1000, fineBound(65))
	require.EqualValues(t, 10000, fineBound(74))
	require.Equal(t, 75, fineClass(10001))
	for ms := range int64(10000) {
		i := fineClass(ms)
		require.LessOrEqual(t, ms, fineBound(i))
		if i > 0 {
			require.Greater(t, ms, fineBound(i-1))
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	s := newClocked()
	s.Put("t", 1, 1)
	s.Pull("g", "t", 1, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Put("t", 1, 1)
		s.Pull("g", "t", 1, 1)
		s.Miss()
		s.PutTook(time.Millisecond, 1)
	}))
}

func TestCountingRunsBesideEverythingElse(t *testing.T) {
	s := Open(Options{ClusterName: "c1"})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				s.Put("t", 1, 1)
				s.Pull("g", "t", 1, 1)
			}
		})
	}
	wg.Go(func() {
		at := s.Boot()
		for i := range 200 {
			at = at.Add(10 * time.Second)
			s.sample(at)
			s.View(TopicPutNums, "t")
			s.Rates()
			if i%50 == 0 {
				s.RemoveTopic("t")
			}
		}
	})
	wg.Wait()
	s.Close()
	s.Close()
	require.EqualValues(t, 4000, s.Totals().PutMessages)
	require.EqualValues(t, 4000, s.Totals().GetMessages)
}

func BenchmarkPut(b *testing.B) {
	s := newClocked()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			s.Put("some-topic", 1, 100)
		}
	})
}
