package topic

import (
	"errors"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// decode reads topics.json. Java: TopicConfigManager.decode.
func decode(data []byte) (body.DataVersion, map[string]*body.TopicConfig, error) {
	var w body.TopicConfigSerializeWrapper
	if err := body.Unmarshal(data, &w); err != nil {
		return body.DataVersion{}, nil, err
	}
	if w.TopicConfigTable == nil {
		return body.DataVersion{}, nil, errors.New("there is no topicConfigTable")
	}
	for name, c := range w.TopicConfigTable {
		if c == nil {
			delete(w.TopicConfigTable, name)
			continue
		}
		c.TopicName = name // the key is what Java looks up
		if c.TopicFilterType == "" {
			c.TopicFilterType = body.SingleTag
		}
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
	}
	return w.DataVersion, w.TopicConfigTable, nil
}

// encode writes topics.json.
func encode(version body.DataVersion, all []*body.TopicConfig) ([]byte, error) {
	w := body.TopicConfigSerializeWrapper{DataVersion: version, TopicConfigTable: make(map[string]*body.TopicConfig, len(all))}
	for _, c := range all {
		w.TopicConfigTable[c.TopicName] = c
	}
	return body.MarshalPretty(w)
}
