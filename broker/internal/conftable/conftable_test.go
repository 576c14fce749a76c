package conftable

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// conf is a configuration.
type conf struct{ Name, Value string }

type content struct {
	Version body.DataVersion
	All     map[string]*conf
}

func options(path string, defaults ...string) Options[conf] {
	o := Options[conf]{Path: path, Logger: zerolog.Nop(), Defaults: map[string]*conf{},
		Decode: func(b []byte) (body.DataVersion, map[string]*conf, error) {
			var c content
			err := json.Unmarshal(b, &c)
			return c.Version, c.All, err
		},
		Encode: func(v body.DataVersion, all []*conf) ([]byte, error) {
			c := content{v, map[string]*conf{}}
			for _, x := range all {
				c.All[x.Name] = x
			}
			return json.Marshal(c)
		}}
	for _, name := range defaults {
		o.Defaults[name] = &conf{name, "default"}
	}
	return o
}

func open(t *testing.T, o Options[conf]) *Table[conf] {
	t.Helper()
	table, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = table.Close() })
	return table
}

func set(value string) func(*conf) (*conf, error) {
	return func(now *conf) (*conf, error) { return &conf{"a", value}, nil }
}

func TestChangesAreStoredAndCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	table := open(t, options(path, "system"))
	require.Equal(t, 1, table.Len())
	before := table.DataVersion().Counter

	v, created := table.Create("a", func(name string) *conf { return &conf{name, "1"} })
	require.True(t, created)
	same, created := table.Create("a", func(string) *conf { panic("not asked for") })
	require.False(t, created)
	require.Same(t, v, same)
	changed, err := table.Update("a", set("2"))
	require.True(t, changed && err == nil)
	require.Equal(t, "1", v.Value, "a configuration that a reader holds never changes")
	changed, err = table.Update("a", func(*conf) (*conf, error) { return nil, nil })
	require.False(t, changed || err != nil)
	_, err = table.Update("a", func(*conf) (*conf, error) { return &conf{}, errors.New("no") })
	require.EqualError(t, err, "no")
	require.False(t, table.Delete("b"))
	table.Create("c", func(name string) *conf { return &conf{name, "x"} })
	require.True(t, table.Delete("c"))
	table.Touch()
	require.Equal(t, before+5, table.DataVersion().Counter, "each change counts once, what changes nothing does not")

	require.NoError(t, table.Sync())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var stored content
	require.NoError(t, json.Unmarshal(b, &stored))
	require.Equal(t, table.DataVersion(), stored.Version)
	require.Equal(t, map[string]*conf{"a": {"a", "2"}, "system": {"system", "default"}}, stored.All)

	require.NoError(t, table.Close())
	again := open(t, options(path, "system", "new"))
	require.Equal(t, "2", again.Get("a").Value)
	require.Equal(t, "default", again.Get("new").Value)
	require.Equal(t, stored.Version, again.DataVersion())
}

func TestFileWinsOverDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"All":{"system":{"Name":"system","Value":"mine"}}}`), 0o644))
	require.Equal(t, "mine", open(t, options(path, "system")).Get("system").Value)
}

func TestBrokenFileStopsTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"All":`), 0o644))
	_, err := Open(options(path))
	require.ErrorContains(t, err, path)
}

func TestAllIsSortedAndCutInPages(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json")))
	for _, name := range []string{"c", "a", "b"} {
		table.Create(name, func(name string) *conf { return &conf{Name: name} })
	}
	names := func(all []*conf) (out string) {
		for _, c := range all {
			out += c.Name
		}
		return out
	}
	require.Equal(t, "abc", names(table.All()))
	table.Delete("b")
	require.Equal(t, "ac", names(table.All()))
	for _, x := range []struct {
		seq, n int
		want   string
	}{{0, 1, "a"}, {1, 5, "c"}, {2, 5, ""}, {9, 1, ""}, {-1, 1, "a"}, {0, -1, ""}} {
		require.Equal(t, x.want, names(table.Page(x.seq, x.n)), x)
	}
}

func TestReplaceTakesAMastersTable(t *testing.T) {
	table := open(t, options(filepath.Join(t.TempDir(), "x.json"), "system"))
	table.Replace(body.DataVersion{Counter: 77}, map[string]*conf{"m": {"m", "1"}})
	require.Nil(t, table.Get("system"))
	require.Equal(t, "1", table.Get("m").Value)
	require.EqualValues(t, 77, table.DataVersion().Counter)
}

func TestManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	table := open(t, options(path))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprint((i + w) % 50)
				table.Create(name, func(name string) *conf { return &conf{Name: name} })
				_, _ = table.Update(name, func(now *conf) (*conf, error) { return &conf{name, fmt.Sprint(i)}, nil })
				table.All()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 50+4*200, table.DataVersion().Counter)
	require.Len(t, table.All(), 50)
	require.NoError(t, table.Close())
	require.Len(t, open(t, options(path)).All(), 50)
}
