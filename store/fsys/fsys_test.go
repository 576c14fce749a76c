package fsys

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

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
