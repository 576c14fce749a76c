package inspect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
)

// config is one configuration file.
type config struct {
	path string
	bad  bool
}

// checkpointFields are the names of the checkpoint's longs. Java: StoreCheckpoint.
var checkpointFields = [6]string{"physicMsgTimestamp", "logicsMsgTimestamp", "indexMsgTimestamp", "masterFlushedOffset", "confirmPhyOffset", "logicsPhysicalOffset"}

// checkState compares checkpoint and watermark with the log.
func (c *checker) checkState() error {
	file := filepath.Join(c.v.root, "checkpoint")
	bad := false
	limit := c.v.o.Now().UnixMilli() + stampLimit
	switch {
	case c.v.cpSize < 0 && c.sum.Records > 0:
		c.add(Warning, file, 0, "there is no checkpoint, a start looks at the whole log")
	case c.v.cpSize >= 0 && c.v.cpSize < 40: // Java 5.3 has five longs
		c.add(Damaged, file, c.v.cpSize, "the checkpoint has %d bytes", c.v.cpSize)
		bad = true
	}
	for i, v := range c.v.cp {
		name := checkpointFields[i]
		switch {
		case v < 0:
			c.add(Damaged, file, int64(8*i), "%s is %d", name, v)
		case i < 3 && (c.newest > 0 && v > c.newest || v > limit):
			c.add(Damaged, file, int64(8*i), "%s is %d, the newest record in the log is of %d", name, v, c.newest)
		case i >= 3 && v > c.sum.LogEnd:
			c.add(Damaged, file, int64(8*i), "%s is %d, the log ends at %d", name, v, c.sum.LogEnd)
		default:
			continue
		}
		bad = true
	}
	if bad {
		c.stray = append(c.stray, file)
	}
	if c.v.watermark > c.sum.LogEnd {
		c.add(Damaged, filepath.Join(c.v.root, "skylark", "watermark"), 0, "the log was durable up to %d and ends at %d", c.v.watermark, c.sum.LogEnd)
	}
	return nil
}

// readConfigs parses the configuration files, each version by itself.
func (c *checker) readConfigs() error {
	dir := filepath.Join(c.v.root, "config")
	entries, err := fsys.OS{}.List(dir)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.Dir || !strings.HasSuffix(strings.TrimSuffix(e.Name, fsys.BackupSuffix), ".json") {
			continue
		}
		path := filepath.Join(dir, e.Name)
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) { // a broker is just replacing it
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", path, err)
		}
		c.sum.ConfigFiles++
		var v map[string]any
		switch err = body.Unmarshal(b, &v); {
		case len(b) == 0:
			c.add(Warning, path, 0, "the file is empty, the other version is used")
		case err != nil:
			c.add(Damaged, path, 0, "not the JSON Java writes: %v", err)
		}
		c.configs = append(c.configs, config{path, err != nil && len(b) > 0})
		if table, ok := v["topicConfigTable"].(map[string]any); ok && e.Name == "topics.json" {
			c.topics, c.batchTopics = map[string]bool{}, map[string]bool{}
			for name, topic := range table {
				c.topics[name] = true
				topic, _ := topic.(map[string]any)
				if attributes, _ := topic["attributes"].(map[string]any); attributes["queue.type"] == "BatchCQ" {
					c.batchTopics[name] = true
				}
			}
		}
	}
	return nil
}

// checkOffsets compares the stored consumer offsets with the queues.
func (c *checker) checkOffsets() error {
	for _, name := range []string{"consumerOffset.json", "lmqConsumerOffset.json"} { // the second one with enableLmq
		c.consumerOffsets(filepath.Join(c.v.root, "config", name))
	}
	path := filepath.Join(c.v.root, "config", "delayOffset.json")
	var d body.DelayOffsetTable
	if c.table(path, &d) {
		for level, offset := range d.OffsetTable {
			c.offset(path, fmt.Sprintf("level %d", level), queueKey{store.ScheduleTopic, int32(level - 1)}, offset)
		}
	}
	return nil
}

func (c *checker) consumerOffsets(path string) {
	var t body.ConsumerOffsetTable
	if !c.table(path, &t) {
		return
	}
	for _, key := range sortedKeys(t.OffsetTable) {
		topic, _, _ := strings.Cut(key, "@")
		for id, offset := range t.OffsetTable[key] {
			c.offset(path, key, queueKey{topic, int32(id)}, offset)
		}
	}
	for _, key := range sortedKeys(t.LmqOffsetTable) {
		topic, _, _ := strings.Cut(key, "@")
		c.offset(path, key, queueKey{topic, 0}, t.LmqOffsetTable[key])
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// table reads a configuration file that readConfigs found to be good.
func (c *checker) table(path string, v any) bool {
	b, err := os.ReadFile(path)
	return err == nil && body.Unmarshal(b, v) == nil
}

func (c *checker) offset(file, who string, k queueKey, offset int64) {
	top := int64(0)
	if q := c.queues[k]; q != nil {
		top = max(q.max, q.next)
	}
	if q := c.batches[k]; q != nil {
		top = max(top, q.max)
	}
	if offset > top {
		c.add(Warning, file, 0, "%s is at offset %d of queue %s-%d, which ends at %d", who, offset, k.topic, k.id, top)
	}
}
