package commitlog

import (
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/segment"
)

const bigFile = 3 << 20

// bigLog makes a log of files of 3 MiB, so that records lie across the pieces that are read ahead, some of
// them longer than the headroom, and returns where its records begin.
func bigLog(t *testing.T, files int) (dir string, at []int64) {
	dir = t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "commitlog"), 0o755))
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range files {
		base := int64(i) * bigFile
		var b []byte
		for {
			n := 150 + rnd.IntN(3000)
			if rnd.IntN(20) == 0 {
				n = 1 + rnd.IntN(4*headroom) + 200
			}
			if len(b)+n+message.BlankSize > bigFile {
				break
			}
			at = append(at, base+int64(len(b)))
			b = append(b, record(t, base+int64(len(b)), n)...)
		}
		if i < files-1 {
			b = message.AppendBlank(b, bigFile-len(b))
		}
		b = append(b, make([]byte, bigFile-len(b))...)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "commitlog", segment.Name(base)), b, 0o644))
	}
	return dir, at
}

// seen is what a walk tells of its records: where they are, and their bytes.
func seen(s *Scanner) (at []int64, sum uint32) {
	for {
		r, b, ok := s.Next()
		if !ok {
			return at, sum
		}
		at = append(at, r.PhysicalOffset)
		sum = crc32.Update(sum, crc32.IEEETable, b)
	}
}

func TestScanAheadSeesWhatScanSees(t *testing.T) {
	dir, at := bigLog(t, 3)
	l := open(t, dir, bigFile)
	for _, from := range []int{0, 1, len(at) / 2, len(at) - 1} {
		want, sum := seen(l.Scan(at[from]))
		require.Equal(t, at[from:], want)
		s := l.ScanAhead(at[from])
		got, gotSum := seen(s)
		require.Equal(t, want, got)
		require.Equal(t, sum, gotSum)
		s.Close()
	}
	// Going elsewhere on the way.
	s := l.ScanAhead(0)
	defer s.Close()
	for _, i := range []int{len(at) - 5, 3, len(at) / 2, 0} {
		s.Skip(at[i])
		for j := range 4 {
			r, _, ok := s.Next()
			require.True(t, ok)
			require.Equal(t, at[i+j], r.PhysicalOffset)
		}
	}
}

func TestScanAheadReportsWhatCannotBeRead(t *testing.T) {
	dir, at := bigLog(t, 2)
	l := open(t, dir, bigFile)
	// The second file has lost its end behind the log's back.
	require.NoError(t, os.Truncate(filepath.Join(dir, "commitlog", segment.Name(bigFile)), 1<<20))
	s := l.ScanAhead(0)
	defer s.Close()
	got, _ := seen(s)
	require.Less(t, len(got), len(at))
	require.ErrorContains(t, s.Err(), "cannot scan the commit log")
}

func TestVerifierKnowsWholeParts(t *testing.T) {
	dir, at := bigLog(t, 4)
	// A byte of a body of the second file.
	path := filepath.Join(dir, "commitlog", segment.Name(bigFile))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[bigFile/2] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o644))
	l := open(t, dir, bigFile)

	var newest int64
	for s := l.Scan(0); ; {
		r, _, ok := s.Next()
		if !ok || r.PhysicalOffset >= bigFile {
			break
		}
		newest = max(newest, r.StoreTimestamp)
	}
	v := l.Verify(0, func(int64) {})
	defer v.Close()
	end, got, ok := v.Whole(0)
	require.True(t, ok)
	require.Equal(t, newest, got)
	require.EqualValues(t, bigFile, end)
	_, _, ok = v.Whole(bigFile)
	require.False(t, ok, "it holds a record with a wrong checksum")
	_, _, ok = v.Whole(2 * bigFile)
	require.True(t, ok)
	_, _, ok = v.Whole(3 * bigFile)
	require.False(t, ok, "the last file is not full")
	_, _, ok = v.Whole(4 * bigFile)
	require.False(t, ok)
	late := l.Verify(2*bigFile, func(int64) {})
	defer late.Close()
	_, _, ok = late.Whole(0)
	require.False(t, ok)
	_, _, ok = late.Whole(at[len(at)-1])
	require.False(t, ok, "it is not the first of its part")

	// A checksum that is known to be right is not looked at.
	s := l.Scan(0)
	s.Trust(bigFile)
	got2, _ := seen(s)
	require.Equal(t, at, got2)
	s = l.Scan(0)
	s.Trust(bigFile + bigFile*3/4)
	got2, _ = seen(s)
	require.Less(t, len(got2), len(at))
}
