package index

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSortBySlot(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, x := range []struct{ n, slots int }{{0, 1}, {1, 1}, {100, 50}, {5000, 1}, {5000, 7}, {50_000, 5_000_000}, {10_000, 1 << 24}, {10_000, 1<<31 - 1}} {
		order := make([]uint64, x.n)
		for i := range order {
			order[i] = uint64(r.IntN(x.slots))<<32 | uint64(i)
		}
		want := slices.Sorted(slices.Values(order))
		require.True(t, slices.Equal(want, sortBySlot(order)), "%d of %d slots", x.n, x.slots)
	}
}
