package compaction

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strconv"
	"sync"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/store/fsys"
)

// positions are the queue offsets up to which rounds have looked at keys, in position-checkpoint. They only spare work:
// without one a round looks at all messages. Java: CompactionPositionMgr.
type positions struct {
	fs   fsys.FS
	path string
	mu   sync.Mutex
	m    map[string]int64
}

// key is the name of a queue in the file. Java: CompactionPositionMgr.setOffset.
func (n Name) key() string { return n.Topic + "_" + strconv.Itoa(int(n.ID)) }

func (p *positions) load(log zerolog.Logger) error {
	p.m = map[string]int64{}
	for _, path := range []string{p.path, p.path + fsys.BackupSuffix} {
		b, err := readAll(p.fs, path, maxPositions)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		var file positionFile
		if err := json.Unmarshal(b, &file); err != nil {
			log.Warn().Err(err).Str("file", path).Msg("cannot use the positions of the compaction log, rounds look at all messages")
			continue
		}
		maps.Copy(p.m, file.QueueOffsetMap)
		return nil
	}
	return nil
}

// positionFile is the file. Java writes isEmpty() as a field of it.
type positionFile struct {
	Empty          bool             `json:"empty"`
	QueueOffsetMap map[string]int64 `json:"queueOffsetMap"`
}

// maxPositions bounds the file: a line for each of a million queues.
const maxPositions = 256 << 20

// readAll reads a file of at most most bytes.
func readAll(fsys fsys.FS, path string, most int64) ([]byte, error) {
	f, err := fsys.Open(path, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	if n > most {
		return nil, fmt.Errorf("cannot read %s: %d bytes, which is more than %d", path, n, most)
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// get returns a queue's position, -1 when there was no round.
func (p *positions) get(n Name) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.m[n.key()]; ok {
		return at
	}
	return -1
}

func (p *positions) set(n Name, offset int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.m[n.key()]; ok && at == offset {
		return nil
	}
	p.m[n.key()] = offset
	return p.write()
}

func (p *positions) remove(n Name) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.m[n.key()]; !ok {
		return nil
	}
	delete(p.m, n.key())
	return p.write()
}

// write replaces the file; the caller holds p.mu. Whatever a crash leaves is an older version, or none.
func (p *positions) write() error {
	b, err := json.Marshal(positionFile{len(p.m) == 0, p.m})
	if err != nil {
		return err
	}
	return fsys.WriteConfigIn(p.fs, p.path, b)
}
