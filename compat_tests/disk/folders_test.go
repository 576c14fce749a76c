package disk

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
	"github.com/stretchr/testify/require"
)

const codeRuntimeInfo = 28 // GET_BROKER_RUNTIME_INFO

// TestSeveralFolders takes a CommitLog in two folders from Java to Skylark and back. Java is killed, so that the file
// it makes ahead stays. Then the folder that holds the newest file is made read only, under Skylark and under Java.
func TestSeveralFolders(t *testing.T) {
	cluster.SkipIfOff(t)
	t.Parallel()
	if cluster.PeerIsJava() {
		t.Skip("both sides would be Java")
	}
	w := newWorld(t, cluster.ClientV5, []hop{{java5, true}, {skylark, false}, {skylark, false}, {java5, true}, {skylark, false}})
	f := &folders{world: w, dirs: []string{filepath.Join(w.opts.Dir, "disk2", "log"), filepath.Join(w.store, "commitlog")}}

	f.start()
	w.server.CreateTopic(t, plainTopic, 4)
	f.write()
	java := f.diskKeys()
	require.Len(t, java, 3)
	w.server.Kill(t)
	f.requireTurns()

	f.start()
	f.verify()
	require.Equal(t, java, f.diskKeys())
	f.write()
	w.server.Stop(t)
	f.requireTurns()

	before := f.files()
	f.readOnly = before[slices.Max(slices.Collect(maps.Keys(before)))]
	for range 2 {
		f.start()
		f.verify()
		f.write()
		f.verify()
		if w.hop().kill {
			w.server.Kill(t)
		} else {
			w.server.Stop(t)
		}
		for index, dir := range f.files() {
			require.Equal(t, before[index] == f.readOnly, dir == f.readOnly, "file %d is in %s", index, dir)
		}
		// What Skylark makes in a folder that is a mount of its own is nothing to Java.
		require.NoError(t, os.MkdirAll(filepath.Join(f.readOnly, ".skylark", "trash"), 0o755))
	}
	f.start()
	f.verify()
	conf := w.server.ConfFile()
	w.server.Stop(t)
	out, err := exec.Command(cluster.Skylark(t), "store", "check", "-c", conf).CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// folders is a world with a CommitLog in several folders.
type folders struct {
	*world
	dirs     []string // sorted, as Java takes them in turn
	readOnly string
}

// start starts the next server.
func (f *folders) start() {
	f.t.Helper()
	f.now++
	f.opts.ExtraConf = append(slices.Clone(brokerConf), "storePathCommitLog="+strings.Join(f.dirs, ","), "readOnlyCommitLogStorePaths="+f.readOnly)
	if f.hop().server == skylark {
		f.server = cluster.StartBroker(f.t, f.opts)
	} else {
		f.server = cluster.StartJavaBroker(f.t, f.opts)
	}
	f.wire = wire{f.t, f.server}
}

// write sends messages until three more files were begun.
func (f *folders) write() {
	f.t.Helper()
	first, last := int64(-1), int64(-1)
	for i := 0; first < 0 || last < first+3; i++ {
		f.put(i%4, f.compose(plainTopic, 50<<10+i*1000))
		last = f.ledger.order[len(f.ledger.order)-1].physical / logFileSize
		if first < 0 {
			first = last
		}
	}
}

// verify reads all that was ever acknowledged.
func (f *folders) verify() {
	f.t.Helper()
	for queue, end := range f.ledger.ends[plainTopic] {
		f.verifyQueue(plainTopic, queue, end)
	}
}

// files returns which folder each file of the log is in, by its number.
func (f *folders) files() map[int]string {
	f.t.Helper()
	out := map[int]string{}
	for _, dir := range f.dirs {
		names, err := filepath.Glob(filepath.Join(dir, "0*"))
		require.NoError(f.t, err)
		for _, name := range names {
			base, err := strconv.Atoi(filepath.Base(name))
			require.NoError(f.t, err)
			require.NotContains(f.t, out, base/logFileSize)
			out[base/logFileSize] = dir
		}
	}
	return out
}

// requireTurns checks that the files went to the folders in turn.
func (f *folders) requireTurns() {
	f.t.Helper()
	files := f.files()
	require.Greater(f.t, len(files), 3)
	for i := range len(files) {
		require.Equal(f.t, f.dirs[i%len(f.dirs)], files[i], "file %d", i)
	}
}

// diskKeys returns the names of what the server tells of the CommitLog's disks.
func (f *folders) diskKeys() []string {
	f.t.Helper()
	var info struct {
		Table map[string]string `json:"table"`
	}
	const systemError = 1 // Java's answer until it has taken its first sample, a second behind its start
	require.Eventually(f.t, func() bool {
		r := f.wire.call(codeRuntimeInfo, nil, nil, systemError)
		return r.Code == respSuccess && json.Unmarshal(r.Body, &info) == nil
	}, limit, 50*time.Millisecond)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(info.Table)) {
		if strings.HasPrefix(key, "commitLogDiskRatio") {
			out = append(out, key)
			ratio, err := strconv.ParseFloat(info.Table[key], 64)
			require.NoError(f.t, err)
			require.Positive(f.t, ratio, key)
		}
	}
	return out
}
