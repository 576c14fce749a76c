package index

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
)

// run is the builder.
func (x *Index) run() {
	defer close(x.done)
	tick := time.NewTicker(x.writeEvery)
	defer tick.Stop()
	err := x.round(false)
	for {
		wake := x.wake
		if err != nil {
			wake = nil // a disk that refuses is asked again by the clock, not by each message
		}
		select {
		case <-x.stop:
			return
		case <-wake:
			err = x.round(false)
		case <-tick.C:
			err = x.round(true)
		case reply := <-x.ask:
			err = x.round(true)
			reply <- err
		}
	}
}

// round writes the batch, all of it or only when it is large, and brings an index that is not live up to
// the CommitLog's end.
func (x *Index) round(all bool) error {
	err := x.build(all)
	x.mu.Lock()
	was := x.problem
	x.problem = err
	x.mu.Unlock()
	switch {
	case err != nil && was == nil:
		x.o.Logger.Error().Err(err).Msg("cannot build the message index, trying again; queries by key may miss messages meanwhile")
	case err == nil && was != nil:
		x.o.Logger.Info().Msg("the message index is built again")
	}
	return err
}

func (x *Index) build(all bool) error {
	for {
		x.mu.Lock()
		live, n := x.live, x.batch.n
		x.mu.Unlock()
		if all || !live || n >= x.writeAt {
			if err := x.writeAll(); err != nil {
				return err
			}
		}
		if live || x.stopping() {
			return nil
		}
		if err := x.catchUp(); err != nil {
			return err
		}
	}
}

func (x *Index) stopping() bool {
	select {
	case <-x.stop:
		return true
	default:
		return false
	}
}

// catchUp fills the batch from the CommitLog and makes the index live when nothing is missing.
func (x *Index) catchUp() error {
	x.mu.Lock()
	next, told := x.next, x.told
	x.mu.Unlock()
	x.tellBehind(told - max(next, x.o.Min()))
	from := max(next, x.o.Min())
	at := from
	if told > from {
		var hashes []int32
		end, err := x.o.Scan(from, func(r *message.Record) bool {
			hashes = AppendRecordHashes(hashes[:0], r)
			at = r.PhysicalOffset + int64(r.Size)
			return x.take(r, hashes, at) && !x.stopping()
		})
		if at = max(at, end); err != nil && at == from {
			return fmt.Errorf("cannot read the commit log from %d on: %w", from, err)
		}
		if at == from && (x.sure || from != next) {
			return fmt.Errorf("the commit log has no record at %d", from)
		}
		if at == from {
			return x.lost(from)
		}
	}
	x.sure = true
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next = at
	x.live = at >= x.told
	return nil
}

// tellEvery is how often an index that is being built from the log says how much is left.
const tellEvery = 5 * time.Second

// tellBehind logs how many bytes of the log the index misses, but the first time, and not often.
func (x *Index) tellBehind(bytes int64) {
	switch {
	case bytes <= 0 || x.toldAt.IsZero():
		x.toldAt = time.Now()
	case time.Since(x.toldAt) >= tellEvery:
		x.toldAt = time.Now()
		x.o.Logger.Info().Int64("bytes", bytes).Msg("the message index is being built from the commit log, so much is left")
	}
}

// take adds a record that was read and reports whether the batch has room for another one.
func (x *Index) take(r *message.Record, hashes []int32, next int64) bool {
	if r.PhysicalOffset == x.skipOffset {
		hashes = hashes[min(x.skipHashes, len(hashes)):]
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.add(r.PhysicalOffset, r.StoreTimestamp, hashes)
	x.next = next
	return x.batch.n < x.writeAt
}

// lost is called when there is no record where the files say that the index goes on: they are of another
// CommitLog.
func (x *Index) lost(from int64) error {
	x.o.Logger.Warn().Int64("offset", from).Msg("the message index goes up to where the commit log has no record, building it anew")
	if err := x.forget(); err != nil {
		return err
	}
	x.sure, x.skipOffset = true, -1
	x.mu.Lock()
	x.next = x.o.Min()
	x.mu.Unlock()
	return nil
}

// forget removes all files, the newest first.
func (x *Index) forget() error {
	x.dirMu.Lock()
	defer x.dirMu.Unlock()
	for {
		x.mu.Lock()
		n := len(x.files) - 1
		if n < 0 {
			x.lastStamp, x.lastOffset, x.durable = 0, 0, 0
			x.mu.Unlock()
			return nil
		}
		f := x.files[n]
		x.mu.Unlock()
		if err := x.o.FS.Remove(f.path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", f.path, err)
		}
		x.leave(f)
	}
}

// writeAll writes what the batch holds at the call.
func (x *Index) writeAll() error {
	if x.broken != nil {
		return x.broken
	}
	x.mu.Lock()
	left := x.batch.n
	x.mu.Unlock()
	for left > 0 {
		f, err := x.writable()
		if err != nil {
			return err
		}
		n := min(left, int(f.entries-f.head.count))
		x.mu.Lock()
		entries := x.batch.first(n)
		x.mu.Unlock()
		head, err := writeBatch(f, entries)
		if err != nil {
			return err
		}
		x.mu.Lock()
		f.head = head
		x.batch.drop(n)
		x.mu.Unlock()
		left -= n
		if f.full() {
			if err := f.sync(); err != nil {
				x.broken = fmt.Errorf("the message index is not built any more until the next start: %w", err)
				return x.broken
			}
			x.setDurable(f)
		}
	}
	return nil
}

// writable returns a file with room for an entry.
func (x *Index) writable() (*file, error) {
	x.mu.Lock()
	files := x.files
	x.mu.Unlock()
	head := header{count: 1}
	if n := len(files); n > 0 {
		last := files[n-1]
		if !last.full() {
			return last, nil
		}
		head.beginTimestamp, head.endTimestamp = last.head.endTimestamp, last.head.endTimestamp
		head.beginPhysical, head.endPhysical = last.head.endPhysical, last.head.endPhysical
	}
	f, err := x.create(head)
	if err != nil {
		return nil, fmt.Errorf("cannot make an index file: %w", err)
	}
	x.mu.Lock()
	x.files = append(append([]*file(nil), x.files...), f)
	x.mu.Unlock()
	return f, nil
}

func (x *Index) create(head header) (*file, error) {
	if err := x.o.FS.MkdirAll(x.o.Dir); err != nil {
		return nil, err
	}
	name, err := x.nextName()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(x.o.Dir, name)
	h, err := x.o.FS.Open(path, true)
	if err != nil {
		return nil, err
	}
	if err = h.Truncate(x.g.size()); err == nil {
		err = x.o.FS.SyncDir(x.o.Dir)
	}
	if err != nil {
		_ = h.Close()
		_ = x.o.FS.Remove(path)
		return nil, err
	}
	return &file{File: h, geometry: x.g, path: path, head: head}, nil
}

// nextName returns the name of a new file: the local time, or more when a clock that went back, or two files
// in a millisecond, would not put it behind all others. Java: UtilAll.timeMillisToHumanString.
func (x *Index) nextName() (string, error) {
	entries, err := x.o.FS.List(x.o.Dir)
	if err != nil {
		return "", err
	}
	name := strings.Replace(x.o.Now().Format("20060102150405.000"), ".", "", 1)
	for _, e := range entries {
		if !isName(e.Name) || e.Name < name {
			continue
		}
		n, err := strconv.ParseInt(e.Name, 10, 64)
		if err != nil || n >= maxName {
			return "", fmt.Errorf("no name sorts behind %s", e.Name)
		}
		name = fmt.Sprintf("%0*d", nameDigits, n+1)
	}
	return name, nil
}

// nameDigits is the length of a file's name, yyyyMMddHHmmssSSS.
const nameDigits = 17

var maxName = int64(math.Pow10(nameDigits)) - 1

func isName(s string) bool {
	return len(s) == nameDigits && strings.Trim(s, "0123456789") == ""
}
