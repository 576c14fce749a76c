package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/internal/conntest"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// A client that is there and says nothing is waited for as long as by Java, on the clock of the test.
func TestSilentClientsAreNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Logger: zerolog.Nop(), Sessions: session.Open(session.Options{})})
		defer r.o.Sessions.Close()
		defer r.Close()
		c := conntest.New(1)
		r.o.Sessions.RegisterConsumer(session.Client{Conn: c, ID: "silent", Version: protocol.Version}, &body.ConsumerData{GroupName: "G"}, session.Heartbeat{})
		from := time.Now()
		_, err := r.runningInfo(&mux.Request{}, &header.GetConsumerRunningInfoRequest{ConsumerGroup: "G", ClientID: "silent"})
		require.Equal(t, protocol.Errorf(protocol.ConsumeMsgTimeout, "consumer <G> <silent> Timeout: no answer within 10s"), err)
		require.Equal(t, callTimeout, time.Since(from))

		from = time.Now()
		resp, err := r.consumerStatus(&mux.Request{}, &header.GetConsumerStatusRequest{Topic: "T", Group: "G"})
		require.NoError(t, err)
		require.JSONEq(t, `{"consumerTable":{},"messageQueueTable":{}}`, string(resp.Body))
		require.Equal(t, statusTimeout, time.Since(from))
	})
}
