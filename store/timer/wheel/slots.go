package wheel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/skylarkmq/skylark/store/fsys"
)

const (
	pageSize  = 4096
	pageSlots = pageSize / slotSize
)

// page is a piece of the wheel. Only pages with slots in use are in memory.
type page struct {
	b     [pageSize]byte
	used  int // slots that are not empty
	dirty bool
}

// slots is the wheel: tick t stands at index t mod total. A page that is not in memory holds nothing but
// slots of the past, whatever its bytes in the file are. It is not safe for concurrent use.
type slots struct {
	fs    fsys.FS
	path  string
	total int64
	pages []*page // nil before the first slot is put
	dirty []int
	file  fsys.File
	num   int64 // sum of the numbers of all slots
}

func (s *slots) length() int64 { return s.total * slotSize }

// load reads the slots from tick on. bad says why the file cannot be used; check judges each of them.
func (s *slots) load(from int64, check func(slot) bool) (bad string, err error) {
	f, err := s.fs.Open(s.path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return missing, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	if n, err := f.Size(); err != nil || n != s.length() {
		return fmt.Sprintf("it has %d bytes instead of %d", n, s.length()), err
	}
	var empty [pageSize]byte
	buf := make([]byte, 256*pageSize)
	for at := int64(0); at < s.length(); at += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), s.length()-at)]
		if _, err := f.ReadAt(buf, at); err != nil {
			return "", fmt.Errorf("cannot read %s: %w", s.path, err)
		}
		for i := 0; i < len(buf); i += pageSize {
			b := buf[i:min(i+pageSize, len(buf))]
			if bytes.Equal(b, empty[:len(b)]) {
				continue
			}
			if bad = s.take(b, (at+int64(i))/slotSize, from, check); bad != "" {
				return bad, nil
			}
		}
	}
	for _, n := range s.dirty {
		s.pages[n].dirty = false
	}
	s.dirty = s.dirty[:0]
	return "", nil
}

// take enters those slots of a page that are not delivered; the page begins with that of index.
func (s *slots) take(b []byte, index, from int64, check func(slot) bool) (bad string) {
	for ; len(b) > 0; b, index = b[slotSize:], index+1 {
		x := getSlot(b)
		switch {
		case x.tick == 0:
		case x.tick < 0 || x.tick%s.total != index:
			return fmt.Sprintf("slot %d holds tick %d", index, x.tick)
		case x.tick < from: // delivered
		case x.tick-from >= s.total || !check(x):
			return fmt.Sprintf("tick %d points from %d to %d", x.tick, x.first, x.last)
		default:
			s.put(x)
		}
	}
	return ""
}

// reset forgets all slots; for a file that is not there any more.
func (s *slots) reset() {
	s.pages, s.dirty, s.num = nil, nil, 0
}

func (s *slots) page(tick int64) (n int, at int64) {
	index := tick % s.total
	return int(index / pageSlots), index % pageSlots * slotSize
}

// get returns the slot of a tick; ok is false when it is empty.
func (s *slots) get(tick int64) (x slot, ok bool) {
	if s.pages == nil || tick < 0 {
		return x, false
	}
	n, at := s.page(tick)
	p := s.pages[n]
	if p == nil {
		return x, false
	}
	x = getSlot(p.b[at:])
	return x, x.tick == tick && tick != 0
}

func (s *slots) put(x slot) {
	if s.pages == nil {
		s.pages = make([]*page, (s.total+pageSlots-1)/pageSlots)
	}
	n, at := s.page(x.tick)
	p := s.pages[n]
	if p == nil {
		p = &page{}
		s.pages[n] = p
	}
	old := getSlot(p.b[at:])
	if old.tick == 0 {
		p.used++
	}
	s.num += int64(x.num - old.num)
	putSlot(p.b[at:], x)
	s.mark(n, p)
}

// add enters a unit that stands at pos.
func (s *slots) add(tick, pos int64, u *Unit) {
	x, ok := s.get(tick)
	switch {
	case !ok:
		x = slot{tick: tick, first: pos}
	case x.last >= pos:
		return // it is there already
	}
	x.last = pos
	x.num += u.count()
	s.put(x)
}

func (s *slots) clear(tick int64) {
	x, ok := s.get(tick)
	if !ok {
		return
	}
	n, at := s.page(tick)
	p := s.pages[n]
	clear(p.b[at : at+slotSize])
	p.used--
	s.num -= int64(x.num)
	s.mark(n, p)
}

func (s *slots) mark(n int, p *page) {
	if !p.dirty {
		p.dirty = true
		s.dirty = append(s.dirty, n)
	}
}

// each calls fn with all slots in use until it returns false.
func (s *slots) each(fn func(slot) bool) {
	for _, p := range s.pages {
		if p == nil {
			continue
		}
		for at := 0; at < pageSize; at += slotSize {
			if x := getSlot(p.b[at:]); x.tick != 0 && !fn(x) {
				return
			}
		}
	}
}

// open makes the file, if need be, without taking space.
func (s *slots) open() (made bool, err error) {
	if s.file != nil {
		return false, nil
	}
	f, err := s.fs.Open(s.path, true)
	if err != nil {
		return false, err
	}
	n, err := f.Size()
	if err == nil && n != s.length() {
		made = true
		err = f.Truncate(s.length())
	}
	if err != nil {
		_ = f.Close()
		return false, err
	}
	s.file = f
	return made, nil
}

// write writes the pages that changed, runs of them at once. It returns whether the file was made.
func (s *slots) write() (made bool, err error) {
	if made, err = s.open(); err != nil {
		return made, fmt.Errorf("cannot open the timer wheel: %w", err)
	}
	slices.Sort(s.dirty)
	for i := 0; i < len(s.dirty); {
		var run [][]byte
		first := s.dirty[i]
		left := s.length() - int64(first)*pageSize
		for ; i < len(s.dirty) && s.dirty[i] == first+len(run) && len(run) < 256; i++ {
			b := s.pages[s.dirty[i]].b[:]
			b = b[:min(int64(len(b)), left)]
			left -= int64(len(b))
			run = append(run, b)
		}
		if err := s.file.WriteVec(run, int64(first)*pageSize); err != nil {
			return made, fmt.Errorf("cannot write the timer wheel: %w", err)
		}
	}
	return made, nil
}

// written says that the pages that changed are written; those that are empty are given back.
func (s *slots) written() {
	for _, n := range s.dirty {
		s.pages[n].dirty = false
		if s.pages[n].used == 0 {
			s.pages[n] = nil
		}
	}
	s.dirty = s.dirty[:0]
}

func (s *slots) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}
