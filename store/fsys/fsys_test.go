package fsys

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigKeepsThePreviousVersion(t *testing.T) {
	p := filepath.Join(t.TempDir(), "config", "topics.json")
	var got string
	parse := func(b []byte) error {
		if b[0] != '{' {
			return errors.New("no JSON")
		}
		got = string(b)
		return nil
	}
	found, err := ReadConfig(p, parse)
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, WriteConfig(p, []byte("{1}")))
	require.NoError(t, WriteConfig(p, []byte("{2}")))
	found, err = ReadConfig(p, parse)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "{2}", got)
	for _, broken := range []string{"", "garbage"} {
		require.NoError(t, os.WriteFile(p, []byte(broken), 0o644))
		found, err = ReadConfig(p, parse)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "{1}", got)
	}
	require.NoError(t, os.WriteFile(p+BackupSuffix, []byte("x"), 0o644))
	_, err = ReadConfig(p, parse)
	require.ErrorContains(t, err, "topics.json")
	names, err := filepath.Glob(filepath.Join(filepath.Dir(p), "*"))
	require.NoError(t, err)
	require.Len(t, names, 2)
}

func TestLockExcludes(t *testing.T) {
	p := filepath.Join(t.TempDir(), "lock")
	l, err := LockFile(p)
	require.NoError(t, err)
	_, err = LockFile(p)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, l.Release())
	l, err = LockFile(p)
	require.NoError(t, err)
	require.NoError(t, l.Release())
}

func TestJoinedTellsMountsApart(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	joined, err := OS{}.Joined(a, b)
	require.NoError(t, err)
	require.True(t, joined)
	for _, dir := range []string{a, b} {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries, "it only looks")
	}
	joined, err = OS{}.Joined(a, "/proc")
	require.NoError(t, err)
	require.False(t, joined)
	_, err = OS{}.Joined(a, filepath.Join(b, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
