package admin

import (
	"bytes"
	"compress/zlib"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// TestSignatureIsJavas compares with what AclClientRPCHook of rocketmq-client 5.5.0 made of the same request.
func TestSignatureIsJavas(t *testing.T) {
	cmd := protocol.NewRequest(protocol.GetRouteInfoByTopic, nil)
	cmd.Ext = protocol.Ext{{Key: "topic", Value: "Orders"}, {Key: "acceptStandardJsonOnly", Value: "false"}}
	cmd.Body = []byte("body ä")
	c := Credentials{AccessKey: "RocketMQ", SecretKey: "12345678", SecurityToken: "token"}
	c.Sign(cmd)
	got, _ := cmd.Ext.Get("Signature")
	require.Equal(t, "SB+aSjGPByyI7U6KU3kgJKyZFj4=", got)
	plain := protocol.NewRequest(protocol.GetRouteInfoByTopic, nil)
	new(Credentials).Sign(plain)
	require.Empty(t, plain.Ext)
}

func record(t testing.TB, sysFlag int32, text []byte) []byte {
	b, err := message.AppendRecord(nil, &message.Message{Topic: "T", SysFlag: sysFlag, Body: text}, "")
	require.NoError(t, err)
	return b
}

func deflated(t testing.TB, text []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, err := z.Write(text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

func TestBodiesAreUnpacked(t *testing.T) {
	text := bytes.Repeat([]byte("skylark "), 1000)
	list, err := decodeMessages(append(record(t, message.SysFlagCompressed, deflated(t, text)), record(t, 0, []byte("plain"))...), "b")
	require.NoError(t, err)
	require.Equal(t, text, list[0].Body)
	require.Equal(t, "plain", string(list[1].Body))
	_, err = decodeMessages(record(t, message.SysFlagCompressed, []byte("no zlib")), "b")
	require.ErrorContains(t, err, "decompress")
}

func FuzzDecodeMessages(f *testing.F) {
	f.Add(record(f, message.SysFlagCompressed, deflated(f, []byte("x"))))
	f.Add(record(f, message.SysFlagCompressed|2<<8, []byte("no zstd")))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = decodeMessages(b, "b") })
}
