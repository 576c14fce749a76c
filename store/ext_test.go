package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/segment"
)

func extOptions(t testing.TB) Options {
	o := testOptions(t.TempDir())
	o.EnableConsumeQueueExt, o.MappedFileSizeConsumeQueueExt = true, 500
	return o
}

func extPath(o Options, file int64) string {
	return filepath.Join(o.StorePathRootDir, "consumequeue_ext", "A", "0", segment.Name(file*500))
}

// byTag pulls all messages of A-0 whose tag has this code.
func byTag(t testing.TB, s *Store, code int64) int {
	t.Helper()
	n, q := 0, s.Find("A", 0)
	for at := q.Min(); at < q.Max(); {
		_, res := bases(t, s, GetRequest{Queue: q, Offset: at, MaxMessages: 32, Match: func(c int64) bool { return c == code }})
		n += res.Messages
		at = res.NextOffset
	}
	return n
}

func TestTagsCodesStandInConsumeQueueExt(t *testing.T) {
	o := extOptions(t)
	o.EnableCalcFilterBitMap = true
	o.BitMap = func(r *message.Record) []byte { return fmt.Append(nil, "0123456789")[:r.QueueOffset%11] }
	s := open(t, o)
	fill(t, s, 10, 0)
	want := dumped(t, s)
	look := func(s *Store) {
		t.Helper()
		require.Equal(t, want, dumped(t, s))
		require.Equal(t, 70, byTag(t, s, 97))
		require.Zero(t, byTag(t, s, 98))
		for n := range int64(70) {
			e, ok, err := s.Find("A", 0).ExtAt(n)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "0123456789"[:min(n%11, 8)], string(e.BitMap))
			e.BitMap = nil
			require.Equal(t, consumequeue.ExtUnit{TagsCode: 97, StoreTimestamp: s.StoreTime("A", 0, n)}, e)
		}
	}
	look(s)
	require.NoError(t, s.checkpoint())
	look(s) // from the files
	killed := o
	killed.StorePathRootDir = snapshot(t, o.StorePathRootDir)
	look(open(t, killed))
	require.NoError(t, s.Close())
	for file := range int64(3) {
		require.FileExists(t, extPath(o, file))
	}
	raw, err := os.ReadFile(filepath.Join(o.StorePathRootDir, "consumequeue", "A", "0", segment.Name(0)))
	require.NoError(t, err)
	require.EqualValues(t, -1<<63, consumequeue.GetUnit(raw).TagsCode)
	require.EqualValues(t, -1<<63+20, consumequeue.GetUnit(raw[20:]).TagsCode)

	// Switched off, what is there is still read, and more stands beside it.
	o.EnableConsumeQueueExt = false
	s = open(t, o)
	look(s)
	fill(t, s, 5, 70)
	require.Equal(t, 105, byTag(t, s, 97))
	_, ok, err := s.Find("A", 0).ExtAt(70)
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, s.Close())
	o.EnableConsumeQueueExt = true
	s = open(t, o)
	fill(t, s, 5, 105)
	require.Equal(t, 140, byTag(t, s, 97))
	require.NoError(t, s.DeleteTopic("A"))
	require.NoDirExists(t, filepath.Join(o.StorePathRootDir, "consumequeue_ext", "A"))
}

func TestWhatConsumeQueueExtHasLostMatchesAll(t *testing.T) {
	o := extOptions(t)
	s := open(t, o)
	fill(t, s, 10, 0)
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(extPath(o, 0)))
	s = open(t, o)
	require.Equal(t, 24, byTag(t, s, 98), "the messages of the first file")
	require.Equal(t, 70, byTag(t, s, 97))
	fill(t, s, 1, 70)
	require.Equal(t, 77, byTag(t, s, 97))
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(o.StorePathRootDir, "consumequeue_ext")))
	require.NoError(t, os.Remove(filepath.Join(o.StorePathRootDir, "checkpoint")))
	s = open(t, o) // recovery gives the units anew where it comes by
	require.Equal(t, 77, byTag(t, s, 97))
	require.Equal(t, 77, byTag(t, s, 97)+byTag(t, s, 98))
}

func TestConsumeQueueExtGoesWithTheLog(t *testing.T) {
	o := extOptions(t)
	o.FileReservedTime = 0
	s := open(t, o)
	fill(t, s, 60, 0)
	require.NoError(t, s.checkpoint())
	first := s.log.FileStarts()[3]
	require.NoError(t, s.onKeeper(func() {
		for s.log.Min() < first {
			_, _, err := s.log.RemoveFirst()
			require.NoError(t, err)
		}
	}))
	require.NoError(t, s.CleanQueues())
	q := s.Find("A", 0)
	require.Positive(t, q.Min())
	require.NoFileExists(t, extPath(o, 0))
	require.FileExists(t, extPath(o, q.Min()/24))
	left := int(q.Max() - q.Min())
	require.Equal(t, left, byTag(t, s, 97))
	require.Zero(t, byTag(t, s, 98))
	require.NoError(t, s.Close())
	s = open(t, o)
	require.Equal(t, left, byTag(t, s, 97))
	require.Zero(t, byTag(t, s, 98))
}
