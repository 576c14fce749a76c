package cluster

import (
	"os"
	"testing"
	"time"
	"sync"
)

func TestZZProbe(t *testing.T) {
	if os.Getenv("PROBE") == "" { t.Skip() }
	ns := StartNamesrv(t, Options{})
	var mu sync.Mutex
	var worst time.Duration
	slow, n := 0, 0
	end := time.Now().Add(25 * time.Second)
	var wg sync.WaitGroup
	for w := 0; w < 4; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Now().Before(end) {
				b := time.Now()
				_, err := Call(ns.Addr(), reqRoute, map[string]string{"topic": "TBW102"}, nil)
				d := time.Since(b)
				mu.Lock()
				n++
				if d > worst { worst = d }
				if d > 500*time.Millisecond || err != nil { slow++; t.Log(time.Now(), d, err) }
				mu.Unlock()
				time.Sleep(10 * time.Millisecond)
			}
		}()
	}
	wg.Wait()
	t.Log(n, "worst", worst, "slow", slow)
}
