package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type sampleHeader struct {
	Topic   string `rmq:"topic,required"`
	QueueID int32  `rmq:"queueId,required"`
	Offset  *int64 `rmq:"offset"`
	Batch   bool   `rmq:"batch"`
	Remark  string `rmq:"remark"`
}

func TestDecodeHeaderTakesFieldsInAnyOrder(t *testing.T) {
	var h sampleHeader
	require.NoError(t, DecodeHeader(Ext{{"zzz", "1"}, {"batch", "TRUE"}, {"queueId", "3"}, {"topic", "T"}, {"offset", "-9"}}, &h))
	n := int64(-9)
	require.Equal(t, sampleHeader{Topic: "T", QueueID: 3, Offset: &n, Batch: true}, h)
}

func TestDecodeHeaderNamesTheMissingField(t *testing.T) {
	var h sampleHeader
	err := DecodeHeader(Ext{{"topic", "T"}}, &h)
	require.ErrorContains(t, err, "queueId")
	err = DecodeHeader(Ext{{"topic", "T"}, {"queueId", "x"}}, &h)
	require.ErrorContains(t, err, "queueId")
}

func TestAppendHeaderLeavesOutNulls(t *testing.T) {
	require.Equal(t, Ext{{"topic", "T"}, {"queueId", "0"}, {"batch", "false"}}, AppendHeader(nil, sampleHeader{Topic: "T"}))
}

func BenchmarkDecodeHeader(b *testing.B) {
	ext := Ext{{"topic", "T"}, {"queueId", "3"}, {"batch", "true"}, {"remark", "r"}}
	b.ReportAllocs()
	for b.Loop() {
		var h sampleHeader
		if err := DecodeHeader(ext, &h); err != nil {
			b.Fatal(err)
		}
	}
}
