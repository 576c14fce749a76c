package peer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func TestAddressServer(t *testing.T) {
	for want, in := range map[string][2]string{
		"http://jmenv.tbsite.net:8080/rocketmq/nsaddr": {},
		"http://mq.example:8080/rocketmq/blue":         {"mq.example", "blue"},
		"http://mq.example:81/rocketmq/nsaddr":         {"mq.example:81", ""},
	} {
		require.Equal(t, want, AddressServer(in[0], in[1]))
	}
}

// TestNameServersAreFetched: the list follows the address server, what it cannot say changes nothing, and a list that
// is set ends it.
func TestNameServersAreFetched(t *testing.T) {
	var answer atomic.Pointer[func(http.ResponseWriter)]
	say := func(fn func(http.ResponseWriter)) { answer.Store(&fn) }
	text := func(s string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { fmt.Fprint(w, s) }
	}
	var asked atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/rocketmq/blue" {
			t.Errorf("asked for %s", r.URL)
		}
		(*answer.Load())(w)
		asked.Add(1)
	}))
	defer web.Close()
	say(text("127.0.0.1:1;127.0.0.1:2\r\nsecond line\n"))
	r, err := Open(Options{Logger: zerolog.Nop(), ClusterName: "c", BrokerName: "b", BrokerAddr: "127.0.0.1:3", Topics: newTable("A", "B"),
		AddressServer: AddressServer(strings.TrimPrefix(web.URL, "http://"), "blue"), FetchEvery: leastFetch})
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	await := func(want ...string) {
		t.Helper()
		require.Eventually(t, func() bool { return slices.Equal(want, r.NameServers()) }, 30*time.Second, time.Millisecond)
	}
	await("127.0.0.1:1", "127.0.0.1:2")
	for _, bad := range []func(http.ResponseWriter){text(""), text(" \n127.0.0.1:7"[:2]), text("nonsense"), text(strings.Repeat("x", 2*maxList)),
		func(w http.ResponseWriter) { http.Error(w, "127.0.0.1:9", http.StatusServiceUnavailable) }} {
		say(bad)
		before := asked.Load()
		require.Eventually(t, func() bool { return asked.Load() > before+1 }, 30*time.Second, time.Millisecond)
		require.Equal(t, []string{"127.0.0.1:1", "127.0.0.1:2"}, r.NameServers())
	}
	say(text("127.0.0.1:2;127.0.0.1:4"))
	await("127.0.0.1:2", "127.0.0.1:4")
	require.NoError(t, r.SetNameServers("127.0.0.1:5"))
	say(text("127.0.0.1:6"))
	require.Equal(t, []string{"127.0.0.1:5"}, r.NameServers())
	require.Eventually(t, func() bool { _, err := r.askAddressServer(http.DefaultClient); return err == nil }, 30*time.Second, time.Millisecond)
	require.ErrorIs(t, r.fetched("127.0.0.1:6", ""), errTold)
}
