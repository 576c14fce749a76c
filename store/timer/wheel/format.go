package wheel

import (
	"encoding/binary"
	"time"
)

// UnitSize is the size of a unit of the timer log. Java: TimerLog.UNIT_SIZE.
const UnitSize = 52

// Bits of a unit's magic. Java: TimerMessageStore.MAGIC_DEFAULT, MAGIC_ROLL, MAGIC_DELETE.
const (
	MagicDefault int32 = 1
	MagicRoll    int32 = 1 << 1
	MagicDelete  int32 = 1 << 2

	magicMask  int32  = 0xF        // Java: TimerMessageStore.isMagicOK
	magicBlank uint32 = 0xCBD43194 // Java: TimerLog.BLANK_MAGIC_CODE
	blankSize         = 4 + 8 + 4  // Java: TimerLog.MIN_BLANK_LEN
)

// Unit is one entry of the timer log: a message of the timer topic that waits for a slot.
type Unit struct {
	Prev           int64 // position of the unit before it in the same slot, -1: none
	Magic          int32
	WriteTime      int64 // ms, of the tick in which it was entered
	Delay          int32 // ms, from WriteTime to the slot
	PhysicalOffset int64 // of the message in the CommitLog
	Size           int32 // of its record
	TopicHash      int32 // Java hash of the real topic
}

// Time is the slot that the unit stands in, ms.
func (u *Unit) Time() int64 { return u.WriteTime + int64(u.Delay) }

// Rolls reports whether the message goes back to the timer topic when the slot is due.
func (u *Unit) Rolls() bool { return u.Magic&MagicRoll != 0 }

// Deletes reports whether the unit only names another message that must not be delivered.
func (u *Unit) Deletes() bool { return u.Magic&MagicDelete != 0 && !u.Rolls() }

// count is what the unit adds to the number of its slot, as Java counts.
func (u *Unit) count() int32 {
	if u.Magic&MagicDelete != 0 {
		return -1
	}
	return 1
}

func appendUnit(dst []byte, u *Unit) []byte {
	dst = binary.BigEndian.AppendUint32(dst, UnitSize)
	dst = binary.BigEndian.AppendUint64(dst, uint64(u.Prev))
	dst = binary.BigEndian.AppendUint32(dst, uint32(u.Magic))
	dst = binary.BigEndian.AppendUint64(dst, uint64(u.WriteTime))
	dst = binary.BigEndian.AppendUint32(dst, uint32(u.Delay))
	dst = binary.BigEndian.AppendUint64(dst, uint64(u.PhysicalOffset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(u.Size))
	dst = binary.BigEndian.AppendUint32(dst, uint32(u.TopicHash))
	return binary.BigEndian.AppendUint64(dst, 0) // reserved
}

// parseUnit reads the unit that b, UnitSize bytes, holds; ok is false when it is none.
func parseUnit(b []byte) (u Unit, ok bool) {
	u = Unit{
		Prev:           int64(binary.BigEndian.Uint64(b[4:])),
		Magic:          int32(binary.BigEndian.Uint32(b[12:])),
		WriteTime:      int64(binary.BigEndian.Uint64(b[16:])),
		Delay:          int32(binary.BigEndian.Uint32(b[24:])),
		PhysicalOffset: int64(binary.BigEndian.Uint64(b[28:])),
		Size:           int32(binary.BigEndian.Uint32(b[36:])),
		TopicHash:      int32(binary.BigEndian.Uint32(b[40:])),
	}
	ok = binary.BigEndian.Uint32(b) == UnitSize && u.Magic&^magicMask == 0 && u.Magic&MagicDefault != 0 &&
		u.Prev >= -1 && u.WriteTime >= 0 && u.Delay >= 0 && u.PhysicalOffset >= 0 && u.Size > 0
	return u, ok
}

func appendBlank(dst []byte, left int64) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(left))
	dst = binary.BigEndian.AppendUint64(dst, 0)
	return binary.BigEndian.AppendUint32(dst, magicBlank)
}

// slotSize is the size of a slot. Java: Slot.SIZE.
const slotSize = 32

// slot is one tick of the wheel. Its time in the file is in ticks.
type slot struct {
	tick        int64
	first, last int64 // positions in the timer log, -1: none
	num, magic  int32
}

func getSlot(b []byte) slot {
	return slot{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:])), int64(binary.BigEndian.Uint64(b[16:])),
		int32(binary.BigEndian.Uint32(b[24:])), int32(binary.BigEndian.Uint32(b[28:]))}
}

func putSlot(b []byte, s slot) {
	binary.BigEndian.PutUint64(b, uint64(s.tick))
	binary.BigEndian.PutUint64(b[8:], uint64(s.first))
	binary.BigEndian.PutUint64(b[16:], uint64(s.last))
	binary.BigEndian.PutUint32(b[24:], uint32(s.num))
	binary.BigEndian.PutUint32(b[28:], uint32(s.magic))
}

// CheckpointSize is how many bytes of the checkpoint file mean something. Java: TimerCheckpoint.encode.
const CheckpointSize = 56

// checkpointFile is the length of the file. Java maps DefaultMappedFile.OS_PAGE_SIZE of it.
const checkpointFile = 4096

// Checkpoint says how far the timer has come. Java: TimerCheckpoint.
type Checkpoint struct {
	ReadTime int64 // ms, the first slot that is not delivered
	LogPos   int64 // the timer log is durable up to there
	// QueueOffset is the first message of the timer topic that is not in the wheel yet; MasterOffset is the
	// same on a master.
	QueueOffset, MasterOffset int64
	StateVersion              int64
	Timestamp                 int64 // ms, of the last change
	Counter                   int64 // of changes
}

// Append appends the checkpoint as the file and the reply to GET_TIMER_CHECK_POINT have it.
func (c Checkpoint) Append(dst []byte) []byte {
	for _, v := range []int64{c.ReadTime, c.LogPos, c.QueueOffset, c.MasterOffset, c.StateVersion, c.Timestamp, c.Counter} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

// parseCheckpoint reads a checkpoint; files before 5.0 end behind MasterOffset.
func parseCheckpoint(b []byte) (c Checkpoint, ok bool) {
	if len(b) < 32 {
		return c, false
	}
	full := make([]byte, CheckpointSize)
	copy(full, b)
	for i, p := range []*int64{&c.ReadTime, &c.LogPos, &c.QueueOffset, &c.MasterOffset, &c.StateVersion, &c.Timestamp, &c.Counter} {
		*p = int64(binary.BigEndian.Uint64(full[8*i:]))
	}
	return c, c.ReadTime >= 0 && c.LogPos >= rebuilding && c.QueueOffset >= 0
}

// next counts a change.
func (c *Checkpoint) next(now time.Time) {
	c.StateVersion, c.Timestamp = 0, now.UnixMilli()
	c.Counter++
}

// rebuilding as LogPos says that wheel and log are being built anew and cannot be used. Java takes it for 0.
const rebuilding = -1
