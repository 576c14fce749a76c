package fsys

import (
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
