package inspect

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/segment"
)

// putLight stores a message of topic A that the light queues get too.
func putLight(t testing.TB, s *store.Store, i int, names ...string) {
	t.Helper()
	k := &sink{}
	m := message.Message{Topic: "A", BornTimestamp: 1_700_000_000_000, Body: fmt.Append(nil, "light ", i)}
	all := message.ParseProperties("TAGS\x01a\x02")
	all.SetMultiDispatch(names)
	b, err := message.AppendRecord(nil, &m, all.String())
	require.NoError(t, err)
	g := &store.Group{Owner: k, Buf: b, Recs: []store.Rec{{Queue: s.Queue("A", 0), Size: int32(len(b)), TagsCode: 97, Light: int16(len(names))}}}
	for _, name := range names {
		g.Lights = append(g.Lights, store.Light{Queue: s.LightQueue(name)})
	}
	k.wg.Add(1)
	require.NoError(t, s.Submit(g))
	k.wg.Wait()
	require.NoError(t, k.err)
}

func TestLightQueuesAreCheckedAndBuiltAnew(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := store.Open(storeOptions(root))
	require.NoError(t, err)
	for i := range 30 {
		putLight(t, s, i, []string{"%LMQ%x", "%LMQ%y"}[i%2:]...)
	}
	require.NoError(t, s.Close())
	lines, sum := look(t, sizes(root))
	require.Empty(t, lines)
	require.EqualValues(t, 3, sum.Queues)
	require.EqualValues(t, 30+15+30, sum.Units)

	offsets := `{"lmqOffsetTable":{"%LMQ%x@%LMQ%g":16,"%LMQ%y@%LMQ%g":30},"offsetTable":{"%LMQ%x@g":{0:15}}}`
	dir := copyTree(t, root)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config", "lmqConsumerOffset.json"), []byte(offsets), 0o644))
	lines, _ = look(t, sizes(dir))
	require.Len(t, lines, 1)
	require.Contains(t, fmt.Sprint(lines), "%LMQ%x@%LMQ%g is at offset 16 of queue %LMQ%x-0, which ends at 15")

	path := func(d string) string { return filepath.Join(d, "consumequeue", "%LMQ%y", "0", segment.Name(0)) }
	whole, err := os.ReadFile(path(root))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		damage func(d string)
		says   string
	}{
		"offset": {func(d string) { flip(t, path(d), 5*20+7, 1) }, "the unit of offset 5 points to"},
		"size":   {func(d string) { flip(t, path(d), 6*20+11, 1) }, "the unit of offset 6 points to"},
		"tag":    {func(d string) { flip(t, path(d), 7*20+19, 1) }, "the unit of offset 7 has the tags code"},
		"head":   {func(d string) { edit(t, path(d), func(b []byte) []byte { clear(b[:40]); return b }) }, "no units from offset 0 on"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyTree(t, root)
			c.damage(dir)
			found, sum := look(t, sizes(dir))
			require.NotZero(t, sum.Damaged)
			require.Contains(t, fmt.Sprint(found), c.says)
			steps, lines, _ := mend(t, sizes(dir), RepairOptions{})
			require.Empty(t, lines, "%v", steps)
			got, err := os.ReadFile(path(dir))
			require.NoError(t, err)
			require.Equal(t, whole, got)
		})
	}
}
