package pull_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/brokertest"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// BenchmarkPull pulls one message, and the 32 that a pull asks for.
func BenchmarkPull(b *testing.B) {
	br := brokertest.Start(b)
	c := br.Dial(false)
	for range 32 {
		require.Equal(b, protocol.Success, c.Call(brokertest.SendRequest("T", 0, "TAGS\x01a\x02", "some body")).Code)
	}
	for _, x := range []struct {
		name string
		from int64
	}{{"1", 31}, {"32", 0}} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs() // of client and server together
			const window = 16
			for i := range b.N {
				c.Send(brokertest.PullRequest("T", 0, x.from, "*"))
				if i >= window {
					c.Read()
				}
			}
			for range min(window, b.N) {
				c.Read()
			}
		})
	}
}
