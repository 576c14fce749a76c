package latency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClassesHoldTheirBounds(t *testing.T) {
	for i := range Classes - 1 {
		require.Equal(t, i, class(Limit(i)), "%v", Limit(i))
		require.Equal(t, i+1, class(Limit(i)+1), "%v", Limit(i)+1)
	}
	require.Equal(t, 0, class(-time.Second), "a clock that went back")
	require.Equal(t, Classes-1, class(time.Hour))
}

func TestObserveAllocatesNothing(t *testing.T) {
	var h Histogram
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Observe(3 * time.Millisecond) }))
	s := h.Snapshot()
	require.EqualValues(t, 101, s.Counts[class(3*time.Millisecond)])
	require.Equal(t, 101*3*time.Millisecond, s.Sum)
}

func TestLongestNeverGoesBack(t *testing.T) {
	var l Longest
	l.Since(time.Now().Add(-time.Hour))
	was := l.Load()
	require.GreaterOrEqual(t, was, time.Hour)
	l.Since(time.Now())
	require.Equal(t, was, l.Load())
}
