package commitlog

import (
	"bytes"
	"fmt"
	"math"

	"github.com/skylarkmq/skylark/remoting/message"
)

// Scanner walks the records of the log from an offset on, in order, for recovery. It reads large pieces
// and checks everything a record says about itself: magic, lengths, its own offset, the body's checksum,
// and that it has an end.
type Scanner struct {
	l    *Log
	at   int64 // of the next record
	buf  []byte
	base int64 // offset of buf[0]
	why  error

	trusted int64 // checksums from here on are known to be right

	ahead  bool
	coming *piece
	inHand []byte // memory that buf is part of, when it was read ahead
	spare  []byte // memory for the next piece
}

// scanPiece is how much a Scanner reads at once.
const scanPiece = 4 << 20

// Scan returns a Scanner that begins at offset, where a record or a file must begin.
func (l *Log) Scan(offset int64) *Scanner { return &Scanner{l: l, at: offset, trusted: math.MaxInt64} }

// Trust has the checksums of bodies from offset on not looked at again.
func (s *Scanner) Trust(offset int64) { s.trusted = offset }

// At returns the offset behind the last valid record: the end of the log once Next has returned false.
func (s *Scanner) At() int64 { return s.at }

// Skip goes on at offset, where a record begins.
func (s *Scanner) Skip(offset int64) { s.at, s.why = offset, nil }

// Err returns what was found where Next stopped, nil when it was the end of the last file or zeros.
func (s *Scanner) Err() error { return s.why }

// Next returns the next valid record with its bytes, valid until the next call, or false.
func (s *Scanner) Next() (message.Record, []byte, bool) {
	for {
		left := s.l.Left(s.at)
		if left < message.BlankSize {
			s.why = fmt.Errorf("no record can be at %d, the file has %d bytes left", s.at, left)
			return message.Record{}, nil, false
		}
		head, err := s.peek(message.BlankSize)
		if err != nil || head == nil {
			s.why = err
			return message.Record{}, nil, false
		}
		size, magic := int64(message.Size(head)), message.Magic(head)
		switch {
		case magic == message.MagicBlank && size == left:
			s.at += left
			continue
		case size == 0 && magic == 0:
			return message.Record{}, nil, false
		case magic != message.MagicV1 && magic != message.MagicV2:
			s.why = fmt.Errorf("magic 0x%08x at %d", magic, s.at)
			return message.Record{}, nil, false
		case size < message.MinRecord || size+message.BlankSize > left:
			s.why = fmt.Errorf("record of %d bytes at %d, the file has %d left", size, s.at, left)
			return message.Record{}, nil, false
		}
		b, err := s.peek(size)
		if err != nil {
			s.why = err
			return message.Record{}, nil, false
		}
		r, err := s.parse(b)
		if err == nil && r.PhysicalOffset != s.at {
			err = fmt.Errorf("record at %d says it is at %d", s.at, r.PhysicalOffset)
		}
		if err == nil && r.Torn() {
			if s.goesOn(s.at + size) {
				b, err = s.peek(size) // looking further may have moved the buffer
			} else {
				err = fmt.Errorf("the record at %d was not written to its end", s.at)
			}
			if err == nil {
				r, err = s.parse(b)
			}
		}
		if err != nil {
			s.why = err
			return r, nil, false
		}
		s.at += size
		return r, b, true
	}
}

func (s *Scanner) parse(b []byte) (message.Record, error) {
	check := s.at < s.trusted
	r, err := message.Parse(b, check)
	if err == nil && check && s.l.o.VerifyPropertyCRC {
		if stored, computed, ok := message.PropertyCRC(b, r.Properties); ok && stored != computed {
			err = fmt.Errorf("%w: record checksum 0x%08x, stored 0x%08x", message.ErrRecord, computed, stored)
		}
	}
	return r, err
}

// goesOn reports whether the log goes on at offset: then what stands in front of it was written to its end.
func (s *Scanner) goesOn(offset int64) bool {
	at := s.at
	defer func() { s.at = at }()
	s.at = offset
	left := s.l.Left(offset)
	b, err := s.peek(min(left, message.MinRecord))
	return err == nil && message.GoesOn(b, offset, left)
}

// peek returns n bytes at s.at, nil behind the last file.
func (s *Scanner) peek(n int64) ([]byte, error) {
	from := s.at - s.base
	if s.buf == nil || from < 0 || from+n > int64(len(s.buf)) {
		if s.ahead && s.advance(n) {
			return s.buf[:n], nil
		}
		f := s.l.files.Find(s.at)
		if f == nil {
			return nil, nil
		}
		size := int64(scanPiece)
		if s.ahead {
			size = aheadPiece
		}
		want := min(max(size, n), f.Base+s.l.o.FileSize-s.at)
		switch {
		case s.ahead && want <= aheadPiece:
			if s.inHand == nil {
				s.inHand = newPiece()
			}
			s.buf = s.inHand[headroom : headroom+want]
		case int64(cap(s.buf)) < want || s.ahead: // memory read ahead is given on
			freePiece(s.inHand)
			s.buf, s.inHand = make([]byte, want), nil
		default:
			s.buf = s.buf[:want]
		}
		s.base, from = s.at, 0
		if err := s.l.files.ReadAt(s.buf, s.at); err != nil {
			s.buf = nil
			return nil, fmt.Errorf("cannot scan the commit log: %w", err)
		}
		if s.ahead {
			s.fetch()
		}
	}
	return s.buf[from : from+n], nil
}

// searchPiece is how much ValidBehind looks through at once.
const searchPiece = 64 << 10

// magicHead is what both magics of a record begin with.
var magicHead = []byte{0xDA, 0xA3, 0x20}

// ValidBehind looks for the first whole record behind offset. It tells a torn end, which nothing follows,
// from damage in the middle of the log.
func (l *Log) ValidBehind(offset int64) (message.Record, bool) {
	s := l.Scan(offset + 1)
	for _, f := range l.files.All() {
		s.at = max(s.at, f.Base)
		if r, ok := s.find(f.Base + l.o.FileSize); ok {
			return r, true
		}
	}
	return message.Record{}, false
}

// find moves to the first whole record in front of offset to, the end of a file or less, and returns it.
func (s *Scanner) find(to int64) (message.Record, bool) {
	for s.at+message.MinRecord <= to {
		b, err := s.peek(min(searchPiece, to-s.at))
		if err != nil || b == nil {
			break
		}
		i := bytes.Index(b[4:], magicHead)
		if i < 0 {
			s.at += int64(len(b)) - 6 // a magic may lie across the pieces
			continue
		}
		s.at += int64(i)
		if r, ok := s.here(); ok {
			return r, true
		}
		s.at++
	}
	return message.Record{}, false
}

// here returns the whole record at s.at, without moving. It belongs to the caller.
func (s *Scanner) here() (message.Record, bool) {
	at := s.at
	r, b, ok := s.Next()
	s.at, s.why = at, nil
	if ok && r.PhysicalOffset == at {
		r, err := message.Parse(bytes.Clone(b), false)
		return r, err == nil
	}
	return r, false
}

// SetEnd makes offset the end of the log. Files that begin at or behind it are removed. With clear, what
// follows it in its file is zeroed and made durable, so that records behind a cut can never come back. A file
// of a read-only folder is closed; then the end is that of the file.
func (l *Log) SetEnd(offset int64, clear bool) error {
	f := l.files.Find(offset)
	if f == nil || f.Base == offset {
		if err := l.files.RemoveFrom(offset); err != nil {
			return err
		}
		l.end.Store(offset)
		return nil
	}
	if err := l.files.RemoveFrom(f.Base + l.o.FileSize); err != nil {
		return err
	}
	if clear {
		if err := f.Zero(offset-f.Base, f.Base+l.o.FileSize-offset); err != nil {
			return fmt.Errorf("cannot clear the commit log behind %d: %w", offset, err)
		}
		if err := f.Datasync(); err != nil {
			return fmt.Errorf("cannot clear the commit log behind %d: %w", offset, err)
		}
	}
	l.end.Store(offset)
	if err := l.closeReadOnly(); err != nil {
		return err
	}
	if l.End()-f.Base >= l.o.FileSize/2 {
		l.prepare()
	}
	return nil
}
