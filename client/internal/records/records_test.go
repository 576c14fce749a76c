package records

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	_, digits, _ := strings.Cut(string(text), "\n")
	b, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
	require.NoError(t, err)
	return b
}

// TestBodiesOfJavaAreUnpacked reads the same text out of what Java's compressors made of it.
func TestBodiesOfJavaAreUnpacked(t *testing.T) {
	text, err := Decompress(golden(t, "zlib.hex"), typeZlib<<8)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(text), 12000)
	require.Contains(t, string(text), "the lark ascending")
	for _, c := range []struct {
		file string
		flag int32
	}{{"zlib.hex", 0}, {"lz4.hex", typeLZ4 << 8}, {"zstd.hex", typeZstd << 8}} {
		got, err := Decompress(golden(t, c.file), c.flag)
		require.NoError(t, err, c.file)
		require.Equal(t, string(text), string(got), c.file)
	}
	packed, err := Compress(text)
	require.NoError(t, err)
	require.Less(t, len(packed), len(text))
	got, err := Decompress(packed, FlagZlib)
	require.NoError(t, err)
	require.Equal(t, text, got)
}

func TestBodiesThatCannotBeUnpackedAreNamed(t *testing.T) {
	bad := []byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 5, 0, 0, 0, 0x1f, 'a', 1, 0, 255}
	for _, flag := range []int32{0, typeLZ4 << 8, typeZstd << 8} {
		_, err := Decompress(bad, flag)
		require.Error(t, err)
	}
	for file, flag := range map[string]int32{"zlib.hex": typeZlib << 8, "lz4.hex": typeLZ4 << 8, "zstd.hex": typeZstd << 8} {
		_, err := decompress(golden(t, file), flag, 1000)
		require.ErrorContains(t, err, "larger than 1000 bytes", file)
	}

	rec, err := message.AppendRecord(nil, &message.Message{Topic: "T", SysFlag: message.SysFlagCompressed, Body: bad}, "")
	require.NoError(t, err)
	list, err := Decode(append(rec, rec...), "b")
	require.NoError(t, err, "one bad body is no reason to lose the others")
	require.Len(t, list, 2)
	require.ErrorContains(t, list[0].Err, "cannot decompress")
	require.Equal(t, bad, list[0].Body)
}

func FuzzDecode(f *testing.F) {
	for _, c := range []struct {
		file string
		flag int32
	}{{"zlib.hex", typeZlib}, {"lz4.hex", typeLZ4}, {"zstd.hex", typeZstd}} {
		rec, err := message.AppendRecord(nil, &message.Message{Topic: "T", SysFlag: message.SysFlagCompressed | c.flag<<8, Body: golden(f, c.file)}, "")
		require.NoError(f, err)
		f.Add(rec)
	}
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = Decode(b, "b") })
}

func TestPropertiesSayWhatFieldsSay(t *testing.T) {
	m := &client.Message{Topic: "T", Body: []byte("x"), Tag: "a", Keys: []string{"k1", "k2"}, DelayLevel: 3, Delay: 1500 * time.Millisecond,
		DeliverAt: time.UnixMilli(1700000000000), NoWait: true, Properties: map[string]string{"mine": "1", "TAGS": "outweighed", "WAIT": "true", "empty": ""}}
	s, err := Properties(m, "ID")
	require.NoError(t, err)
	got := map[string]string{}
	for _, p := range message.ParseProperties(s) {
		got[p.Name] = p.Value
	}
	require.Equal(t, map[string]string{"mine": "1", "TAGS": "a", "KEYS": "k1 k2", "WAIT": "false", "DELAY": "3", "TIMER_DELAY_MS": "1500",
		"TIMER_DELIVER_MS": "1700000000000", "UNIQ_KEY": "ID"}, got)
	require.Equal(t, 1, strings.Count(s, "TAGS\x01"))
	require.True(t, Delayed(m))
	require.False(t, Delayed(&client.Message{}))

	for _, bad := range []*client.Message{{Keys: []string{"two words"}}, {Tag: "a\x02b"}, {Properties: map[string]string{"a\x01": "b"}},
		{Properties: map[string]string{"large": strings.Repeat("x", message.MaxProperties)}}} {
		_, err := Properties(bad, "ID")
		require.Equal(t, protocol.MessageIllegal, client.Code(err))
	}
}

func TestMessagesThatBrokersRefuseAreNotSent(t *testing.T) {
	ok := func(topic string, size int) bool {
		return Check(&client.Message{Topic: topic, Body: bytes.Repeat([]byte("x"), size)}, 10) == nil
	}
	require.True(t, ok("a-Z_0%|", 10))
	require.True(t, ok("%RETRY%"+strings.Repeat("g", 200), 1))
	require.False(t, ok("T", 0))
	require.False(t, ok("T", 11))
	require.False(t, ok("", 1))
	require.False(t, ok("T.x", 1))
	require.False(t, ok(strings.Repeat("t", 128), 1))
	require.Error(t, Check(nil, 10))
}
