package commitlog

import "sync"

// A Scanner that reads ahead has a piece of the log in hand and reads the one behind it meanwhile.

const (
	// aheadPiece is how much it reads at once: little enough to stay in a core's cache.
	aheadPiece = 512 << 10
	// headroom is the room in front of a piece for the beginning of a record that lies across two.
	headroom = 64 << 10
)

// piece is a part of the log on its way into memory.
type piece struct {
	mem  []byte // headroom, then the piece
	at   int64
	n    int64
	err  error
	done chan struct{}
}

// pieces is memory for pieces: recovery looks at many parts of the log one behind the other.
var pieces = sync.Pool{New: func() any {
	b := make([]byte, headroom+aheadPiece)
	return &b
}}

func newPiece() []byte { return *pieces.Get().(*[]byte) }

func freePiece(b []byte) {
	if b != nil {
		pieces.Put(&b)
	}
}

// ScanAhead is Scan for a long walk. Close must be called.
func (l *Log) ScanAhead(offset int64) *Scanner {
	s := l.Scan(offset)
	s.ahead = true
	return s
}

// Close waits for what is being read. What Next has returned is no longer valid then.
func (s *Scanner) Close() {
	if s.coming != nil {
		<-s.coming.done
		freePiece(s.coming.mem)
		s.coming = nil
	}
	freePiece(s.spare)
	freePiece(s.inHand)
	s.spare, s.inHand, s.buf = nil, nil, nil
}

// fetch begins to read what follows the piece in hand.
func (s *Scanner) fetch() {
	at := s.base + int64(len(s.buf))
	f := s.l.files.Find(at)
	if f == nil {
		return
	}
	p := &piece{mem: s.spare, at: at, n: min(aheadPiece, f.Base+s.l.o.FileSize-at), done: make(chan struct{})}
	s.spare = nil
	if p.mem == nil {
		p.mem = newPiece()
	}
	s.coming = p
	go func() {
		p.err = s.l.files.ReadAt(p.mem[headroom:headroom+p.n], p.at)
		close(p.done)
	}()
}

// advance makes the piece that was read ahead the one in hand and reports whether n bytes at s.at stand in
// it then.
func (s *Scanner) advance(n int64) bool {
	p := s.coming
	if p == nil {
		return false
	}
	<-p.done
	s.coming = nil
	left := p.at - s.at
	if p.err != nil || left < 0 || left > headroom || left > 0 && s.at < s.base || left+p.n < n {
		s.spare = p.mem // the next read tells the error
		return false
	}
	copy(p.mem[headroom-left:headroom], s.buf[int64(len(s.buf))-left:])
	s.spare, s.inHand = s.inHand, p.mem
	s.buf, s.base = p.mem[headroom-left:headroom+p.n], s.at
	s.fetch()
	return true
}
