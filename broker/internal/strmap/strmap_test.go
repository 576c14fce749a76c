package strmap

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestMapBehavesAsAMap(t *testing.T) {
	for _, bits := range []uint{0, 3} {
		m := New[int](bits)
		want := map[string]int{}
		for i := range 1000 {
			k := fmt.Sprintf("k%d", i%300)
			v := i
			old := m.Store(k, &v)
			if prev, ok := want[k]; ok {
				require.Equal(t, prev, *old)
			} else {
				require.Nil(t, old)
			}
			want[k] = i
			if i%7 == 0 {
				gone := m.Delete(k)
				require.Equal(t, want[k], *gone)
				delete(want, k)
				require.Nil(t, m.Delete(k))
				require.Nil(t, m.Load(k))
			}
		}
		require.Equal(t, len(want), m.Len())
		got := map[string]int{}
		m.Range(func(k string, v *int) bool {
			require.NotContains(t, got, k)
			got[k] = *v
			return true
		})
		require.Equal(t, want, got)
		seen := 0
		m.Range(func(string, *int) bool { seen++; return seen < 3 })
		require.Equal(t, 3, seen)
	}
}

func TestCompareAndDeleteSparesANewerValue(t *testing.T) {
	m := New[int](2)
	a, b := 1, 2
	m.Store("k", &a)
	m.Store("k", &b)
	require.False(t, m.CompareAndDelete("k", &a))
	require.True(t, m.CompareAndDelete("k", &b))
	require.False(t, m.CompareAndDelete("k", &b))
	require.Zero(t, m.Len())
}

func TestKeysAreCloned(t *testing.T) {
	m := New[int](2)
	buf := []byte("topic-a")
	v := 1
	m.Store(unsafe.String(&buf[0], len(buf)), &v)
	_, created := m.LoadOrCreate("topic-b", func(string) *int { return &v })
	require.True(t, created)
	copy(buf, "XXXXXXX")
	require.NotNil(t, m.Load("topic-a"))
	require.Nil(t, m.Load("XXXXXXX"))
	_, created = m.LoadOrCreate("topic-b", func(string) *int { t.Fatal("there already"); return nil })
	require.False(t, created)
}

func TestReadersSeeEveryStableKeyWhileOthersChange(t *testing.T) {
	m := New[int](1)
	one := 1
	for i := range 50 {
		m.Store(fmt.Sprintf("stable%d", i), &one)
	}
	var readers, writers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i := range 50 {
					if m.Load(fmt.Sprintf("stable%d", i)) == nil {
						t.Error("a stable key was missed")
						return
					}
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range 3000 {
				k := fmt.Sprintf("w%d-%d", w, i)
				m.Store(k, &one)
				if i%2 == 0 {
					m.Delete(k)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	require.Equal(t, 50+2*1500, m.Len())
}

func BenchmarkLoad(b *testing.B) {
	m := New[int](6)
	one := 1
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("topic-%d", i)
		m.Store(keys[i], &one)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := 0
		for pb.Next() {
			if m.Load(keys[i&1023]) == nil {
				b.Error("missing")
			}
			i++
		}
	})
}
