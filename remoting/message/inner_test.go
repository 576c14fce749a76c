package message

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInnerBaseIsSetInPlace(t *testing.T) {
	hosts := []Host{HostOf(netip.MustParseAddrPort("10.1.2.3:10911")), HostOf(netip.MustParseAddrPort("[2001:db8::7]:1"))}
	for _, topic := range []string{"T", strings.Repeat("t", 200)} {
		for _, born := range hosts {
			for _, store := range hosts {
				for _, base := range []int64{0, 7, 12345, 1<<63 - 1} {
					m := Message{Topic: topic, QueueID: 3, SysFlag: SysFlagInnerBatch | SysFlagNeedUnwrap, BornHost: born, StoreHost: store, Body: []byte("some body")}
					b := BeginRecord([]byte("before"), &m)
					at := len(b)
					b = AppendProperty(b, PropertyInnerNum, "2")
					b = AppendInnerBase(b)
					require.NoError(t, FinishRecord(b, 6, at))
					rec := b[6:]
					Patch(rec, base, 4096, 99)
					r, err := Parse(rec[:SetInnerBase(rec, base)], true)
					require.NoError(t, err)
					want := Properties{{PropertyInnerNum, "2"}, {PropertyInnerBase, strconv.FormatInt(base, 10)}}
					require.Equal(t, want.String(), r.Properties)
					require.Equal(t, topic, r.Topic)
					require.Equal(t, base, r.QueueOffset)
				}
			}
		}
	}
}
