package store

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// TestClockJumps sets the wall clock back and forth, while the store runs and while it is down: no record is
// older than the one in front of it, deliveries are due by the record's own time, nothing is lost.
func TestClockJumps(t *testing.T) {
	jumps := []time.Duration{-time.Hour, time.Hour, -24 * time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, -40 * 24 * time.Hour, -time.Millisecond, 25 * time.Hour, 20 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour}
	ends := map[string]func(s *Store, d *simfs.Disk) (*simfs.Disk, error){
		"stop": func(s *Store, d *simfs.Disk) (*simfs.Disk, error) { return d, s.Close() },
		"kill": func(s *Store, d *simfs.Disk) (*simfs.Disk, error) {
			img := d.Crash(1, simfs.Kill)
			d.Stop()
			_ = s.Close()
			return img, nil
		},
		"power cut": func(s *Store, d *simfs.Disk) (*simfs.Disk, error) {
			img := d.Crash(1, simfs.Synced)
			d.Stop()
			_ = s.Close()
			return img, nil
		},
	}
	for name, end := range ends {
		for _, whileDown := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, while down %v", name, whileDown), func(t *testing.T) {
				d, tl := newSimDisk(t), newTally()
				var now atomic.Int64
				now.Store(1_700_000_000_000)
				last := int64(0)
				for _, jump := range jumps {
					o := simOptions(SyncFlush, d)
					o.Now = func() time.Time { return time.UnixMilli(now.Add(3)) }
					s, err := Open(o)
					require.NoError(t, err)
					got, err := dump(s) // also compares each unit's time of delivery with its record
					require.NoError(t, err)
					require.NoError(t, tl.verify(got, tl.end()))
					for i := range 6 {
						require.NoError(t, tl.put(s, part{key: qa, sizes: []int{400}}, part{key: qs, sizes: []int{10}, delay: 1 + i}))
						if i == 3 && !whileDown {
							now.Add(jump.Milliseconds())
						}
						if i == 4 {
							require.NoError(t, s.checkpoint())
						}
					}
					require.NoError(t, monotonic(s))
					stamp := s.StoreTime(qs.topic, qs.id, s.MaxOffset(qs.topic, qs.id)-1)
					require.GreaterOrEqual(t, stamp, last)
					last = stamp
					u, ok, err := s.Find(qs.topic, qs.id).At(s.MaxOffset(qs.topic, qs.id) - 1)
					require.NoError(t, err)
					require.True(t, ok)
					require.Equal(t, stamp+s.DelayLevels()[5].Milliseconds(), u.TagsCode)
					d, err = end(s, d)
					require.NoError(t, err)
					if whileDown {
						now.Add(jump.Milliseconds())
					}
				}
			})
		}
	}
}
