package message

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRecordRoundTrip(t *testing.T) {
	for _, topic := range []string{"T", strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 255)} {
		for _, host := range []string{"10.0.0.1:65535", "[fe80::1]:10911"} {
			m := Message{Topic: topic, QueueID: 3, Flag: -1, SysFlag: SysFlagCompressed, BornTimestamp: 5, BornHost: HostOf(netip.MustParseAddrPort(host)),
				StoreHost: HostOf(netip.MustParseAddrPort("127.0.0.1:10911")), ReconsumeTimes: 2, PreparedTransactionOffset: 9, Body: []byte("hello")}
			b, err := AppendRecord([]byte("pad"), &m, "TAGS\x01a\x02")
			require.NoError(t, err)
			b = b[3:]
			Patch(b, 11, 22, 33)
			r, err := Parse(b, true)
			require.NoError(t, err)
			require.Equal(t, int64(11), r.QueueOffset)
			require.Equal(t, int64(22), r.PhysicalOffset)
			require.Equal(t, int64(33), r.StoreTimestamp)
			require.Equal(t, int64(33), StoreTimestamp(b))
			require.Equal(t, "TAGS\x01a\x02", r.Properties)
			require.Equal(t, host, r.BornHost.AddrPort().String())
			require.Equal(t, topic, r.Topic)
			require.Equal(t, m.Body, r.Body)
			for n := range b {
				_, err := Parse(b[:n], true)
				require.ErrorIs(t, err, ErrRecord)
			}
		}
	}
}

func TestPropertiesAreReadAsJavaReadsThem(t *testing.T) {
	s := "a\x011\x02\x02b\x02\x01x\x02c\x01\x02a\x012\x02d\x01x\x01y"
	require.Equal(t, Properties{{"a", "2"}, {"d", "x\x01y"}}, ParseProperties(s))
	require.Equal(t, "2", GetProperty(s, "a"))
	require.Equal(t, "", GetProperty(s, "b"))
	p := ParseProperties(s)
	p.Delete("a")
	p.Set("e", "f")
	require.Equal(t, "d\x01x\x01y\x02e\x01f\x02", p.String())
}

func TestHashCodeIsJavas(t *testing.T) {
	require.Equal(t, int32(0), HashCode(""))
	require.Equal(t, int32(97), HashCode("a"))
	require.Equal(t, int32(99162322), HashCode("hello"))
	require.Equal(t, int64(0), TagsCode(""))
	require.Negative(t, TagsCode("polygenelubricants"))
}

func TestOffsetIDRoundTrip(t *testing.T) {
	id := string(AppendOffsetID(nil, HostOf(netip.MustParseAddrPort("127.0.0.1:10911")), 255))
	require.Equal(t, "7F00000100002A9F00000000000000FF", id)
	h, off, err := ParseOffsetID(id)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:10911", h.String())
	require.Equal(t, int64(255), off)
	_, _, err = ParseOffsetID("xyz")
	require.Error(t, err)
	require.Len(t, NewUniqKeys(netip.MustParseAddr("127.0.0.1"), 1).Append(nil, time.Now()), 32)
}

func TestBatchRoundTrip(t *testing.T) {
	b := AppendBatchItem(nil, BatchItem{Flag: 1, Body: []byte("x"), Properties: "a\x01b"})
	b = AppendBatchItem(b, BatchItem{Body: []byte{}, Properties: ""})
	i, rest, err := NextBatchItem(b)
	require.NoError(t, err)
	require.Equal(t, BatchItem{Flag: 1, Body: []byte("x"), Properties: "a\x01b"}, i)
	_, rest, err = NextBatchItem(rest)
	require.NoError(t, err)
	require.Empty(t, rest)
	_, _, err = NextBatchItem(b[:10])
	require.ErrorIs(t, err, ErrBatch)
}

func FuzzParse(f *testing.F) {
	b, _ := AppendRecord(nil, &Message{Topic: "T", Body: []byte("b")}, "a\x01b\x02")
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Parse(b, true); err == nil {
			require.LessOrEqual(t, r.Size, len(b))
			ParseProperties(r.Properties)
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add(AppendBatchItem(nil, BatchItem{Body: []byte("x"), Properties: "a\x01b"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for n := 0; len(b) > 0 && n < 1000; n++ {
			var err error
			if _, b, err = NextBatchItem(b); err != nil {
				return
			}
		}
	})
}

func FuzzProperties(f *testing.F) {
	f.Add("a\x01b\x02c\x01d")
	f.Fuzz(func(t *testing.T, s string) {
		p := ParseProperties(s)
		require.Equal(t, p, ParseProperties(p.String()))
	})
}
