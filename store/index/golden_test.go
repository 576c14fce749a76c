package index

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
)

// javaIndex is index.json of scripts/golden/java/IndexGolden.java.
type javaIndex struct {
	Slots, Entries int32
	Messages       []struct {
		Topic                  string
		Offset, StoreTimestamp int64
		SysFlag                int32
		Properties             map[string]string
	}
	Queries []struct {
		Topic, Key, Type          string
		Max                       int
		Begin, End                int64
		Offsets                   string
		LastTimestamp, LastOffset int64
	}
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, v), name)
}

// javaFiles returns the files Java wrote, oldest first.
func javaFiles(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	for i := 0; ; i++ {
		b, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("index%d.golden", i)))
		if err != nil {
			require.Len(t, out, 3)
			return out
		}
		_, digits, _ := strings.Cut(string(b), "\n")
		raw, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
		require.NoError(t, err)
		out = append(out, raw)
	}
}

func (j *javaIndex) options(dir string) (Options, []message.Record) {
	var recs []message.Record
	for _, m := range j.Messages {
		r := message.Record{Message: message.Message{Topic: m.Topic, SysFlag: m.SysFlag}, Size: 211, PhysicalOffset: m.Offset, StoreTimestamp: m.StoreTimestamp}
		for name, value := range m.Properties {
			r.Properties = string(message.AppendProperty([]byte(r.Properties), name, value))
		}
		recs = append(recs, r)
	}
	l := &testLog{recs: recs, end: int64(len(recs)) * 211}
	return Options{Dir: dir, Slots: j.Slots, Entries: j.Entries, Logger: zerolog.Nop(), Scan: l.scan,
		Min: func() int64 { return 0 }, Max: func() int64 { return l.end }}, recs
}

func TestHashesAreJavas(t *testing.T) {
	var hashes map[string]any
	readJSON(t, "hash.json", &hashes)
	delete(hashes, "source")
	lowest := 0
	for text, want := range hashes {
		topic, key, _ := strings.Cut(text, "#")
		if strings.HasPrefix(text, "%RETRY%") {
			require.Equal(t, "%RETRY%g", topic)
		}
		require.EqualValues(t, want, Hash(topic, key), text)
		if message.HashCode(text) == -1<<31 {
			lowest++
		}
	}
	require.Equal(t, 4, lowest, "keys whose hash has no absolute value")
	require.Equal(t, []int32{Hash("T", "u"), Hash("T", "a"), Hash("T", "б"), Hash("T", "T#x y")},
		AppendHashes(nil, "T", "u", "  a   б ", "x y"))
	require.Empty(t, AppendHashes(nil, "T", "", " ", ""))
}

// TestFilesAreJavas gives the builder what Java's got, in one batch, in small ones, and from the CommitLog.
func TestFilesAreJavas(t *testing.T) {
	var j javaIndex
	readJSON(t, "index.json", &j)
	for _, writeAt := range []int{1, 3, 20, 1000} {
		for _, scanned := range []bool{false, true} {
			t.Run(fmt.Sprint(writeAt, scanned), func(t *testing.T) {
				o, recs := j.options(filepath.Join(t.TempDir(), "index"))
				if !scanned {
					o.Max = func() int64 { return 0 }
				}
				r := rig{t: t, o: o}
				x, err := Open(o, true, 0)
				require.NoError(t, err)
				x.writeAt, x.maxPending = writeAt, 1000
				r.use(x)
				require.NoError(t, r.settle())
				for i := range recs {
					r.tell(&recs[i])
					if i%writeAt == 0 {
						require.NoError(t, r.settle())
					}
				}
				require.NoError(t, x.Close())
				names := r.names()
				for i, want := range javaFiles(t) {
					got, err := os.ReadFile(filepath.Join(o.Dir, names[i]))
					require.NoError(t, err)
					require.Equal(t, hex.Dump(want), hex.Dump(got), "file %d", i)
				}
				require.Len(t, names, 3)
			})
		}
	}
}

// TestJavasAnswers asks for what Java was asked, on Java's files. We leave out what Java says twice, and find
// message 42, the first of a file, at its time: Java takes it to be an hour younger.
func TestJavasAnswers(t *testing.T) {
	var j javaIndex
	readJSON(t, "index.json", &j)
	for _, clean := range []bool{true, false} {
		dir := t.TempDir()
		for i, b := range javaFiles(t) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("2026010100000000%d", i)), b, 0o644))
		}
		o, _ := j.options(dir)
		x, err := Open(o, clean, 0)
		require.NoError(t, err)
		r := rig{t: t, o: o}
		r.use(x)
		require.NoError(t, r.settle())
		found, early := 0, 0
		for _, q := range j.Queries {
			key := q.Key
			if q.Type != "" {
				key = TagKey(key)
			}
			var want []int64
			require.NoError(t, json.Unmarshal([]byte(q.Offsets), &want))
			want = slices.Compact(want)
			found += len(want)
			got, err := x.Query(q.Topic, key, 64, q.Begin, q.End, 0)
			require.NoError(t, err)
			if i := slices.Index(got, 42*211); i >= 0 && !slices.Contains(want, 42*211) && q.End == 1_700_007_206_123 {
				got = slices.Delete(got, i, i+1)
				early++
			}
			if q.Max < 64 { // 3, of which Java may have counted some twice
				require.Equal(t, want, got[:len(want)], "%+v", q)
				few, err := x.Query(q.Topic, key, q.Max, q.Begin, q.End, 0)
				require.NoError(t, err)
				require.Len(t, few, min(q.Max, len(got)))
			} else {
				require.Equal(t, want, append([]int64{}, got...), "%+v", q)
			}
			stamp, offset := x.Last()
			require.Equal(t, []int64{q.LastTimestamp, q.LastOffset}, []int64{stamp, offset})
		}
		require.Greater(t, found, 100)
		require.Positive(t, early)
		require.NoError(t, x.Close())
	}
}
