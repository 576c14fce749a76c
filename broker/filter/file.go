package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// file is consumerFilter.json. Java: ConsumerFilterManager's fields that its toJson writes.
type file struct {
	FilterDataByTopic map[string]*topicFile `json:"filterDataByTopic"`
}

type topicFile struct {
	GroupFilterData map[string]*dataFile `json:"groupFilterData"`
	Topic           string               `json:"topic"`
}

type dataFile struct {
	BloomFilterData *BloomData `json:"bloomFilterData,omitempty"`
	BornTime        body.Int   `json:"bornTime"`
	ClientVersion   body.Int   `json:"clientVersion"`
	ConsumerGroup   string     `json:"consumerGroup"`
	Dead            bool       `json:"dead"` // written only
	DeadTime        body.Int   `json:"deadTime"`
	Expression      string     `json:"expression"`
	ExpressionType  string     `json:"expressionType"`
	Topic           string     `json:"topic"`
}

// loadDead is how long ago a group counts as dead that the file says was alive. Java: ConsumerFilterManager.decode.
const loadDead = 30_000

func (t *Table) load() error {
	var f file
	_, err := fsys.ReadConfig(t.o.Path, t.o.Logger, func(data []byte) error {
		f = file{}
		if err := body.Unmarshal(data, &f); err != nil {
			return err
		}
		if f.FilterDataByTopic == nil {
			return errors.New("there is no filterDataByTopic")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot load consumer filters: %w", err)
	}
	for topic, groups := range f.FilterDataByTopic {
		if groups == nil {
			continue
		}
		for group, d := range groups.GroupFilterData {
			if d == nil {
				continue
			}
			if d.BloomFilterData == nil || !t.bloom.valid(*d.BloomFilterData) {
				t.o.Logger.Warn().Str("path", t.o.Path).Msg("the bloom filter has other sizes than when the consumer filters were stored: they are ignored")
				t.byTopic, t.byGroup = map[string]map[string]*Data{}, map[string]map[string]*Data{}
				t.used.Store(0)
				return nil
			}
			t.loaded(topic, group, d)
		}
	}
	return nil
}

// loaded takes over one filter of the file. One that does not compile is left out, so that the group's pulls are
// told so; Java would let every message pass.
func (t *Table) loaded(topic, group string, f *dataFile) {
	c, err := t.compile(f.Expression, f.ExpressionType)
	if err != nil {
		t.o.Logger.Error().Err(err).Str("group", group).Str("topic", topic).Msg("cannot compile a stored consumer filter, leaving it out")
		return
	}
	d := &Data{Group: strings.Clone(group), Topic: strings.Clone(topic), Expression: strings.Clone(f.Expression), Type: SQL92, BornTime: int64(f.BornTime),
		DeadTime: int64(f.DeadTime), ClientVersion: int64(f.ClientVersion), Bloom: t.bloom.Positions(group, topic), compiled: c, logger: &t.o.Logger}
	if d.DeadTime == 0 {
		d.DeadTime = max(d.BornTime, t.now()-loadDead)
	}
	t.put(d)
}

// write stores the table.
func (t *Table) write() error {
	f := file{FilterDataByTopic: map[string]*topicFile{}}
	t.mu.RLock()
	for topic, groups := range t.byTopic {
		tf := &topicFile{Topic: topic, GroupFilterData: make(map[string]*dataFile, len(groups))}
		for group, d := range groups {
			bloom := d.Bloom
			tf.GroupFilterData[group] = &dataFile{BloomFilterData: &bloom, BornTime: body.Int(d.BornTime), ClientVersion: body.Int(d.ClientVersion), ConsumerGroup: d.Group,
				Dead: d.Dead(), DeadTime: body.Int(d.DeadTime), Expression: d.Expression, ExpressionType: d.Type, Topic: d.Topic}
		}
		f.FilterDataByTopic[topic] = tf
	}
	t.mu.RUnlock()
	data, err := body.MarshalPretty(&f)
	if err == nil {
		err = fsys.WriteConfig(t.o.Path, data)
	}
	if err != nil {
		return fmt.Errorf("cannot store consumer filters: %w", err)
	}
	return nil
}
