package message

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSealIsJavas: a record of Java's with the checksum, taken apart and put together again, has the same bytes.
func TestSealIsJavas(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"v1_prop_crc", "v1_prop_crc_only"} {
		want := readGolden(t, "testdata/"+name+".golden")
		r, err := Parse(want, true)
		require.NoError(t, err)
		stored, computed, ok := PropertyCRC(want, r.Properties)
		require.True(t, ok)
		require.Equal(t, stored, computed)
		without := r.Properties[:len(r.Properties)-CRCPropertySize]
		for _, properties := range []string{without, strings.TrimSuffix(without, "\x02"), r.Properties, "__CRC32#\x01123\x02" + without} {
			rec, err := AppendRecord(nil, &r.Message, properties)
			require.NoError(t, err)
			Patch(rec, r.QueueOffset, r.PhysicalOffset, r.StoreTimestamp)
			head, tail := Seal(rec, nil)
			require.Equal(t, want, append(bytes.Clone(head), tail...), "%s %q", name, properties)
		}
	}
}

func TestSealLeavesFullPropertiesAlone(t *testing.T) {
	t.Parallel()
	for n, sealed := range map[int]bool{MaxProperties - MaxSeal: true, MaxProperties - MaxSeal + 1: false} {
		rec, err := AppendRecord(nil, &Message{Topic: "t"}, "a\x01"+strings.Repeat("x", n-2))
		require.NoError(t, err)
		head, tail := Seal(bytes.Clone(rec), nil)
		require.Equal(t, sealed, len(tail) > 0)
		r, err := Parse(append(head, tail...), true)
		require.NoError(t, err)
		require.Equal(t, sealed, len(r.Properties) == MaxProperties)
	}
}

func FuzzSeal(f *testing.F) {
	f.Add("a\x01b\x02", "body")
	f.Add("__CRC32#\x010123456789\x02", "")
	f.Add("\x02\x02__CRC32#\x01", "x")
	f.Fuzz(func(t *testing.T, properties, body string) {
		rec, err := AppendRecord(nil, &Message{Topic: "t", Body: []byte(body)}, properties)
		if err != nil || len(properties) > MaxProperties-MaxSeal {
			return
		}
		head, tail := Seal(rec, []byte("before"))
		b := append(bytes.Clone(head), tail[len("before"):]...)
		r, err := Parse(b, true)
		require.NoError(t, err)
		stored, computed, ok := PropertyCRC(b, r.Properties)
		require.True(t, ok)
		require.Equal(t, computed, stored)
		require.Equal(t, 1, strings.Count("\x02"+r.Properties, "\x02__CRC32#\x01"))
	})
}
