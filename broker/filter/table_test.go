package filter

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// golden is testdata/filter.json, which scripts/golden/java/FilterGolden.java wrote.
type golden struct {
	File    string
	BitMaps []struct {
		Message []string // topic, then names and values
		BitMap  *string  // hex
	}
	Sizes     [][4]int32 // error rate, expected, hashes, bits
	Positions map[string][2][]int32
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	b, err := os.ReadFile("testdata/filter.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}

// clock is a clock that a test sets.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// open returns a table over the file at path with the sizes of Java's default constructor.
func open(t *testing.T, path string, c *clock) *Table {
	t.Helper()
	tab, err := Open(Options{Path: path, Logger: zerolog.Nop(), CleanTimeSpan: time.Hour, MaxErrorRate: 20, ExpectedConsumers: 64, Now: c.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tab.Close()) })
	return tab
}

func sub(topic, expression string, version int64) body.SubscriptionData {
	return body.SubscriptionData{Topic: topic, SubString: expression, SubVersion: body.Int(version), ExpressionType: SQL92}
}

// TestJavasFile loads a consumerFilter.json of Java, and writes it again but for the order of its entries.
func TestJavasFile(t *testing.T) {
	g := readGolden(t)
	path := filepath.Join(t.TempDir(), "consumerFilter.json")
	require.NoError(t, os.WriteFile(path, []byte(g.File), 0o600))
	c := &clock{time.UnixMilli(1_700_000_100_000)}
	tab := open(t, path, c)
	g1 := tab.Get("T", "g1")
	require.Equal(t, "a > 5 AND b = 'x'", g1.Expression)
	require.EqualValues(t, 1_700_000_000_000, g1.BornTime)
	require.EqualValues(t, 11, g1.ClientVersion)
	require.True(t, g1.Dead())
	require.EqualValues(t, c.UnixMilli()-30_000, g1.DeadTime)
	require.True(t, g1.Match("a\x016\x02b\x01x\x02"))
	require.False(t, g1.Match("a\x015\x02b\x01x\x02"))
	require.EqualValues(t, 4_000_000_000_000, tab.Get("T", "dead").DeadTime)
	require.Nil(t, tab.Get("T", "g3"))
	require.Equal(t, "c IN ('\"\\', 'y')\n", tab.Get("T2", "g组").Expression)

	for _, groups := range tab.byTopic {
		for _, d := range groups {
			if d.Group != "dead" {
				d.DeadTime = 0 // as Java wrote it
			}
		}
	}
	require.NoError(t, tab.write())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := func(s string) []string {
		list := strings.Split(strings.ReplaceAll(s, ",\n", "\n"), "\n")
		slices.Sort(list)
		return list
	}
	require.Equal(t, lines(g.File), lines(string(b)))
}

func TestBitMapsAreJavas(t *testing.T) {
	g := readGolden(t)
	path := filepath.Join(t.TempDir(), "consumerFilter.json")
	require.NoError(t, os.WriteFile(path, []byte(g.File), 0o600))
	tab := open(t, path, &clock{time.UnixMilli(1_700_000_100_000)})
	for _, x := range g.BitMaps {
		var props []byte
		for i := 1; i < len(x.Message); i += 2 {
			props = message.AppendProperty(props, x.Message[i], x.Message[i+1])
		}
		got, ok := tab.AppendBitMap([]byte("x"), x.Message[0], string(props))
		require.Equal(t, x.BitMap != nil, ok)
		want := "78"
		if ok {
			want += *x.BitMap
		}
		require.Equal(t, want, hex.EncodeToString(got))
		for _, d := range tab.byTopic[x.Message[0]] {
			if d.Match(string(props)) {
				require.True(t, d.MayMatch(math.MaxInt64, got[1:]))
			}
		}
	}
	d := tab.Get("T", "g1")
	empty := make([]byte, tab.Bloom().Bits()/8)
	require.False(t, d.MayMatch(d.BornTime+1, empty))
	require.True(t, d.MayMatch(d.BornTime, empty), "the map was made before the filter came")
	require.True(t, d.MayMatch(d.BornTime+1, nil))
	require.True(t, d.MayMatch(d.BornTime+1, empty[1:]), "a map of another size")
	one, err := tab.Build("T", "g1", "TRUE", SQL92, 1)
	require.NoError(t, err)
	require.True(t, one.MayMatch(math.MaxInt64, empty), "the expression of one pull has no bits")
}

func TestBloomIsJavas(t *testing.T) {
	g := readGolden(t)
	for _, x := range g.Sizes {
		b, err := NewBloom(x[0], x[1])
		if x[2] == 0 {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, Bloom{x[2], x[3]}, *b, x)
	}
	small, err := NewBloom(20, 32)
	require.NoError(t, err)
	require.EqualValues(t, 112, small.Bits())
	large, err := NewBloom(1, 1000)
	require.NoError(t, err)
	for s, want := range g.Positions {
		require.Equal(t, want[0], small.positions(s).BitPos, s)
		require.Equal(t, want[1], large.positions(s).BitPos, s)
	}
	require.Equal(t, g.Positions["group#topic"][0], small.Positions("group", "topic").BitPos)
	_, err = NewBloom(1, math.MaxInt32)
	require.Error(t, err)
}

// TestRegister goes through what heartbeats can bring. Java: FilterDataMapByTopic.register.
func TestRegister(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consumerFilter.json")
	c := &clock{time.UnixMilli(1_700_000_000_000)}
	tab := open(t, path, c)
	heartbeat := func(subs ...body.SubscriptionData) {
		c.Time = c.Add(time.Second)
		tab.Register("g", subs)
	}
	get := func() *Data { return tab.Get("T", "g") }
	heartbeat(body.SubscriptionData{Topic: "T", SubString: "*", ExpressionType: "TAG"}, sub("T", "", 1))
	require.Nil(t, get())
	heartbeat(sub("T", "a = ", 1))
	require.Nil(t, get(), "it does not compile")
	heartbeat(body.SubscriptionData{Topic: "T", SubString: "a = 1", ExpressionType: "XYZ", SubVersion: 1})
	require.Nil(t, get(), "there is no such type")

	heartbeat(sub("T", "a = 1", 2))
	first := get()
	require.Equal(t, "a = 1", first.Expression)
	require.Equal(t, c.UnixMilli(), first.BornTime)
	require.False(t, first.Dead())
	heartbeat(sub("T", "a = 2", 2))
	heartbeat(sub("T", "a = 3", 1))
	require.Same(t, first, get(), "neither version is newer")
	heartbeat(sub("T", "a = 1", 4))
	require.EqualValues(t, 4, get().ClientVersion)
	require.Equal(t, first.BornTime, get().BornTime, "the same expression goes on living")
	heartbeat(sub("T", "a = 5", 5))
	require.Equal(t, "a = 5", get().Expression)
	require.Equal(t, c.UnixMilli(), get().BornTime)

	heartbeat(sub("T2", "b = 1", 6))
	require.True(t, get().Dead(), "the group left the topic")
	require.Equal(t, c.UnixMilli(), get().DeadTime)
	heartbeat(sub("T", "a = 5", 4))
	require.True(t, get().Dead(), "too old to bring it back")
	heartbeat(sub("T", "a = 5", 5), sub("T2", "b = 1", 6))
	require.False(t, get().Dead())
	tab.Unregister("other")
	require.False(t, get().Dead())
	tab.Unregister("g")
	require.True(t, get().Dead())
	require.True(t, tab.Get("T2", "g").Dead())
	heartbeat(sub("T", "a = 5", 7))
	require.False(t, get().Dead())
	require.EqualValues(t, 7, get().ClientVersion)

	tab.Clean()
	require.NotNil(t, tab.Get("T2", "g"))
	c.Time = c.Add(time.Hour)
	tab.Clean()
	require.Nil(t, tab.Get("T2", "g"))
	require.False(t, get().Dead())
	heartbeat(sub("T", "broken = (", 8))
	require.Nil(t, get(), "an expression that does not compile ends the one before")
	require.Zero(t, tab.used.Load())
	require.Empty(t, tab.byTopic)
	require.Empty(t, tab.byGroup)
}

// TestRestart: filters survive, dead; those of a bloom filter of other sizes do not; a damaged file is an error.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config", "consumerFilter.json")
	c := &clock{time.UnixMilli(1_700_000_000_000)}
	tab := open(t, path, c)
	require.NoError(t, tab.Close())
	require.NoFileExists(t, path)
	tab = open(t, path, c)
	tab.Register("g", []body.SubscriptionData{sub("T", "a = 1", 2)})
	require.NoError(t, tab.Close())
	c.Time = c.Add(10 * time.Second)
	tab = open(t, path, c)
	d := tab.Get("T", "g")
	require.True(t, d.Dead())
	require.Equal(t, d.BornTime, d.DeadTime, "not before it was born")
	require.True(t, d.Match("a\x011\x02"))
	tab.Register("g", []body.SubscriptionData{sub("T", "a = 1", 2)})
	require.False(t, tab.Get("T", "g").Dead())
	require.NoError(t, tab.Close())

	o := Options{Path: path, Logger: zerolog.Nop(), MaxErrorRate: 10, ExpectedConsumers: 64}
	other, err := Open(o)
	require.NoError(t, err)
	require.Nil(t, other.Get("T", "g"))
	require.NoError(t, other.Close())
	o.MaxErrorRate = 100
	_, err = Open(o)
	require.ErrorContains(t, err, "maxErrorRateOfBloomFilter is 100")
	o.MaxErrorRate = 20
	for _, p := range []string{path, path + ".bak"} {
		require.NoError(t, os.WriteFile(p, []byte("{"), 0o600))
	}
	_, err = Open(o)
	require.ErrorContains(t, err, "cannot load consumer filters")
}

func TestBuild(t *testing.T) {
	tab := open(t, filepath.Join(t.TempDir(), "f.json"), &clock{time.UnixMilli(5)})
	for range 3 * cacheEntries {
		d, err := tab.Build("T", "g", "a = '"+strings.Repeat("x", len(tab.cache.young))+"'", SQL92, 1)
		require.NoError(t, err)
		require.False(t, d.Match("a\x01y\x02"))
		require.LessOrEqual(t, len(tab.cache.young)+len(tab.cache.old), 2*cacheEntries)
	}
	again, err := tab.Build("T", "g", "a = 'x'", SQL92, 1)
	require.NoError(t, err)
	same, err := tab.Build("T", "g", "a = 'x'", SQL92, 1)
	require.NoError(t, err)
	require.Same(t, again.compiled, same.compiled)
	for range 10 {
		_, err := tab.Build("T", "g", "a IN ('"+strings.Repeat("x", 200<<10)+"'", SQL92, 1)
		require.Error(t, err)
		require.LessOrEqual(t, tab.cache.bytes, cacheBytes)
	}
	require.ErrorContains(t, tab.Check("a = 1", "XYZ"), "type XYZ")
	require.ErrorContains(t, tab.Check("a = ", SQL92), "org.apache.rocketmq.filter.parser.ParseException: Encountered")
}
