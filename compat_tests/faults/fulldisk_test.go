//go:build linux

package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

const (
	diskBytes   = 24 << 20
	fillerBytes = 10 << 20 // given back later: the disk is below diskSpaceCleanForciblyRatio then
)

// TestRealFullDisk fills a small disk of its own. With Java's ratios the store stops taking messages by
// itself as soon as it has seen how full the disk is; with skylarkMinFreeBytes and ratios of 100 it goes on
// until the kernel has no room for a file. It needs the right to mount.
func TestRealFullDisk(t *testing.T) {
	noLimit := []string{"skylarkMinFreeBytes=1", "diskMaxUsedSpaceRatio=100", "diskSpaceCleanForciblyRatio=100", "diskSpaceWarningLevelRatio=100"}
	for _, flush := range []string{"ASYNC_FLUSH", "SYNC_FLUSH"} {
		t.Run(flush+" ratios", func(t *testing.T) { fullDisk(t, "flushDiskType="+flush) })
		t.Run(flush+" to the last byte", func(t *testing.T) { fullDisk(t, append(noLimit, "flushDiskType="+flush)...) })
	}
}

// mountDisk mounts a tmpfs and puts a filler file on it.
func mountDisk(t *testing.T) (dir, filler string) {
	t.Helper()
	cluster.SkipIfOff(t)
	dir = t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskBytes))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSYS) {
		t.Skipf("needs a disk of its own, and may not mount a tmpfs: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	filler = filepath.Join(dir, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, fillerBytes), 0o644))
	return dir, filler
}

func fullDisk(t *testing.T, conf ...string) {
	dir, filler := mountDisk(t)
	b := cluster.StartBroker(t, cluster.Options{Dir: dir, Unlisted: true, ExtraConf: append([]string{
		"mappedFileSizeCommitLog=" + strconv.Itoa(killFileSize), "mappedFileSizeConsumeQueue=20000", "cleanFileForciblyEnable=false", "cleanResourceInterval=200"}, conf...)})
	b.CreateTopic(t, killTopic, killQueues)
	l := newLedger(killQueues)
	a := newAudit(t, l, killTopic, filepath.Join(dir, "store"), killFileSize)
	connect := func() *client {
		conn, err := dial(b.Addr())
		require.NoError(t, err)
		t.Cleanup(conn.close)
		return conn
	}

	p := startProducers(t, connect, l, 0)
	p.awaitFull(t)
	// Consumers read on: all that was acknowledged, and go on to the end.
	_, acked := l.counts()
	require.GreaterOrEqual(t, readAll(t, connect(), l), acked)
	p.awaitFull(t)
	b.Kill(t)
	p.end(t)
	_, acked = l.counts()
	t.Logf("%d messages acknowledged, %d refused, at last with %q; killed", acked, p.refused.Load(), *p.remark.Load())

	b.Restart(t)
	a.run(connect(), 0)
	p = startProducers(t, connect, l, 1)
	p.awaitFull(t)
	a.again()
	require.GreaterOrEqual(t, readAll(t, connect(), l), acked)
	t.Logf("%d messages after a start with a full disk, %d refused, at last with %q", acked, p.refused.Load(), *p.remark.Load())

	_, acked = l.counts()
	require.NoError(t, os.Remove(filler))
	freed := time.Now()
	p.awaitTaken(t, 500)
	t.Logf("taken again %s after there was space, without a start", time.Since(freed).Round(time.Millisecond))
	require.GreaterOrEqual(t, readAll(t, connect(), l), acked+500)
	b.Kill(t)
	p.end(t)
	b.Restart(t)
	a.again()
	a.run(connect(), 0)
	_, acked = l.counts()
	t.Logf("%d messages in the end, all there", acked)
	b.Kill(t)
	out, err := storeTool(t, "check", b)
	require.NoError(t, err, "%s", out)
}

// producers send until the connection breaks; when they are refused they try again.
type producers struct {
	all             sync.WaitGroup
	refused, inARow atomic.Int64 // refusals: all of them; since a message was taken
	taken           atomic.Int64
	remark          atomic.Pointer[string] // of the last refusal
	mu              sync.Mutex
	failed          error // anything but a refusal for want of space, or the end of the connection
	done            chan struct{}
}

func startProducers(t *testing.T, connect func() *client, l *ledger, round int) *producers {
	t.Helper()
	p := &producers{done: make(chan struct{})}
	for i := range connections {
		conn := connect()
		for j := range 2 {
			by := lane{round, i*2 + j}
			p.all.Go(func() {
				if err := p.send(conn, l, by); err != nil {
					p.mu.Lock()
					p.failed = err
					p.mu.Unlock()
				}
			})
		}
	}
	go func() {
		p.all.Wait()
		close(p.done)
	}()
	return p
}

func (p *producers) send(c *client, l *ledger, by lane) error {
	rng := rand.New(rand.NewPCG(uint64(by.round), uint64(by.id)))
	for {
		var bodies [][]byte
		ids := l.willSend(by, 1+rng.IntN(batchSize))
		for _, id := range ids {
			bodies = append(bodies, bodyOf(id.String()))
		}
		queue := rng.IntN(killQueues)
		offset, physical, err := c.sendAt(killTopic, queue, bodies...)
		var no refusal
		switch {
		case err == nil:
			if err := l.ack(queue, offset, ids, physical); err != nil {
				return err
			}
			p.taken.Add(1)
			p.inARow.Store(0)
		case errors.As(err, &no):
			if no.code != respUnavailable || !strings.Contains(no.remark, "the broker's disk is full") {
				return fmt.Errorf("refused with the wrong words: %w", err)
			}
			p.remark.Store(&no.remark)
			p.refused.Add(1)
			p.inARow.Add(1)
			select {
			case <-c.done:
			case <-time.After(5 * time.Millisecond): // as a client that tries again
			}
		case errors.Is(err, errNoAnswer):
			return err
		default:
			return nil // killed
		}
	}
}

// await waits until the condition holds, or a producer fails.
func (p *producers) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case <-p.done:
			return true
		default:
			return ok()
		}
	}, 30*time.Second, 2*time.Millisecond, what)
	require.True(t, ok(), "the producers have ended before: %v", p.failed)
}

// awaitFull waits until many messages in a row are refused, from now on.
func (p *producers) awaitFull(t *testing.T) {
	t.Helper()
	from := p.refused.Load()
	p.await(t, "the disk is never full", func() bool { return p.inARow.Load() > 100 && p.refused.Load() > from+100 })
}

func (p *producers) awaitTaken(t *testing.T, n int64) {
	t.Helper()
	from := p.taken.Load()
	p.await(t, "no message is taken though there is space", func() bool { return p.taken.Load() >= from+n })
}

// end waits for the producers of a broker that was killed.
func (p *producers) end(t *testing.T) {
	t.Helper()
	<-p.done
	require.NoError(t, p.failed)
}

// readAll reads all queues from the first message on, as a consumer, while producers run; it returns how many
// messages there were.
func readAll(t *testing.T, c *client, l *ledger) (n int) {
	t.Helper()
	for q := range killQueues {
		for at := int64(0); ; {
			recs, err := c.pull(killTopic, q, at)
			require.NoError(t, err)
			require.NoError(t, l.show(q, recs))
			if len(recs) == 0 {
				break
			}
			require.Equal(t, at, recs[0].queueOffset)
			n += len(recs)
			at = recs[len(recs)-1].queueOffset + 1
		}
	}
	return n
}
