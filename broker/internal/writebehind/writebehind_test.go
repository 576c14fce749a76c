package writebehind

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChangesAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int32
		w := Open(Options{Delay: time.Second, Write: func() error { writes.Add(1); return nil }})
		for range 100 {
			w.Mark()
		}
		time.Sleep(999 * time.Millisecond)
		require.Zero(t, writes.Load())
		time.Sleep(2 * time.Millisecond)
		require.EqualValues(t, 1, writes.Load())
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, writes.Load())
		require.NoError(t, w.Sync())
		require.NoError(t, w.Close())
		require.EqualValues(t, 1, writes.Load())
	})
}

func TestSyncWritesAtOnceAndSharesAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int32
		w := Open(Options{Delay: time.Hour, Write: func() error {
			time.Sleep(10 * time.Millisecond)
			writes.Add(1)
			return nil
		}})
		w.Mark()
		start := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				w.Mark()
				if err := w.Sync(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, writes.Load(), int32(2))
		require.LessOrEqual(t, time.Since(start), 20*time.Millisecond)
		require.NoError(t, w.Close())
	})
}

func TestAFailedWriteIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		var broken atomic.Bool
		broken.Store(true)
		var writes, failures atomic.Int32
		w := Open(Options{Delay: time.Second, Failed: func(error) { failures.Add(1) }, Write: func() error {
			writes.Add(1)
			if broken.Load() {
				return full
			}
			return nil
		}})
		w.Mark()
		require.ErrorIs(t, w.Sync(), full)
		broken.Store(false)
		time.Sleep(1500 * time.Millisecond)
		require.EqualValues(t, 2, writes.Load())
		require.EqualValues(t, 1, failures.Load())
		broken.Store(true)
		w.Mark()
		require.ErrorIs(t, w.Close(), full)
		require.ErrorIs(t, w.Close(), full)
		require.ErrorIs(t, w.Sync(), ErrClosed)
	})
}

func TestCloseWritesWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int32
		w := Open(Options{Delay: time.Hour, Write: func() error { writes.Add(1); return nil }})
		w.Mark()
		require.NoError(t, w.Close())
		require.EqualValues(t, 1, writes.Load())
	})
}
