package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/skylarkmq/skylark/store/fsys"
)

// checkpointSize is the length of the checkpoint file. Java: MappedFile.OS_PAGE_SIZE.
const checkpointSize = 4096

// checkpoint is Java's StoreCheckpoint (spec/store.md 1.7): six longs at the head of the file.
type checkpoint struct {
	physicMsgTimestamp   int64 // ms, store time of the newest durable record
	logicsMsgTimestamp   int64 // ms, store time up to which ConsumeQueues are durable
	indexMsgTimestamp    int64
	masterFlushedOffset  int64
	confirmPhyOffset     int64
	logicsPhysicalOffset int64 // of the newest record whose unit is durable
}

func checkpointPath(root string) string { return filepath.Join(root, "checkpoint") }

func readCheckpoint(fs fsys.FS, root string) (checkpoint, error) {
	var b [48]byte
	f, err := fs.Open(checkpointPath(root), false)
	if errors.Is(err, os.ErrNotExist) {
		return checkpoint{}, nil // the first start, or one that recovers without it
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("cannot open the checkpoint: %w", err)
	}
	defer f.Close()
	if _, err := f.ReadAt(b[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return checkpoint{}, fmt.Errorf("cannot read the checkpoint: %w", err)
	}
	long := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	return checkpoint{long(0), long(1), long(2), long(3), long(4), long(5)}, nil
}

// plausible reports whether the times can be a checkpoint's: nothing else vouches for the bytes.
func (c checkpoint) plausible(latest int64) bool {
	for _, t := range []int64{c.physicMsgTimestamp, c.logicsMsgTimestamp, c.indexMsgTimestamp} {
		if t < 0 || t > latest {
			return false
		}
	}
	return true
}

// write replaces the six longs. They lie in one sector, which disks write whole.
func (c checkpoint) write(f fsys.File) error {
	var b []byte
	for _, v := range []int64{c.physicMsgTimestamp, c.logicsMsgTimestamp, c.indexMsgTimestamp, c.masterFlushedOffset, c.confirmPhyOffset, c.logicsPhysicalOffset} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("cannot write the checkpoint: %w", err)
	}
	return nil
}

// The watermark is Skylark's own: how far the CommitLog was durable when it was written. A record that
// does not check out below it is damage, above it the end that a crash tore. Two slots are written in
// turn, each with a checksum, so that one always holds.
const (
	watermarkSlot = 4096
	watermarkSize = 8 + 8 + 4 // offset, sequence, CRC-32
)

func watermarkPath(root string) string { return filepath.Join(root, "skylark", "watermark") }

type watermark struct {
	offset, sequence int64
}

func readWatermark(fs fsys.FS, root string) (watermark, error) {
	var best watermark
	f, err := fs.Open(watermarkPath(root), false)
	if errors.Is(err, os.ErrNotExist) {
		return best, nil
	}
	if err != nil {
		return best, fmt.Errorf("cannot open the watermark: %w", err)
	}
	defer f.Close()
	for slot := range int64(2) {
		var b [watermarkSize]byte
		if _, err := f.ReadAt(b[:], slot*watermarkSlot); err != nil {
			continue
		}
		w := watermark{int64(binary.BigEndian.Uint64(b[:])), int64(binary.BigEndian.Uint64(b[8:]))}
		if crc32.ChecksumIEEE(b[:16]) == binary.BigEndian.Uint32(b[16:]) && w.sequence > best.sequence {
			best = w
		}
	}
	return best, nil
}

// write puts the next watermark; it is made durable by a later sync, which is soon enough: an older one
// only makes recovery more lenient.
func (w *watermark) write(f fsys.File, offset int64) error {
	w.offset = offset
	w.sequence++
	b := binary.BigEndian.AppendUint64(nil, uint64(w.offset))
	b = binary.BigEndian.AppendUint64(b, uint64(w.sequence))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if _, err := f.WriteAt(b, w.sequence%2*watermarkSlot); err != nil {
		return fmt.Errorf("cannot write the watermark: %w", err)
	}
	return nil
}
