package mux_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// lines is a log that is written by several goroutines.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the lines so far and forgets them.
func (l *lines) take(t *testing.T) (out []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range strings.Split(strings.TrimSpace(l.b.String()), "\n") {
		if text == "" {
			continue
		}
		m := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		out = append(out, m)
	}
	l.b.Reset()
	return out
}

// TestRefusalsAreLogged: with their cause, whom they were for, and not more than a few a second.
func TestRefusalsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		m := mux.New(mux.Options{Logger: zerolog.New(log), SlowRequest: time.Second})
		defer m.Close()
		m.Add(mux.Route{Code: code, Lane: m.NewLane(mux.LaneOptions{Name: "test", Capacity: 100}), Handle: func(r *mux.Request) *protocol.Command {
			switch topic, _ := r.Cmd.Ext.Get("topic"); topic {
			case "slow":
				time.Sleep(2 * time.Second)
			case "none":
				return protocol.NewResponse(protocol.PullNotFound, "")
			case "bad":
				return protocol.NewResponse(protocol.NoPermission, "not for you")
			}
			return ok()
		}})
		c := newConn()
		s := m.Open(c)
		ask := func(topic string) {
			require.NoError(t, s.Frame(request(1, protocol.Field{Key: "topic", Value: topic}, protocol.Field{Key: "consumerGroup", Value: "G"})))
			c.next(t)
			synctest.Wait()
		}
		ask("good")
		ask("none")
		require.Empty(t, log.take(t))
		ask("bad")
		require.Equal(t, []map[string]any{{"level": "warn", "message": "request refused", "request": 9001., "code": 16., "remote": "127.0.0.1:40001",
			"why": "not for you", "topic": "bad", "group": "G"}}, log.take(t))
		ask("slow")
		require.Equal(t, []map[string]any{{"level": "warn", "message": "request was slow", "request": 9001., "ms": 2000., "lane": "test",
			"remote": "127.0.0.1:40001", "topic": "slow", "group": "G"}}, log.take(t))
		time.Sleep(time.Minute)
		for range 50 {
			ask("bad")
		}
		require.Len(t, log.take(t), 10)
		time.Sleep(time.Second)
		ask("bad")
		got := log.take(t)
		require.Len(t, got, 1)
		require.Equal(t, 40., got[0]["notLogged"])
		require.NoError(t, s.Frame(frame.Append(nil, &protocol.Command{Code: code + 1})))
		got = log.take(t)
		require.Len(t, got, 1, "another kind")
		require.Contains(t, got[0]["why"], "not supported")
	})
}
