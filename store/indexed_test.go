package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/store/index"
)

// indexed checks that the index knows exactly the messages of the log with the tag that the tally gives them,
// once it has caught up.
func indexed(s *Store) error {
	want := map[string][]int64{}
	var hashes []int32
	for sc := s.log.Scan(s.log.Min()); sc.At() < s.dispatched.Load(); {
		r, _, ok := sc.Next()
		if !ok {
			break
		}
		if hashes = index.AppendRecordHashes(hashes[:0], &r); len(hashes) > 0 {
			topic := strings.Clone(r.Topic) // the scanner's
			want[topic] = append(want[topic], r.PhysicalOffset)
		}
	}
	var err error
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if err = sameIndex(s, want); err == nil {
			return nil
		}
	}
	return err
}

func sameIndex(s *Store, want map[string][]int64) error {
	for topic, offsets := range want {
		got, err := s.index.Query(topic, index.TagKey("a"), 1<<20, 0, 1<<60, 0)
		if err != nil {
			return fmt.Errorf("cannot query %s: %w", topic, err)
		}
		slices.Sort(got)
		if !slices.Equal(got, offsets) {
			return fmt.Errorf("the index has %v of %s, the log %v", got, topic, offsets)
		}
	}
	return nil
}
