package boot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store"
)

// appended waits for a group of messages.
type appended chan error

func (a appended) Appended(_ *store.Group, err error) { a <- err }

// smallStore makes a store of 20 messages in queue T-0, stopped cleanly.
func smallStore(t *testing.T) string {
	t.Helper()
	o := store.DefaultOptions()
	o.StorePathRootDir = t.TempDir()
	o.MappedFileSizeCommitLog, o.MappedFileSizeConsumeQueue = 16<<10, 1000
	o.Logger = zerolog.Nop()
	s, err := store.Open(o)
	require.NoError(t, err)
	done := make(appended, 1)
	g := &store.Group{Owner: done}
	for range 20 {
		at := len(g.Buf)
		m := message.Message{Topic: "T", Body: []byte("hello")}
		g.Buf, err = message.AppendRecord(g.Buf, &m, "KEYS\x01k\x02")
		require.NoError(t, err)
		g.Recs = append(g.Recs, store.Rec{Queue: s.Queue("T", 0), Size: int32(len(g.Buf) - at)})
	}
	require.NoError(t, s.Submit(g))
	require.NoError(t, <-done)
	require.NoError(t, s.Close())
	return o.StorePathRootDir
}

func TestStoreCheckAndRepair(t *testing.T) {
	dir := smallStore(t)
	status, stdout, stderr := call(t, "skylark", "store", "check", dir)
	require.Zero(t, status, stdout+stderr)
	require.Contains(t, stdout, "20 records")
	require.Contains(t, stdout, "findings: 0 damaged, 0 warnings")

	unit := filepath.Join(dir, "consumequeue", "T", "0", "00000000000000000000")
	b, err := os.ReadFile(unit)
	require.NoError(t, err)
	b[20*3+7] ^= 1
	require.NoError(t, os.WriteFile(unit, b, 0o644))
	status, stdout, stderr = call(t, "skylark", "store", "check", dir)
	require.Equal(t, 1, status)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "DAMAGED "+unit+"@60: queue T-0: the unit of offset 3 points to")

	status, stdout, _ = call(t, "skylark", "store", "check", dir, "--json")
	require.Equal(t, 1, status)
	for line := range strings.Lines(stdout) {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.True(t, strings.HasPrefix(stdout, `{"severity":"DAMAGED","file":`), stdout)

	status, stdout, _ = call(t, "skylark", "store", "repair", dir, "--dry-run")
	require.Equal(t, 1, status)
	require.Contains(t, stdout, "would: move "+filepath.Dir(unit))
	status, stdout, stderr = call(t, "skylark", "store", "repair", dir)
	require.Zero(t, status, stdout+stderr)
	require.Contains(t, stdout, "build queue T-0 anew")
	moved, err := filepath.Glob(filepath.Join(dir, "skylark", "moved-*", "consumequeue", "T", "0", "00000000000000000000"))
	require.NoError(t, err)
	require.Len(t, moved, 1)
	status, _, _ = call(t, "skylark", "store", "check", dir)
	require.Zero(t, status)
}

func TestStoreDump(t *testing.T) {
	dir := smallStore(t)
	for _, x := range []struct {
		args  []string
		lines int
		want  string
	}{
		{[]string{"log", dir}, 20, " T-0@0 "},
		{[]string{"log", dir, "--count", "2", "--body"}, 2, `body="hello"`},
		{[]string{"log", "--topic=none", dir}, 0, ""},
		{[]string{"log", dir, "--from", "5", "--json"}, 19, `"queueOffset":1,`},
		{[]string{"queue", dir, "T", "0", "--from", "18"}, 2, "18 offset="},
		{[]string{"queue", "--json", "--count=3", dir, "T", "0"}, 3, `{"queueOffset":0,`},
		{[]string{"checkpoint", dir, "--json"}, 1, `{"physicMsgTimestamp":`},
	} {
		status, stdout, stderr := call(t, append([]string{"skylark", "store", "dump"}, x.args...)...)
		require.Zero(t, status, stderr)
		require.Empty(t, stderr)
		require.Equal(t, x.lines, strings.Count(stdout, "\n"), x.args)
		require.Contains(t, stdout, x.want, x.args)
	}
}

// TestStoreCommandsThatCannot: 1 is kept for damage.
func TestStoreCommandsThatCannot(t *testing.T) {
	dir := smallStore(t)
	for _, args := range [][]string{
		{"check"}, {"check", dir, "more"}, {"check", filepath.Join(dir, "none")}, {"check", dir, "--nonsense"}, {"nonsense"},
		{"dump", "nonsense"}, {"dump", "queue", dir, "T"}, {"dump", "queue", dir, "T", "x"}, {"dump", "queue", dir, "T", "7"},
		{"dump", "index", dir}, {"dump", "log"}, {"repair"}, {"repair", filepath.Join(dir, "none")}, {"check", dir, "-c", filepath.Join(dir, "none")},
		{"check", dir, "--mappedFileSizeCommitLog", "x"},
	} {
		status, _, stderr := call(t, append([]string{"skylark", "store"}, args...)...)
		require.Equal(t, 2, status, args)
		require.NotEmpty(t, stderr, args)
	}
	for _, args := range [][]string{{}, {"-h"}, {"check", "-h"}, {"dump"}, {"dump", "-h"}, {"dump", "log", "-h"}, {"repair", dir, "--help"}} {
		status, stdout, stderr := call(t, append([]string{"skylark", "store"}, args...)...)
		require.Zero(t, status, stderr)
		require.Contains(t, stdout, "USAGE", args)
	}
}

func TestStoreTakesPathsFromTheFile(t *testing.T) {
	dir := smallStore(t)
	elsewhere := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.Rename(filepath.Join(dir, "commitlog"), elsewhere))
	status, stdout, _ := call(t, "skylark", "store", "check", dir)
	require.Equal(t, 1, status, "a queue without its log is damage")
	require.Contains(t, stdout, "behind the end of the log at 0")
	conf := file(t, "storePathRootDir="+dir, "storePathCommitLog="+elsewhere, "mappedFileSizeCommitLog=16384", "mappedFileSizeConsumeQueue=1000", "listenPort=1", "maxHashSlotNum=16")
	for _, args := range [][]string{{"check", "-c", conf}, {"check", dir, "-c", conf}, {"check", dir, "--commitlog", elsewhere},
		{"dump", "log", "-c", conf}, {"dump", "queue", "T", "0", "-c", conf}} {
		status, stdout, stderr := call(t, append([]string{"skylark", "store"}, args...)...)
		require.Zero(t, status, "%v %s", args, stdout)
		require.Empty(t, stderr)
	}
	// Sizes that are not those of the files show.
	require.NoError(t, os.WriteFile(conf, []byte("storePathRootDir="+dir+"\nstorePathCommitLog="+elsewhere+"\n"), 0o644))
	status, stdout, _ = call(t, "skylark", "store", "check", "-c", conf)
	require.Equal(t, 1, status)
	require.Contains(t, stdout, "16384 bytes long, files here have 1073741824")
}

// TestStoreOfSeveralFolders: the paths stand in the file, with what JAVA_OPT puts between them, or in a flag.
func TestStoreOfSeveralFolders(t *testing.T) {
	dir, elsewhere := smallStore(t), t.TempDir()
	name := filepath.Join("commitlog", "00000000000000000000")
	moved := filepath.Join(elsewhere, filepath.Base(name))
	require.NoError(t, os.Rename(filepath.Join(dir, name), moved))
	check := func(want int, lines ...string) {
		t.Helper()
		conf := file(t, append([]string{"storePathRootDir=" + dir, "mappedFileSizeCommitLog=16384", "mappedFileSizeConsumeQueue=1000", "maxHashSlotNum=16"}, lines...)...)
		status, stdout, _ := call(t, "skylark", "store", "check", "-c", conf)
		require.Equal(t, want, status, stdout)
	}
	paths := filepath.Join(dir, "commitlog") + "," + elsewhere
	check(1)
	check(0, "storePathCommitLog="+paths)
	check(0, "readOnlyCommitLogStorePaths="+elsewhere)
	status, stdout, _ := call(t, "skylark", "store", "check", dir, "--commitlog", paths)
	require.Zero(t, status, stdout)
	t.Setenv("JAVA_OPT", "-server -Drocketmq.broker.multiPathSplitter=; -Xmx4g")
	check(1, "storePathCommitLog="+paths)
	check(0, "storePathCommitLog="+strings.ReplaceAll(paths, ",", ";"))
	t.Setenv("JAVA_OPT_EXT", "-Drocketmq.broker.multiPathSplitter=::")
	check(0, "storePathCommitLog="+strings.ReplaceAll(paths, ",", "::"))
}

func TestStoreRepairRefusesARunningBroker(t *testing.T) {
	dir := smallStore(t)
	o := store.DefaultOptions()
	o.StorePathRootDir, o.MappedFileSizeCommitLog, o.MappedFileSizeConsumeQueue, o.Logger = dir, 16<<10, 1000, zerolog.Nop()
	s, err := store.Open(o)
	require.NoError(t, err)
	defer s.Close()
	status, _, stderr := call(t, "skylark", "store", "repair", dir)
	require.Equal(t, 2, status)
	require.Contains(t, stderr, "another process holds the lock")
	status, stdout, _ := call(t, "skylark", "store", "check", dir)
	require.Zero(t, status, stdout)
	require.Contains(t, stdout, "in use by a broker")
}
