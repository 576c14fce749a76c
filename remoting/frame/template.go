package frame

import (
	"encoding/binary"
	"math/bits"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// Decoder decodes the frames of one connection, one after another. It gives what Decode gives, faster:
// the JSON headers of a peer are the same text but for a few values, so it compares a header with one that
// was parsed before, the template, and parses only the values that differ. What is no such header is parsed
// as a whole. The zero value is ready for use.
type Decoder struct {
	t       *template
	misses  int    // headers unlike the template since the last that was like it
	learnt  int    // templates made
	scratch []byte // unescaped values of the last command
}

// A header becomes the template when so many in a row were unlike the one before. A connection with a
// different header each time is left alone after maxTemplates.
const (
	missesToLearn = 4
	maxTemplates  = 64
	maxTemplate   = 2 << 10 // bytes of header
	maxValues     = 48
)

// template is a header that was parsed, and where its values stand in it.
type template struct {
	text   []byte // to the end of the object
	values []slot
	cmd    protocol.Command // what it means; nothing of it aliases a frame
	base   protocol.Template
}

// slot is a value of the template whose text may differ in other headers.
type slot struct {
	start, end int // in text, without quotes; what follows is literal
	kind       uint8
	ext        int // index of the ext field
}

// Kinds of values.
const (
	extString = iota
	extBare   // number or boolean
	code
	flag
	opaque
	version
)

// Decode is the function Decode for the next frame of the connection. The command's strings are valid
// until the next call, or for as long as the frame's bytes are, whichever is shorter.
func (d *Decoder) Decode(b []byte, c *protocol.Command) error {
	if len(b) < PrefixLength || b[4] != TypeJSON {
		return Decode(b, c)
	}
	end := PrefixLength + headerLength(b)
	if n, err := Length(b); err != nil || n != len(b) {
		return Decode(b, c) // for its error
	}
	header := b[PrefixLength:end:end]
	if d.t != nil && d.match(header, c) {
		d.misses = 0
		if c.Body = nil; end < len(b) {
			c.Body = b[end:]
		}
		return nil
	}
	if d.misses++; d.misses < missesToLearn || d.learnt >= maxTemplates || len(header) > maxTemplate {
		return Decode(b, c)
	}
	return d.learn(b, c)
}

// learn decodes b and keeps it as the template when it can be one.
func (d *Decoder) learn(b []byte, c *protocol.Command) error {
	d.misses = 0
	d.learnt++
	t := &template{text: append([]byte(nil), b[PrefixLength:PrefixLength+headerLength(b)]...)}
	if err := Decode(b, c); err != nil {
		return err
	}
	if len(c.Ext) == 0 || len(c.Ext) > maxValues || c.Remark != "" || twice(c.Ext) {
		return nil
	}
	bare := *c
	bare.Body = nil
	t.cmd = *bare.Clone()
	t.base.Ext = t.cmd.Ext
	t.cmd.Template = &t.base
	if t.findValues() {
		d.t = t
	}
	return nil
}

// twice reports whether a key stands there twice: then it matters which one differs.
func twice(ext protocol.Ext) bool {
	for i := range ext {
		for j := range i {
			if ext[i].Key == ext[j].Key {
				return true
			}
		}
	}
	return false
}

// findValues goes through the text again, which has been parsed, and notes where the values stand. It
// reports false when the header has a form that is too rare to be worth a template.
func (t *template) findValues() bool {
	s := scanner{b: append([]byte(nil), t.text...)} // strings are unescaped in place
	if !s.take('{') {
		return false
	}
	for {
		key, err := s.key()
		if err != nil {
			return false
		}
		kind := -1
		switch key {
		case "extFields":
			if !t.findExt(&s) {
				return false
			}
		case "code":
			kind = code
		case "flag":
			kind = flag
		case "opaque":
			kind = opaque
		case "version":
			kind = version
		}
		if key != "extFields" {
			s.space()
			start := s.i
			if _, _, err := s.value(0); err != nil {
				return false
			}
			if kind >= 0 {
				if t.text[start] == '"' {
					return false
				}
				t.values = append(t.values, slot{start: start, end: s.i, kind: uint8(kind)})
			}
		}
		if s.take('}') {
			t.text = t.text[:s.i]
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (t *template) findExt(s *scanner) bool {
	if !s.take('{') {
		return false
	}
	for n := 0; ; n++ {
		if _, err := s.key(); err != nil {
			return false
		}
		s.space()
		v := slot{start: s.i, ext: n, kind: extBare}
		_, null, err := s.value(0)
		if v.end = s.i; err != nil || null || t.text[v.start] == '{' || t.text[v.start] == '[' {
			return false
		}
		if t.text[v.start] == '"' {
			v.kind, v.start, v.end = extString, v.start+1, v.end-1
		}
		t.values = append(t.values, v)
		if s.take('}') {
			return n+1 == len(t.cmd.Ext)
		}
		if !s.take(',') {
			return false
		}
	}
}

// match fills c from a header that is like the template and reports false for any other. h stays as it is.
func (d *Decoder) match(h []byte, c *protocol.Command) bool {
	t := d.t
	ext := append(c.Ext[:0], t.cmd.Ext...)
	*c = t.cmd
	c.Ext = ext
	d.scratch = d.scratch[:0]
	at, like, next := 0, 0, 0 // in h; in the template's text; of its values
	for {
		n := like + common(h[at:], t.text[like:])
		// A value is the same when the byte behind it is, too.
		for next < len(t.values) && t.values[next].end < n {
			next++
		}
		if next == len(t.values) {
			return n == len(t.text)
		}
		v := &t.values[next]
		if v.start > n {
			return false
		}
		end := d.read(h, at+v.start-like, v, c)
		if end < 0 {
			return false
		}
		at, like = end, v.end
		next++
	}
}

// read reads the value v that begins at h[i] and returns where it ends, -1 when it is none.
func (d *Decoder) read(h []byte, i int, v *slot, c *protocol.Command) int {
	switch v.kind {
	case extString:
		end := special(h, i)
		if end >= len(h) {
			return -1
		}
		text := alias(h[i:end])
		if h[end] != '"' {
			if text, end = d.unescaped(h, i, end); end < 0 {
				return -1
			}
		}
		c.Ext[v.ext].Value = text
		c.Changed |= 1 << v.ext
		return end
	case extBare:
		s := scanner{b: h, i: i}
		if i < len(h) && (h[i] == '"' || h[i] == '{' || h[i] == '[') {
			return -1
		}
		text, null, err := s.value(0)
		if err != nil || null {
			return -1
		}
		c.Ext[v.ext].Value = text
		c.Changed |= 1 << v.ext
		return s.i
	}
	s := scanner{b: h, i: i}
	if i >= len(h) || h[i] != '-' && (h[i] < '0' || h[i] > '9') {
		return -1
	}
	dst := [...]*int32{code: &c.Code, flag: &c.Flag, opaque: &c.Opaque, version: &c.Version}[v.kind]
	if s.int32(dst) != nil {
		return -1
	}
	return s.i
}

// unescaped reads a string that begins at h[i] and has its first escape at h[at]. Unlike scanner.str it
// leaves h alone, for the header may turn out not to be like the template.
func (d *Decoder) unescaped(h []byte, i, at int) (string, int) {
	if room := len(h) - i; cap(d.scratch)-len(d.scratch) < room {
		d.scratch = make([]byte, 0, max(2*room, 512))
	}
	from := len(d.scratch)
	w := append(d.scratch, h[i:at]...)
	for at < len(h) && h[at] != '"' {
		n, used, err := unescape(w[len(w):], h[at:])
		if err != nil {
			return "", -1
		}
		w = w[:len(w)+n]
		at += used
		end := special(h, at)
		w = append(w, h[at:end]...)
		at = end
	}
	if at >= len(h) {
		return "", -1
	}
	d.scratch = w
	return alias(w[from:]), at
}

// common returns how many bytes a and b begin with in common.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
