package mqadmin

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/message"
)

func compactionCommands() []command {
	return []command{{name: "dumpCompactionLog", usage: "Parse compaction log to message.", run: dumpCompactionLog, options: "f/file="}}
}

// dumpCompactionLog prints the messages of one file of a compaction log, up to its end. Unlike Java's it only reads.
// Java: DumpCompactionLogCommand.
func dumpCompactionLog(k *call) error {
	if !k.has("f") {
		k.say("miss dump log file name\n")
		return nil
	}
	name := k.str("f")
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("file %s not exist", name)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("file %s is a directory", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for left := info.Size(); ; {
		m, err := nextMessage(r, left)
		if m == nil || err != nil {
			return err
		}
		left -= int64(m.Size)
		if err := k.show(shownOf(m, nil, nil), func() { k.printf("%s\n", storedText(m)) }); err != nil {
			return err
		}
	}
}

// nextMessage reads a record, nil where there is none.
func nextMessage(r *bufio.Reader, left int64) (*admin.Message, error) {
	head, err := r.Peek(8)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head))
	if magic := message.Magic(head); magic != message.MagicV1 && magic != message.MagicV2 || size > left || size < message.MinRecord {
		return nil, nil
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	rec, err := message.Parse(b, false)
	if err != nil {
		return nil, nil // no message: the end, as for Java
	}
	return &admin.Message{Record: rec}, nil
}
