package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// storeTool runs skylark store on the store of a broker.
func storeTool(t *testing.T, command string, b *cluster.Server, flags ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(cluster.Skylark(t), append([]string{"store", command, "-c", b.ConfFile()}, flags...)...).CombinedOutput()
	return string(out), err
}

// TestKilledRepairIsDoneAgain damages a store, kills `skylark store repair` five times at random moments and
// runs it once more: the check is clean then, and all but the damaged message is there.
func TestKilledRepairIsDoneAgain(t *testing.T) {
	if cluster.PeerIsJava() {
		t.Skip("Java has no such command")
	}
	seed := fromEnv(t, "SKYLARK_KILL_SEED", uint64(time.Now().UnixNano()))
	t.Logf("SKYLARK_KILL_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	b := cluster.StartBroker(t, cluster.Options{Dir: keptDir(t), Unlisted: true, ExtraConf: []string{"mappedFileSizeCommitLog=" + strconv.Itoa(killFileSize), "mappedFileSizeConsumeQueue=2000"}})
	b.CreateTopic(t, killTopic, killQueues)
	l := newLedger(killQueues)
	fill(t, b, l, 8000)
	b.Stop(t)
	store := filepath.Join(b.Dir(), "store")
	hurtQueues(t, store, rng)
	damaged := hurtMessage(t, store, l, rng)
	out, err := storeTool(t, "check", b)
	require.Equal(t, 1, exitCode(err), "the damage is not seen: %s", out)

	for kills, aim := 0, 50*time.Millisecond; kills < 5; {
		nextSecond()
		if killRepair(t, b, time.Duration(rng.Int64N(int64(aim)))) {
			kills++
			continue
		}
		aim = aim * 3 / 4
		hurtQueues(t, store, rng) // it was through; one message is enough to lose
	}
	nextSecond()
	out, err = storeTool(t, "repair", b, "--fill")
	require.NoError(t, err, "%s", out)
	t.Logf("the last repair:\n%s", out)
	out, err = storeTool(t, "check", b)
	require.NoError(t, err, "%s", out)

	b.Restart(t)
	c, err := dial(b.Addr())
	require.NoError(t, err)
	defer c.close()
	requireAllBut(t, c, l, damaged)
}

// killRepair runs a repair, kills it some time after it has begun to change things, and reports whether that
// ended it.
func killRepair(t *testing.T, b *cluster.Server, after time.Duration) bool {
	t.Helper()
	aside := func() int {
		dirs, err := filepath.Glob(filepath.Join(b.Dir(), "store", "skylark", "moved-*"))
		require.NoError(t, err)
		return len(dirs)
	}
	before := aside()
	cmd := exec.Command(cluster.Skylark(t), "store", "repair", "--fill", "-c", b.ConfFile())
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for aside() == before {
		select {
		case err := <-done:
			require.Zero(t, exitCode(err))
			return false
		case <-time.After(time.Millisecond): // another process: no event to await
		}
	}
	time.Sleep(after)      // the moment of the kill is the test
	_ = cmd.Process.Kill() // fails when it has just ended
	return exitCode(<-done) == -1
}

// nextSecond waits for the clock's next second: each repair has a folder named by its own.
func nextSecond() {
	now := time.Now()
	time.Sleep(now.Truncate(time.Second).Add(time.Second).Sub(now))
}

// exitCode returns the exit status of a command; -1 when a signal ended it.
func exitCode(err error) int {
	var e *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.ExitCode()
	}
	return -2
}

// fill stores n messages, in batches.
func fill(t *testing.T, b *cluster.Server, l *ledger, n int) {
	t.Helper()
	c, err := dial(b.Addr())
	require.NoError(t, err)
	defer c.close()
	for i := range n / 20 {
		ids := l.willSend(lane{0, i % killQueues}, 20)
		var bodies [][]byte
		for _, id := range ids {
			bodies = append(bodies, bodyOf(id.String()))
		}
		offset, physical, err := c.sendAt(killTopic, i%killQueues, bodies...)
		require.NoError(t, err)
		require.NoError(t, l.ack(i%killQueues, offset, ids, physical))
	}
}

// hurtQueues changes a byte in every third file of the queues and removes one.
func hurtQueues(t *testing.T, store string, rng *rand.Rand) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(store, "consumequeue", killTopic, "*", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	rng.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	require.NoError(t, os.Remove(files[0]))
	for _, path := range files[1 : 1+len(files)/3] {
		hurt(t, path, rng.Int64N(2000))
	}
}

type place struct {
	queue  int
	offset int64
}

// hurtMessage changes a byte in the body of a message and returns the message's place.
func hurtMessage(t *testing.T, store string, l *ledger, rng *rand.Rand) place {
	t.Helper()
	queue := rng.IntN(killQueues)
	offset := rng.Int64N(int64(len(l.kept[queue]) - 1))
	at := l.kept[queue][offset].physical
	hurt(t, filepath.Join(store, "commitlog", fmt.Sprintf("%020d", at-at%killFileSize)), at%killFileSize+posBodyLen+5)
	return place{queue, offset}
}

func hurt(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 0x41
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, err)
}

// requireAllBut reads all queues and finds every message but one, whose offset is stepped over.
func requireAllBut(t *testing.T, c *client, l *ledger, damaged place) {
	t.Helper()
	for q, kept := range l.kept {
		for at := int64(0); at < int64(len(kept)); {
			p, err := c.pullOnce(pullExt(killTopic, q, at))
			require.NoError(t, err)
			require.EqualValues(t, len(kept), p.max)
			if len(p.recs) == 0 {
				require.Equal(t, damaged, place{q, at})
				require.Equal(t, at+1, p.next)
				at++
			}
			for _, r := range p.recs {
				if (place{q, at}) == damaged {
					at++
				}
				require.Equal(t, at, r.queueOffset)
				at++
			}
			require.NoError(t, l.show(q, p.recs))
		}
	}
}
