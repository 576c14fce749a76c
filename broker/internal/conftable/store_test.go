package conftable

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/internal/writebehind"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// made makes a configuration of its name.
func made(name string) *conf { return &conf{Name: name} }

func TestVersionTellsWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(filepath.Join(t.TempDir(), "x.json"))
		state := int64(7)
		o.StateVersion = func() int64 { return state }
		table := open(t, o)
		start := time.Now().UnixMilli()
		require.Equal(t, body.DataVersion{Timestamp: start}, table.DataVersion())
		time.Sleep(5 * time.Second)
		table.Touch()
		require.Equal(t, body.DataVersion{Counter: 1, StateVersion: 7, Timestamp: start + 5000}, table.DataVersion())
		time.Sleep(time.Second)
		state = 8
		table.Create("a", made)
		require.Equal(t, body.DataVersion{Counter: 2, StateVersion: 8, Timestamp: start + 6000}, table.DataVersion())
		time.Sleep(time.Second)
		table.Create("a", made)
		require.False(t, table.Delete("b"))
		require.EqualValues(t, start+6000, table.DataVersion().Timestamp, "nothing was changed")
	})
}

// TestChangesAreStoredBehind: nobody waits for the file, and it is there within writeDelay.
func TestChangesAreStoredBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	synctest.Test(t, func(t *testing.T) {
		table := open(t, options(path))
		table.Create("a", made)
		time.Sleep(writeDelay - time.Millisecond)
		require.NoFileExists(t, path)
		table.Create("b", made)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(b), `"a"`)
		require.Contains(t, string(b), `"b"`)
	})
}

func TestOnlyChangesAreStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	require.NoError(t, open(t, options(path)).Close())
	require.NoFileExists(t, path, "an empty table needs no file")
	require.NoError(t, open(t, options(path, "system")).Close())
	require.FileExists(t, path, "defaults that were not in the file are a change")
	stored, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, open(t, options(path, "system")).Close())
	now, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(stored, now), "the file was written again")
	require.EqualValues(t, 0, open(t, options(path, "system")).DataVersion().Counter, "defaults are no change of the version")
}

func TestFailedWriteIsToldAndTriedAgain(t *testing.T) {
	var broken atomic.Bool
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "x.json")
	o := options(path)
	o.Logger = zerolog.New(zerolog.SyncWriter(&log))
	encode := o.Encode
	o.Encode = func(v body.DataVersion, all []*conf) ([]byte, error) {
		if broken.Load() {
			return nil, errors.New("out of ink")
		}
		return encode(v, all)
	}
	table := open(t, o)
	broken.Store(true)
	table.Create("a", made)
	require.EqualError(t, table.Sync(), "cannot encode "+path+": out of ink")
	require.NotNil(t, table.Get("a"), "what is not stored is in force all the same")
	broken.Store(false)
	require.NoError(t, table.Sync())
	require.NoError(t, table.Close())
	require.Contains(t, log.String(), "configuration not stored")
	require.Contains(t, log.String(), "out of ink")
	require.NotNil(t, open(t, o).Get("a"))
}

func TestCloseTellsOfAFailedWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	table := open(t, options(filepath.Join(dir, "x.json")))
	require.NoError(t, os.WriteFile(dir, nil, 0o644)) // in the folder's place
	table.Create("a", made)
	require.ErrorContains(t, table.Close(), "x.json")
}

func TestChangesAfterCloseAreNotStored(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json")))
	require.NoError(t, table.Close())
	require.NoError(t, table.Sync())
	table.Create("a", made)
	require.ErrorIs(t, table.Sync(), writebehind.ErrClosed)
}

// TestBackupIsReadWholly: of a file that is refused nothing is taken, neither version nor names.
func TestBackupIsReadWholly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"Version":{"counter":99},"All":{"bad":{"Name":"bad"},"x":1}}`), 0o644))
	require.NoError(t, os.WriteFile(path+".bak", []byte(`{"Version":{"counter":5},"All":{"good":{"Name":"good"}}}`), 0o644))
	table := open(t, options(path))
	require.Equal(t, []*conf{{Name: "good"}}, table.All())
	require.EqualValues(t, 5, table.DataVersion().Counter)
}

func TestReplacedTableIsStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	table := open(t, options(path, "system"))
	require.Len(t, table.All(), 1)
	require.NoError(t, table.Sync())
	version := body.DataVersion{Counter: 77, StateVersion: 3, Timestamp: 12345}
	table.Replace(version, map[string]*conf{"z": {"z", "1"}, "m": {"m", "2"}})
	want := []*conf{{"m", "2"}, {"z", "1"}}
	require.Equal(t, want, table.All())
	require.Equal(t, 2, table.Len())
	require.NoError(t, table.Sync())
	require.NoError(t, table.Close())
	again := open(t, options(path))
	require.Equal(t, want, again.All())
	require.Equal(t, version, again.DataVersion())
}

func TestReplaceWithANullIsHarmless(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json")))
	table.Replace(body.DataVersion{}, map[string]*conf{"a": nil, "m": {"m", "1"}})
	require.Equal(t, []*conf{{"m", "1"}}, table.All())
	require.NoError(t, table.Sync())
}

// TestNamesOutliveTheirRequest: names come from a network buffer that is used again.
func TestNamesOutliveTheirRequest(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json")))
	buf := []byte("topic")
	name := unsafe.String(&buf[0], len(buf))
	table.Create(name, made)
	copy(buf, "other")
	_, err := table.Update(name, func(now *conf) (*conf, error) {
		require.Nil(t, now, "there is none of this name yet")
		return &conf{"other", "2"}, nil
	})
	require.NoError(t, err)
	copy(buf, "xxxxx")
	require.Equal(t, "topic", table.Get("topic").Name)
	require.Equal(t, "2", table.Get("other").Value)
	require.Nil(t, table.Get(name))
}

// TestAllIsASnapshot: it is sorted once for all readers, and stays as it is when the table changes.
func TestAllIsASnapshot(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json"), "a", "b", "c"))
	all := table.All()
	require.Same(t, &all[0], &table.All()[0], "sorted again without a change")
	old := *all[1]
	_, err := table.Update("b", func(*conf) (*conf, error) { return &conf{"b", "new"}, nil })
	require.NoError(t, err)
	table.Delete("a")
	require.Len(t, all, 3)
	require.Equal(t, old, *all[1])
	require.Equal(t, []*conf{{"b", "new"}, {"c", "default"}}, table.All())
}

// TestOneCreatorWins: however many ask for a name at once, it is made, and counted, once.
func TestOneCreatorWins(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json")))
	const names, creators = 300, 4
	var makes, wins atomic.Int32
	for i := range names {
		var wg sync.WaitGroup
		start := make(chan struct{})
		got := make([]*conf, creators)
		for w := range creators {
			wg.Go(func() {
				<-start
				v, created := table.Create(fmt.Sprint(i), func(name string) *conf { makes.Add(1); return made(name) })
				if got[w] = v; created {
					wins.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		for _, v := range got {
			require.Same(t, got[0], v)
		}
	}
	require.EqualValues(t, names, makes.Load())
	require.EqualValues(t, names, wins.Load())
	require.EqualValues(t, names, table.DataVersion().Counter)
}

func TestGetAllocatesNothing(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json"), "a"))
	require.Zero(t, testing.AllocsPerRun(100, func() { table.Get("a"); table.Get("b") }))
}
