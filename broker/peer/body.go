package peer

import (
	"errors"
	"hash/crc32"
	"sync"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// allPermissions leaves every topic's perm as it is.
const allPermissions int32 = -1

// errOneTopic is never seen in practice: the broker's own topics are more. A name server takes a first
// registration with one topic for that of a change and refuses it.
var errOneTopic = errors.New("the topic table holds a single topic, which name servers take for an incremental registration")

// registration is the body of REGISTER_BROKER for one version of the topic table. It never changes.
type registration struct {
	version    body.DataVersion
	permission int32
	bytes      []byte
	crc        int32 // of bytes, as Java counts it
}

// bodyCache holds the last body, which all name servers get and most periods repeat.
type bodyCache struct {
	mu   sync.Mutex
	last *registration
}

// get returns the body of the present topic table.
func (c *bodyCache) get(o *Options) (*registration, error) {
	permission := allPermissions
	if o.Permission != nil {
		permission = o.Permission()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The version is read before the table: a change in between is sent under the old version, and again,
	// under its own, in the registration that it asks for.
	version := o.Topics.DataVersion()
	if c.last != nil && c.last.version == version && c.last.permission == permission {
		return c.last, nil
	}
	data, err := encode(o, version, permission)
	if err != nil {
		return nil, err
	}
	c.last = &registration{version, permission, data, int32(crc32.ChecksumIEEE(data) & 0x7fffffff)}
	return c.last, nil
}

func encode(o *Options, version body.DataVersion, permission int32) ([]byte, error) {
	all := o.Topics.All()
	if len(all) == 1 {
		return nil, errOneTopic
	}
	table := make(map[string]*body.TopicConfig, len(all))
	for _, t := range all {
		if limited := t.Perm & permission; limited != t.Perm {
			c := *t
			c.Perm = limited
			t = &c
		}
		table[t.TopicName] = t
	}
	b := body.RegisterBrokerBody{TopicConfigSerializeWrapper: body.TopicConfigAndMappingSerializeWrapper{DataVersion: version, TopicConfigTable: table}}
	if o.Mappings != nil {
		var err error
		if b.TopicConfigSerializeWrapper.TopicQueueMappingInfoMap, err = o.Mappings(); err != nil {
			return nil, err
		}
	}
	if o.CompressedRegister {
		return b.EncodeCompressed()
	}
	return body.Marshal(b)
}
