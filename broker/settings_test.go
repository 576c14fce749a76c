package broker

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/store"
)

// readLive are the keys that nobody is told of: who needs them looks at Broker.live.
const readLive = " notifyConsumerIdsChangedEnable flushConsumerOffsetInterval "

// other returns a value for the key that is allowed and is not the present one.
func other(t *testing.T, key, now string) string {
	t.Helper()
	check := allowed()[key]
	n, err := strconv.ParseInt(now, 10, 64)
	candidates := []string{"true", "false", "SYNC_FLUSH", "ASYNC_FLUSH", "127.0.0.1:9", "05", "warn", "elsewhere"}
	if key == "brokerPermission" {
		candidates = []string{"4"}
	} else if err == nil {
		candidates = []string{strconv.FormatInt(n+1, 10), strconv.FormatInt(n-1, 10)}
	}
	for _, c := range candidates {
		if c != now && check(c) == "" {
			return c
		}
	}
	require.Fail(t, "no value", "for %s, which is %q", key, now)
	return ""
}

// TestEveryKeyHasAnOwner: whatever may change reaches somebody who heeds it.
func TestEveryKeyHasAnOwner(t *testing.T) {
	so := store.DefaultOptions()
	so.StorePathRootDir, so.Logger = t.TempDir(), zerolog.Nop()
	so.MappedFileSizeCommitLog, so.MappedFileSizeConsumeQueue = 16<<10, 1000
	s, err := store.Open(so)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for key := range allowed() {
		o := DefaultOptions()
		o.NamesrvAddr = "127.0.0.1:8"
		o.Store = s.Options()
		before, now := o.settings(nil), ""
		for _, kv := range properties.List(&o, &o.Store) {
			if kv.Key == key {
				now = kv.Value
			}
		}
		p := &properties.Properties{}
		p.Set(key, other(t, key, now))
		require.Empty(t, properties.Bind(p, &o, &o.Store), key)
		s.Tune(o.Store)
		var tuned string
		seen := s.Options()
		for _, kv := range properties.List(&seen) {
			if kv.Key == key {
				tuned = kv.Value
			}
		}
		want, _ := p.Get(key)
		told := !reflect.DeepEqual(before, o.settings(nil))
		require.True(t, told || tuned == want || strings.Contains(readLive, " "+key+" "), "nobody is told of %s", key)
	}
}
