package frame

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

func sample() *protocol.Command {
	return &protocol.Command{Code: 310, Language: protocol.LanguageJava, Version: 435, Opaque: 7, Flag: 0, Remark: "r\"\n",
		Ext:  protocol.Ext{{Key: "b", Value: "TopicTest"}, {Key: "i", Value: "TAGS\x01tag\x02中\U0001F600\\"}},
		Body: []byte("body")}
}

func TestBothSerialisationsRoundTrip(t *testing.T) {
	for _, enc := range []func([]byte, *protocol.Command) []byte{Append, AppendBinary} {
		b := enc([]byte("xy"), sample())[2:]
		n, err := Length(b)
		require.NoError(t, err)
		require.Equal(t, len(b), n)
		var c protocol.Command
		require.NoError(t, Decode(b, &c))
		require.Equal(t, *sample(), c)
	}
}

func decodeText(t *testing.T, header string) (protocol.Command, error) {
	t.Helper()
	b := append(make([]byte, PrefixLength), header...)
	var c protocol.Command
	err := Decode(Finish(b, 0, len(header)), &c)
	return c, err
}

func TestDecodeAcceptsWhatPeersSend(t *testing.T) {
	c, err := decodeText(t, ` { "opaque" : -3 , "language":9,"extFields":{"queueId":3,"jstackEnable":true,"n":null,"o":{"a":[1,"x"]},"u":"\u0001\ud83d\ude00\/"},"code":"11","flag":2,"unknown":[{}],"remark":null}`+"\n")
	require.NoError(t, err)
	require.Equal(t, protocol.Command{Code: 11, Opaque: -3, Flag: 2, Language: protocol.LanguageGo,
		Ext: protocol.Ext{{Key: "queueId", Value: "3"}, {Key: "jstackEnable", Value: "true"}, {Key: "o", Value: `{"a":[1,"x"]}`}, {Key: "u", Value: "\x01\U0001F600/"}}}, c)
}

func TestDecodeRefusesWhatIsNoHeader(t *testing.T) {
	for _, h := range []string{"", "GET / HTTP/1.1", "{", `{"code"`, `{"code":}`, `{"code":99999999999}`, `{"a":"\u12"}`, `{"a":"x`, `{"code":1 "flag":2}`, `[1]`} {
		_, err := decodeText(t, h)
		require.ErrorIs(t, err, ErrMalformed, h)
	}
}

func TestLengthRefusesEarly(t *testing.T) {
	for _, b := range [][]byte{{0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0}, {0, 0, 0, 3}, {1, 0, 0, 0}, {0, 0, 0, 9, 2, 0, 0, 1}, {0, 0, 0, 9, 0, 0, 0, 6}} {
		_, err := Length(b)
		require.ErrorIs(t, err, ErrMalformed)
	}
	n, err := Length([]byte{0, 0, 1})
	require.NoError(t, err)
	require.Zero(t, n)
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, sample()))
	f.Add(AppendBinary(nil, sample()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c protocol.Command
		if Decode(append([]byte(nil), b...), &c) != nil {
			return
		}
		again := Append(nil, &c)
		var d protocol.Command
		if len(again) <= MaxLength {
			require.NoError(t, Decode(again, &d))
			require.Equal(t, c.Code, d.Code)
			require.Equal(t, len(c.Ext), len(d.Ext))
		}
	})
}

func BenchmarkDecodeJSON(b *testing.B)   { benchDecode(b, Append(nil, sendRequest())) }
func BenchmarkDecodeBinary(b *testing.B) { benchDecode(b, AppendBinary(nil, sendRequest())) }

func benchDecode(b *testing.B, raw []byte) {
	var c protocol.Command
	buf := make([]byte, len(raw))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, raw)
		if err := Decode(buf, &c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	c := sendRequest()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], c)
	}
}

func sendRequest() *protocol.Command {
	return &protocol.Command{Code: 310, Version: 435, Opaque: 100000001, Ext: protocol.Ext{
		{Key: "a", Value: "group"}, {Key: "b", Value: "topic"}, {Key: "c", Value: "TBW102"}, {Key: "d", Value: "4"}, {Key: "e", Value: "1"}, {Key: "f", Value: "0"},
		{Key: "g", Value: "1700000000000"}, {Key: "h", Value: "0"}, {Key: "i", Value: "TAGS\x01tagA\x02UNIQ_KEY\x01AC110001000000000000000000000001\x02WAIT\x01true"},
		{Key: "j", Value: "0"}, {Key: "k", Value: "false"}, {Key: "l", Value: "0"}, {Key: "m", Value: "false"}}}
}
