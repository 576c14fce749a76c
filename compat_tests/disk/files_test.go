package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ours are the files that Skylark works on, relative to the store; a name that ends in / is a folder.
// All others belong to somebody else and must stay as they are.
var ours = []string{"commitlog/", "consumequeue/", "skylark/", "checkpoint", "abort", "abort.bak", "lock",
	"config/topics.json", "config/subscriptionGroup.json", "config/consumerOffset.json", "config/delayOffset.json",
	"timerwheel", "timerlog/", "config/timercheck", "config/timermetrics"}

func isOurs(name string) bool {
	if skylarkHasIndex && strings.HasPrefix(name, "index/") {
		return true
	}
	for _, o := range ours {
		if name == o || name == o+".bak" || strings.HasSuffix(o, "/") && strings.HasPrefix(name, o) {
			return true
		}
	}
	return false
}

// plant puts files into the store that no version knows.
func plant(t *testing.T, store string) {
	t.Helper()
	for name, text := range map[string]string{"config/ofSomebodyElse.json": `{"a":{0:1}}`, "config/ofSomebodyElse.json.bak": `{}`,
		"config/empty.json": "", "notes.txt": "keep", "later/versions/data": "keep"} {
		path := filepath.Join(store, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// foreign describes each file and folder that is not Skylark's: mode, time of change and contents.
func foreign(t *testing.T, store string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(store, path)
		if d.IsDir() {
			if isOurs(name + "/") {
				return fs.SkipDir
			}
			out[name+"/"] = d.Type().String()
			return nil
		}
		if isOurs(name) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		out[name] = fmt.Sprintf("%s %s %x", info.Mode(), info.ModTime(), sha256.Sum256(b))
		return err
	}))
	return out
}

// offsetsOnDisk reads what consumerOffset.json holds: "topic@group" to queue to offset. Like Java it
// falls back to the .bak: there is a moment without the file.
func offsetsOnDisk(t *testing.T, store string) map[string]map[string]int64 {
	t.Helper()
	path := filepath.Join(store, "config", "consumerOffset.json")
	for _, name := range []string{path, path + ".bak"} {
		text, err := os.ReadFile(name)
		if err != nil {
			require.ErrorIs(t, err, fs.ErrNotExist)
			continue
		}
		var all struct {
			OffsetTable map[string]map[string]int64 `json:"offsetTable"`
		}
		if json.Unmarshal(bareNumbers.ReplaceAll(text, []byte(`$1"$2":`)), &all) == nil {
			return all.OffsetTable
		}
	}
	return nil
}

// readTable reads one table of a configuration file.
func readTable(t *testing.T, path, table string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, json.Unmarshal(text, &all), "%s: %s", path, text)
	entries, ok := all[table].(map[string]any)
	require.True(t, ok, "%s has no %s", path, table)
	return entries
}

// bareNumbers are numeric keys, which fastjson writes without quotes.
var bareNumbers = regexp.MustCompile(`([{,]\s*)(\d+)\s*:`)

// logWalk is what walking over the CommitLog's files found.
type logWalk struct {
	files, records, blanks int
	end                    int64
}

// walkLog reads the CommitLog's files as they are on disk and holds them against the ledger: each record
// knows its place in the log, files end with a blank record, and each acknowledged message is where its
// id says. After a kill the last record may be a part of one.
func walkLog(t *testing.T, store string, l *ledger, killed bool) logWalk {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(store, "commitlog", "*"))
	require.NoError(t, err)
	sort.Strings(files)
	var w logWalk
	found := map[int64]bool{}
	ended := false
	for _, name := range files {
		base, err := strconv.ParseInt(filepath.Base(name), 10, 64)
		require.NoError(t, err, "a stray file in commitlog: Java would not start")
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Len(t, b, logFileSize, "%s: Java would not start", name)
		if binary.BigEndian.Uint32(b) == 0 {
			require.Equal(t, -1, bytes.IndexFunc(b, func(r rune) bool { return r != 0 }), "%s begins with zeros but has content", name)
			ended = true // made in advance
			continue
		}
		require.False(t, ended, "%s comes after the end of the log", name)
		w.files++
		pos := 0
		for pos+8 <= len(b) && binary.BigEndian.Uint32(b[pos+posMagic:]) == magicRecord {
			r, err := parseRecord(b[pos:])
			if err != nil && killed {
				break
			}
			require.NoError(t, err, "%s at %d", name, pos)
			require.Equal(t, base+int64(pos), r.physical, "%s at %d", name, pos)
			if sum, ok := l.onDisk[r.physical]; ok {
				require.Equal(t, sum, sha256.Sum256(r.raw), "record at %d changed", r.physical)
			}
			found[r.physical] = true
			w.records++
			pos += len(r.raw)
		}
		w.end = base + int64(pos)
		if pos+8 <= len(b) && binary.BigEndian.Uint32(b[pos+posMagic:]) == magicBlank {
			require.Equal(t, len(b)-pos, int(binary.BigEndian.Uint32(b[pos:])), "%s: the blank at %d does not fill the file", name, pos)
			w.blanks++
			continue
		}
		ended = true
	}
	for _, m := range l.order {
		require.True(t, found[m.physical], "acknowledged message %s is not in the log at %d", m.id, m.physical)
	}
	return w
}

// checkHandBack asserts what a clean stop must leave, so that the next server need not repair anything.
func checkHandBack(t *testing.T, store string) {
	t.Helper()
	require.NoFileExists(t, filepath.Join(store, "abort"))
	queues := filepath.Join(store, "consumequeue")
	require.NoError(t, filepath.WalkDir(queues, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		require.Regexp(t, `^\d{20}$`, d.Name(), path)
		info, err := d.Info()
		if err == nil {
			require.EqualValues(t, queueFileSize, info.Size(), "%s: Java would not start", path)
		}
		return err
	}))
}
