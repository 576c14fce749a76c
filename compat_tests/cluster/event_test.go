package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEventKeepsNumbersExact(t *testing.T) {
	var e Event
	require.NoError(t, json.Unmarshal([]byte(`{"event":"msg","body":"b-1","queueId":3,"queueOffset":9007199254740993,
		"reconsumeTimes":0,"props":{"k":"v"},"text":"42","queues":[1]}`), &e))
	require.Equal(t, "msg", e.Kind())
	require.Equal(t, "b-1", e.Body())
	require.Equal(t, 3, e.QueueID())
	require.EqualValues(t, 9007199254740993, e.QueueOffset())
	require.Equal(t, 0, e.Reconsume())
	require.Equal(t, map[string]string{"k": "v"}, e.Props())
	require.EqualValues(t, 42, e.Int("text"))
	require.EqualValues(t, -1, e.Int("absent"))
	require.Empty(t, e.Str("absent"))
	require.Equal(t, []string{"b-1"}, Bodies(Of([]Event{e, {"event": "done"}}, "msg")))
}

func TestRunReadsEventsOfAProcess(t *testing.T) {
	script := `echo '{"event":"started"}'; echo '{"event":"msg","body":"a"}'; cat >/dev/null; echo '{"event":"done"}'`
	r := startRun(t, "sh", []string{"/bin/sh", "-c", script}, t.TempDir())
	r.Await(t, 10*time.Second, "started")
	require.Equal(t, "a", r.Collect(t, 10*time.Second, "msg", 1)[0].Body())
	require.False(t, r.Ended())
	require.Len(t, r.Stop(t, 10*time.Second), 3)
	require.True(t, r.Ended())
}

func TestCachedBuildsOnceAndNeverHalf(t *testing.T) {
	t.Setenv("SKYLARK_CACHE", t.TempDir())
	builds := 0
	for range 2 {
		dir := cached(t, "thing/x", func(dir string) error {
			builds++
			return os.WriteFile(filepath.Join(dir, "f"), []byte("1"), 0o644)
		})
		require.FileExists(t, filepath.Join(dir, "f"))
	}
	require.Equal(t, 1, builds)
}

func TestFreePortLeavesRoomForItsNeighbours(t *testing.T) {
	p := FreePort(t)
	require.True(t, allFree(p, p-2, p+1))
}
