package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/segment"
)

// TestEachRecordIsSealed: with enabledAppendPropCRC records of all kinds hold their checksum, over the ends of files,
// and a start with forceVerifyPropCRC finds a change outside the body; records from before are taken as they are.
func TestEachRecordIsSealed(t *testing.T) {
	t.Parallel()
	o := batchOptions(t)
	write := func(s *Store, from int) {
		for i := from; i < from+30; i++ {
			putInner(t, s, "Batch", "a", int32(i%12))
			putInner(t, s, "A", strings.Repeat("b", i%7), 0)
			k := &sink{}
			g := &Group{Owner: k}
			for j := range 5 { // of which three are a batch
				at := len(g.Buf)
				g.Buf = appendRecord(g.Buf, &message.Message{Topic: "A", Body: fmt.Append(nil, i, j)}, []string{"", "KEYS\x01k", "KEYS\x01k\x02"}[j%3], 0)
				g.Recs = append(g.Recs, Rec{Queue: s.Queue("A", 0), Size: int32(len(g.Buf) - at), Unit: []int32{0, 3, 0, 0, 0}[j]})
			}
			put(t, s, g)
		}
	}
	s := open(t, o)
	write(s, 0)
	old := s.log.End()
	require.NoError(t, s.Close())
	o.EnabledAppendPropCRC, o.ForceVerifyPropCRC = true, true
	s = open(t, o)
	write(s, 30)
	end := s.log.End()
	sealed, last := 0, int64(0)
	sc := s.log.Scan(0)
	for {
		r, b, ok := sc.Next()
		if !ok {
			break
		}
		stored, computed, ok := message.PropertyCRC(b, r.Properties)
		require.Equal(t, r.PhysicalOffset >= old, ok)
		if ok {
			sealed++
			require.Equal(t, computed, stored)
		}
		last = r.PhysicalOffset
	}
	require.Equal(t, end, sc.At())
	require.Equal(t, 30*7, sealed)
	b, res, err := s.Get(nil, GetRequest{Queue: s.Queue("A", 0), Offset: s.MaxOffset("A", 0) - 1, MaxMessages: 1})
	require.NoError(t, err)
	require.Equal(t, 1, res.Messages, "the unit knows the size")
	require.Equal(t, message.Size(b), len(b))
	require.NoError(t, s.Close())

	// The queue id of the last record: nothing else vouches for it.
	base := last - last%o.MappedFileSizeCommitLog
	f, err := os.OpenFile(filepath.Join(o.StorePathRootDir, "commitlog", segment.Name(base)), os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{7}, last-base+15)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	s = open(t, o)
	_, _, ok := s.log.Scan(last).Next()
	require.False(t, ok)
	require.NoError(t, s.Close())
	o.ForceVerifyPropCRC = false
	s = open(t, o)
	_, _, ok = s.log.Scan(last).Next()
	require.True(t, ok)
}
