package send

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// TestHandDecodeAgreesWithTheCodec feeds both with the same random fields.
func TestHandDecodeAgreesWithTheCodec(t *testing.T) {
	values := []string{"0", "1", "-1", "2147483647", "-2147483648", "1700000000000", "true", "false", "topic", "a\x01b\x02"}
	rng := rand.New(rand.NewPCG(1, 2))
	agreed := 0
	for range 20000 {
		var ext protocol.Ext
		for _, c := range "abcdefghijklmn" {
			if rng.IntN(30) == 0 {
				continue
			}
			v := strconv.Itoa(rng.IntN(100))
			if rng.IntN(8) == 0 {
				v = values[rng.IntN(len(values))]
			}
			ext = append(ext, protocol.Field{Key: string(c), Value: v})
		}
		rng.Shuffle(len(ext), func(i, j int) { ext[i], ext[j] = ext[j], ext[i] })
		var want, got header.SendMessageRequestV2
		wantErr := protocol.DecodeHeader(ext, &want)
		gotErr := decode(&protocol.Command{Code: protocol.SendMessageV2, Ext: ext}, &got)
		if wantErr != nil {
			require.Error(t, gotErr, "%v", ext)
			continue
		}
		require.NoError(t, gotErr, "%v", ext)
		require.Equal(t, want, got, "%v", ext)
		agreed++
	}
	require.Greater(t, agreed, 5000)
	require.Zero(t, zero)
}

func TestSendMessageV1HasLongNames(t *testing.T) {
	var h header.SendMessageRequestV2
	ext := protocol.AppendHeader(nil, header.SendMessageRequest{ProducerGroup: "g", Topic: "t", DefaultTopic: "d", QueueID: 3, Batch: true})
	require.NoError(t, decode(&protocol.Command{Code: protocol.SendMessage, Ext: ext}, &h))
	require.Equal(t, header.SendMessageRequestV2{ProducerGroup: "g", Topic: "t", DefaultTopic: "d", QueueID: 3, Batch: true}, h)
}

func BenchmarkDecode(b *testing.B) {
	n := int32(0)
	ext := protocol.AppendHeader(nil, header.SendMessageRequestV2{ProducerGroup: "g", Topic: "t", DefaultTopic: "d", Properties: "a\x01b\x02", MaxReconsumeTimes: &n})
	cmd := &protocol.Command{Code: protocol.SendMessageV2, Ext: ext}
	var h header.SendMessageRequestV2
	b.ReportAllocs()
	for b.Loop() {
		if err := decode(cmd, &h); err != nil {
			b.Fatal(err)
		}
	}
}
