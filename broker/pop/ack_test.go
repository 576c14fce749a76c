package pop

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBitOffsets reads what Java's BatchAck wrote for bits 1 and 70 (BitSetSerializerDeserializer).
func TestBitOffsets(t *testing.T) {
	offsets, err := bitOffsets("AgAAAAAAAABA", 100, 0, 1000)
	require.NoError(t, err)
	require.Equal(t, []int64{101, 170}, offsets)
	offsets, err = bitOffsets("AgAAAAAAAABA", 100, 102, 1000)
	require.NoError(t, err)
	require.Equal(t, []int64{170}, offsets)
	_, err = bitOffsets(base64.StdEncoding.EncodeToString(make([]byte, 10)), 0, 0, 10)
	require.NoError(t, err)
	many := make([]byte, maxBatch/8+1)
	for i := range many {
		many[i] = 0xff
	}
	_, err = bitOffsets(base64.StdEncoding.EncodeToString(many), 0, 0, 1<<40)
	require.Error(t, err)
}

func FuzzBitOffsets(f *testing.F) {
	f.Add("AgAAAAAAAABA", int64(100))
	f.Add("/////w==", int64(-1))
	f.Fuzz(func(t *testing.T, text string, start int64) {
		offsets, err := bitOffsets(text, start, 0, 1<<40)
		if err == nil {
			require.LessOrEqual(t, len(offsets), maxBatch)
		}
		for _, at := range offsets {
			require.True(t, at >= 0 && at <= 1<<40)
		}
	})
}

func TestTimesOfCheckpointsDiffer(t *testing.T) {
	require.EqualValues(t, 11, timeOfNext(10, 11))
	require.EqualValues(t, 11, timeOfNext(10, 10))
	require.EqualValues(t, 12, timeOfNext(timeOfNext(10, 10), 10), "changed twice in a millisecond")
	require.EqualValues(t, 10, timeOfNext(100_000, 10), "the clock was set back")
}
