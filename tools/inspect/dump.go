package inspect

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/store/consumequeue"
	"github.com/skylarkmq/skylark/store/fsys"
)

// printer writes values as lines, or as JSON lines.
type printer struct {
	w    *bufio.Writer
	json bool
}

func newPrinter(w io.Writer, json bool) *printer {
	return &printer{bufio.NewWriterSize(w, 64<<10), json}
}

func (p *printer) line(v fmt.Stringer) error {
	if !p.json {
		_, err := p.w.WriteString(v.String() + "\n")
		return err
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = p.w.Write(append(b, '\n'))
	}
	return err
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// visible shows the separators of a property string; what else cannot be printed is escaped.
func visible(properties string) string {
	return fmt.Sprintf("%q", strings.NewReplacer("\x01", "␁", "\x02", "␂").Replace(properties))
}

// RecordLine is a record of the log as DumpLog prints it.
type RecordLine struct {
	Offset         int64  `json:"offset"` // physical
	Size           int    `json:"size"`
	Topic          string `json:"topic"`
	QueueID        int32  `json:"queueId"`
	QueueOffset    int64  `json:"queueOffset"`
	StoreTimestamp int64  `json:"storeTimestamp"` // ms
	BornTimestamp  int64  `json:"bornTimestamp"`  // ms
	BornHost       string `json:"bornHost"`
	SysFlag        int32  `json:"sysFlag"`
	Keys           string `json:"keys"`
	Tags           string `json:"tags"`
	Properties     string `json:"properties"`
	BodySize       int    `json:"bodySize"`
	Body           []byte `json:"body,omitempty"` // base64 in JSON
	Damage         string `json:"damage,omitempty"`
}

// String returns the line for people.
func (l RecordLine) String() string {
	if l.Damage != "" {
		return fmt.Sprintf("%d %d DAMAGED %s", l.Offset, l.Size, l.Damage)
	}
	s := fmt.Sprintf("%d %d %s-%d@%d %s sysFlag=0x%x keys=%q tags=%q properties=%s", l.Offset, l.Size, printable(l.Topic), l.QueueID, l.QueueOffset,
		stamp(l.StoreTimestamp), l.SysFlag, l.Keys, l.Tags, visible(l.Properties))
	if l.Body != nil {
		s += fmt.Sprintf(" body=%q", l.Body)
	}
	return s
}

// printable keeps what a file claims to be a topic from driving the terminal.
func printable(s string) string {
	if q := fmt.Sprintf("%q", s); q != `"`+s+`"` {
		return q
	}
	return s
}

// LogQuery says which records DumpLog prints.
type LogQuery struct {
	From  int64  // physical offset; the first record at or behind it is the first
	Count int64  // at most; 0: all
	Topic string // only its records; empty: all
	Body  bool   // with the bodies
	JSON  bool
}

// DumpLog prints the records of the log in order, and the damage between them.
func DumpLog(ctx context.Context, o Options, q LogQuery, out io.Writer) error {
	v, err := open(o)
	if err != nil {
		return err
	}
	defer v.close()
	p := newPrinter(out, q.JSON)
	w := v.walk(q.From)
	w.align()
	for n := int64(0); q.Count <= 0 || n < q.Count; {
		e, ok := w.next()
		if !ok {
			err = w.err
			break
		}
		if err = ctx.Err(); err != nil {
			break
		}
		if e.kind == anyRecord && q.Topic != "" && e.rec.Topic != q.Topic {
			continue
		}
		if err = p.line(recordLine(&e, q.Body)); err != nil {
			break
		}
		n++
	}
	return errors.Join(err, p.w.Flush())
}

// align moves a walker that stands inside a record to the next one.
func (w *walker) align() {
	if w.i >= w.v.live {
		return
	}
	f := w.v.log[w.i]
	end := f.base + w.v.logLen
	if c, _, _ := w.look(w.at, end); c != broken || w.err != nil {
		return
	}
	if next, ok := w.search(f, w.at, end); ok {
		w.at = next
	}
}

func recordLine(e *event, body bool) RecordLine {
	r := &e.rec
	if e.kind != anyRecord {
		return RecordLine{Offset: e.from, Size: int(e.to - e.from), Damage: e.why}
	}
	l := RecordLine{Offset: e.from, Size: r.Size, Topic: r.Topic, QueueID: r.QueueID, QueueOffset: r.QueueOffset,
		StoreTimestamp: r.StoreTimestamp, BornTimestamp: r.BornTimestamp, BornHost: r.BornHost.AddrPort().String(), SysFlag: r.SysFlag,
		Keys: message.GetProperty(r.Properties, message.PropertyKeys), Tags: message.GetProperty(r.Properties, message.PropertyTags),
		Properties: r.Properties, BodySize: len(r.Body)}
	if body {
		l.Body = append([]byte{}, r.Body...)
	}
	return l
}

// UnitLine is a unit of a queue as DumpQueue prints it.
type UnitLine struct {
	QueueOffset    int64  `json:"queueOffset"`
	File           string `json:"file"`
	Position       int64  `json:"position"`
	PhysicalOffset int64  `json:"physicalOffset"`
	Size           int32  `json:"size"`
	TagsCode       int64  `json:"tagsCode"`
	What           string `json:"what,omitempty"` // "pre-blank" or "empty"; else a unit
	// Of a batch queue only; QueueOffset is that of the first message.
	StoreTimestamp int64 `json:"storeTimestamp,omitempty"` // ms
	Messages       int16 `json:"messages,omitempty"`
}

// String returns the line for people.
func (l UnitLine) String() string {
	s := fmt.Sprintf("%d offset=%d size=%d tagsCode=%d %s@%d", l.QueueOffset, l.PhysicalOffset, l.Size, l.TagsCode, filepath.Base(l.File), l.Position)
	if l.Messages > 0 {
		s += fmt.Sprintf(" messages=%d %s", l.Messages, stamp(l.StoreTimestamp))
	}
	if l.What != "" {
		s += " " + l.What
	}
	return s
}

// DumpQueue prints the units of a queue from queue offset from on, or from its first when from is negative;
// count of them, or all when it is 0.
func DumpQueue(ctx context.Context, o Options, topic string, id int32, from, count int64, asJSON bool, out io.Writer) error {
	v, err := open(o)
	if err != nil {
		return err
	}
	defer v.close()
	c := &checker{ctx: ctx, v: v, report: func(Finding) {}, queues: map[queueKey]*queue{}, batches: map[queueKey]*batchQueue{}}
	if b := c.batch(queueKey{topic, id}); topic == filepath.Base(topic) && topic != ".." && isDir(b.dir) {
		return c.dumpBatch(b, from, count, newPrinter(out, asJSON))
	}
	q := c.queue(queueKey{topic, id})
	if topic != filepath.Base(topic) || topic == ".." || !isDir(q.dir) {
		return fmt.Errorf("%w: %s is no folder", ErrNoStore, q.dir)
	}
	q.exists = true
	if err := c.readQueue(q); err != nil {
		return err
	}
	p := newPrinter(out, asJSON)
	if from < 0 {
		from = q.min
	}
	for n := from; n < q.max && (count <= 0 || n < from+count) && err == nil; n++ {
		if err = ctx.Err(); err != nil {
			break
		}
		var u consumequeue.Unit
		var ok bool
		if u, ok, err = c.unit(q, n); err != nil || !ok {
			continue
		}
		file, at := q.place(v, n)
		err = p.line(UnitLine{QueueOffset: n, File: file, Position: at, PhysicalOffset: u.PhysicalOffset, Size: u.Size, TagsCode: u.TagsCode, What: kindOf(u)})
	}
	return errors.Join(err, p.w.Flush())
}

// dumpBatch prints the units of a batch queue from the one with queue offset from on.
func (c *checker) dumpBatch(q *batchQueue, from, count int64, p *printer) error {
	err := c.readBatchQueue(q)
	for row, n := q.first, int64(0); row < q.end && (count <= 0 || n < count) && err == nil; row++ {
		var u consumequeue.BatchUnit
		if u, err = c.batchUnitAt(q, row); err != nil || u.End() <= from {
			continue
		}
		if err = c.ctx.Err(); err == nil {
			file, at := q.place(c.v, row)
			err = p.line(UnitLine{QueueOffset: u.Base, File: file, Position: at, PhysicalOffset: u.PhysicalOffset, Size: u.Size, TagsCode: u.TagsCode,
				What: kindOf(u.Unit), StoreTimestamp: u.StoreTimestamp, Messages: u.Messages})
			n++
		}
	}
	return errors.Join(err, p.w.Flush())
}

func kindOf(u consumequeue.Unit) string {
	switch {
	case u.Size == preBlank:
		return "pre-blank"
	case u.PhysicalOffset < 0 || u.Size <= 0:
		return "empty"
	}
	return ""
}

// IndexLine is an index file as DumpIndex prints it.
type IndexLine struct {
	File string `json:"file"`
	Size int64  `json:"size"`
	indexHeader
	Chains int64 `json:"chains"` // slots with at least one entry
}

// String returns the lines for people.
func (l IndexLine) String() string {
	return fmt.Sprintf("%s %d bytes, %d entries in %d chains (%d by the header), stored %s to %s, log [%d,%d]", l.File, l.Size,
		max(l.Count-1, 0), l.Chains, l.UsedSlots, stamp(l.BeginTimestamp), stamp(l.EndTimestamp), l.BeginPhyOffset, l.EndPhyOffset)
}

// DumpIndex prints the headers of all index files, or of one when name is not empty.
func DumpIndex(ctx context.Context, o Options, name string, asJSON bool, out io.Writer) error {
	o = withDefaults(o)
	dir := filepath.Join(o.Root, "index")
	if !isDir(dir) {
		return fmt.Errorf("%w: %s is no folder", ErrNoStore, dir)
	}
	entries, err := fsys.OS{}.List(dir)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", dir, err)
	}
	p := newPrinter(out, asJSON)
	found := false
	for _, e := range entries {
		if e.Dir || name != "" && e.Name != filepath.Base(name) || ctx.Err() != nil {
			continue
		}
		found = true
		l, err := readIndexLine(filepath.Join(dir, e.Name), e.Size, o.HashSlots)
		if err == nil {
			err = p.line(l)
		}
		if err != nil {
			return errors.Join(err, p.w.Flush())
		}
	}
	if name != "" && !found {
		return fmt.Errorf("%w: there is no index file %s", ErrNoStore, filepath.Join(dir, filepath.Base(name)))
	}
	return errors.Join(ctx.Err(), p.w.Flush())
}

func readIndexLine(path string, size, slots int64) (IndexLine, error) {
	l := IndexLine{File: path, Size: size}
	f, err := os.Open(path)
	if err != nil {
		return l, err
	}
	defer f.Close()
	head := make([]byte, indexHeaderSize)
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return l, fmt.Errorf("cannot read %s: %w", path, err)
	}
	l.indexHeader = parseIndexHeader(head)
	err = eachData(f, indexHeaderSize, min(size, indexHeaderSize+4*slots), 4, func(_ int64, b []byte) error {
		for ; len(b) >= 4; b = b[4:] {
			if firstNonZero(b[:4]) >= 0 {
				l.Chains++
			}
		}
		return nil
	})
	return l, err
}

// StateLine is the checkpoint and what else tells how the store was left.
type StateLine struct {
	PhysicMsgTimestamp   int64 `json:"physicMsgTimestamp"`
	LogicsMsgTimestamp   int64 `json:"logicsMsgTimestamp"`
	IndexMsgTimestamp    int64 `json:"indexMsgTimestamp"`
	MasterFlushedOffset  int64 `json:"masterFlushedOffset"`
	ConfirmPhyOffset     int64 `json:"confirmPhyOffset"`
	LogicsPhysicalOffset int64 `json:"logicsPhysicalOffset"`
	Watermark            int64 `json:"watermark"` // Skylark's: how far the log was durable
	Abort                bool  `json:"abort"`
	Running              bool  `json:"running"`
}

// String returns the lines for people.
func (l StateLine) String() string {
	return fmt.Sprintf("physicMsgTimestamp   %d %s\nlogicsMsgTimestamp   %d %s\nindexMsgTimestamp    %d %s\nmasterFlushedOffset  %d\nconfirmPhyOffset     %d\nlogicsPhysicalOffset %d\nwatermark            %d\nabort                %v\nrunning              %v",
		l.PhysicMsgTimestamp, stamp(l.PhysicMsgTimestamp), l.LogicsMsgTimestamp, stamp(l.LogicsMsgTimestamp), l.IndexMsgTimestamp, stamp(l.IndexMsgTimestamp),
		l.MasterFlushedOffset, l.ConfirmPhyOffset, l.LogicsPhysicalOffset, l.Watermark, l.Abort, l.Running)
}

// DumpCheckpoint prints the checkpoint.
func DumpCheckpoint(o Options, asJSON bool, out io.Writer) error {
	v, err := open(o)
	if err != nil {
		return err
	}
	defer v.close()
	if v.cpSize < 0 {
		return fmt.Errorf("%w: there is no checkpoint in %s", ErrNoStore, v.root)
	}
	p := newPrinter(out, asJSON)
	err = p.line(StateLine{v.cp[0], v.cp[1], v.cp[2], v.cp[3], v.cp[4], v.cp[5], v.watermark, v.aborted, v.running})
	return errors.Join(err, p.w.Flush())
}
