package commitlog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/segment"
)

// small has the log looked through in small parts.
func small(t *testing.T, size int64) {
	was := partSize
	partSize = size
	t.Cleanup(func() { partSize = was })
}

// walk goes over the log as recovery does and returns where it ends, and how many parts it did not look at.
func walk(t *testing.T, l *Log, from int64) (end int64, skipped int) {
	v := l.Verify(from, func(int64) {})
	defer v.Close()
	s := l.Scan(from)
	for {
		if to, _, ok := v.Whole(s.At()); ok {
			require.Greater(t, to, s.At())
			s.Skip(to)
			skipped++
			continue
		}
		if _, _, ok := s.Next(); !ok {
			return s.At(), skipped
		}
	}
}

func TestVerifierLooksThroughPartsOfFiles(t *testing.T) {
	for _, size := range []int64{100 << 10, 1 << 20, bigFile - 1, bigFile} {
		small(t, size)
		dir, at := bigLog(t, 3)
		l := open(t, dir, bigFile)
		want, _ := seen(l.Scan(0))
		require.Len(t, want, len(at))
		last := l.Scan(at[len(at)-1])
		last.Next()

		for _, from := range []int64{0, at[1], at[len(at)/2], at[len(at)-1], last.At()} {
			end, skipped := walk(t, l, from)
			require.Equal(t, last.At(), end, "from %d", from)
			if size == 1<<20 && from == 0 {
				require.Equal(t, 8, skipped, "all but the last part, which is not full")
			}
		}
	}
}

// A message may hold what looks like a record at its very place: it is none.
func TestVerifierIsNotMisledByARecordInABody(t *testing.T) {
	const size = 64 << 10
	small(t, size)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "commitlog"), 0o755))
	const bodyAt = 88 // spec/store.md 1.2, with IPv4 hosts
	b := record(t, 0, size-1000)
	at := int64(len(b))
	m := message.Message{Topic: "T", BornTimestamp: 1}
	for len(m.Body) < 2*size {
		m.Body = append(m.Body, record(t, at+bodyAt+int64(len(m.Body)), 500)...)
	}
	outer, err := message.AppendRecord(nil, &m, "")
	require.NoError(t, err)
	message.Patch(outer, at, at, 1000)
	b = append(b, outer...)
	end := int64(len(b))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "commitlog", segment.Name(0)), append(b, make([]byte, bigFile-end)...), 0o644))
	l := open(t, dir, bigFile)
	want, _ := seen(l.Scan(0))
	require.Equal(t, []int64{0, at}, want)

	v := l.Verify(0, func(int64) {})
	defer v.Close()
	_, _, ok := v.Whole(at + bodyAt)
	require.False(t, ok)
	p := v.parts[1]
	<-p.done
	require.True(t, p.whole, "the records in the body are whole ones")
	got, skipped := walk(t, l, 0)
	require.Equal(t, end, got)
	require.Equal(t, 1, skipped)
}

func TestVerifierFindsDamageInAPart(t *testing.T) {
	small(t, 1<<20)
	dir, at := bigLog(t, 2)
	path := filepath.Join(dir, "commitlog", segment.Name(0))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var damaged int64
	for _, a := range at {
		if a > 3<<19 {
			damaged = a
			break
		}
	}
	b[damaged+message.MinRecord] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o644))
	l := open(t, dir, bigFile)
	end, skipped := walk(t, l, 0)
	require.Equal(t, damaged, end)
	require.Equal(t, 1, skipped)
}
