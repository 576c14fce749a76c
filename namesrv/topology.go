package namesrv

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// masterID is the broker id of a master. Java: MixAll.MASTER_ID.
const masterID = 0

// Permission bits of a topic. Java: PermName.
const (
	permWrite = 1 << 1
	permRead  = 1 << 2
)

// topology holds the route tables. Java: RouteInfoManager.
type topology struct {
	o       *Options                // as of the start
	current atomic.Pointer[Options] // as of now: what may change is read from it
	kv      *kvTable
	log     zerolog.Logger
	epoch   time.Time // what liveBroker.seen counts from

	routes routeCache

	mu       sync.RWMutex
	topics   map[string]map[string]body.QueueData // topic, broker name
	groups   map[string]*group                    // broker name
	clusters map[string]map[string]struct{}       // cluster, broker names
	live     map[brokerAddr]*liveBroker
	filters  map[brokerAddr][]string        // filter servers, addresses as the broker names them
	mappings map[string]map[string]body.Raw // static topic, broker name, TopicQueueMappingInfo
	said     []func()                       // log lines for unlock to write
}

// brokerAddr names one broker process; addresses need to be unique within a cluster only.
type brokerAddr struct{ cluster, addr string }

// group is the master and the slaves that share a broker name. Java: BrokerData.
type group struct {
	cluster, name, zone string
	actingMaster        bool // its brokers allow a slave to stand in for the master
	addrs               map[int64]string
}

// liveBroker is what a registration leaves behind. All but seen stay as they are. Java: BrokerLiveInfo.
type liveBroker struct {
	seen    atomic.Int64  // when the broker was last heard of, ns since topology.epoch
	timeout time.Duration // how long it may be silent
	version body.DataVersion
	conn    mux.Conn
	haAddr  string
}

func newTopology(o *Options, kv *kvTable) *topology {
	t := &topology{
		o: o, kv: kv, log: o.Logger, epoch: o.Now(),
		topics: map[string]map[string]body.QueueData{}, groups: map[string]*group{}, clusters: map[string]map[string]struct{}{},
		live: map[brokerAddr]*liveBroker{}, filters: map[brokerAddr][]string{}, mappings: map[string]map[string]body.Raw{},
	}
	t.current.Store(o)
	t.routes.clear()
	return t
}

// unlock releases mu and writes the log lines that came up under it, so that a slow log delays nobody else.
func (t *topology) unlock() {
	said := t.said
	t.said = nil
	t.mu.Unlock()
	for _, line := range said {
		line()
	}
}

// say has unlock write a log line.
func (t *topology) say(line func()) { t.said = append(t.said, line) }

// forgetRoutes drops all encoded routes, for a change of what they are made of that lies outside.
func (t *topology) forgetRoutes() {
	t.mu.Lock() // whoever encodes a route of before puts it into the cache first
	defer t.mu.Unlock()
	t.routes.clear()
}

// since returns the ns from epoch to now. The clock is monotonic: setting the wall clock expires nobody.
func (t *topology) since() int64 { return int64(t.o.Now().Sub(t.epoch)) }

// minID returns the smallest broker id; the group must have one.
func (g *group) minID() int64 { return slices.Min(slices.Collect(maps.Keys(g.addrs))) }

// data returns a copy for the wire.
func (g *group) data() body.BrokerData {
	return body.BrokerData{
		BrokerAddrs: maps.Clone(g.addrs), BrokerName: g.name, Cluster: g.cluster, EnableActingMaster: g.actingMaster, ZoneName: g.zone,
	}
}

// dataVersion returns the version of the topic table a broker has last registered.
func (t *topology) dataVersion(a brokerAddr) (body.DataVersion, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	l := t.live[a]
	if l == nil {
		return body.DataVersion{}, false
	}
	return l.version, true
}

// touch notes that a broker has been heard of; one that is not registered stays unknown.
func (t *topology) touch(a brokerAddr) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if l := t.live[a]; l != nil {
		l.seen.Store(t.since())
	}
}

// clusterInfo returns all groups by cluster, names sorted.
func (t *topology) clusterInfo() body.ClusterInfo {
	t.mu.RLock()
	defer t.mu.RUnlock()
	info := body.ClusterInfo{BrokerAddrTable: map[string]body.BrokerData{}, ClusterAddrTable: map[string][]string{}}
	for name, g := range t.groups {
		info.BrokerAddrTable[name] = g.data()
	}
	for cluster, names := range t.clusters {
		info.ClusterAddrTable[cluster] = sortedKeys(names)
	}
	return info
}

// members returns the addresses of a group by id; nil when nobody has the name.
func (t *topology) members(name string) map[int64]string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if g := t.groups[name]; g != nil {
		return maps.Clone(g.addrs)
	}
	return nil
}

// topicsWhere returns the names of the topics for whose queue data, by broker name, keep is
// true, sorted.
func (t *topology) topicsWhere(keep func(queues map[string]body.QueueData) bool) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	names := []string{}
	for topic, queues := range t.topics {
		if keep(queues) {
			names = append(names, topic)
		}
	}
	slices.Sort(names)
	return names
}

// topicsOf returns the topics that a broker of the cluster has.
func (t *topology) topicsOf(cluster string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	brokers := t.clusters[cluster]
	names := []string{}
	for topic, queues := range t.topics {
		for broker := range queues {
			if _, ok := brokers[broker]; ok {
				names = append(names, topic)
				break
			}
		}
	}
	slices.Sort(names)
	return names
}

// systemTopics returns the names of all clusters and groups, which are topics of their own on every
// broker, and the address of some broker.
func (t *topology) systemTopics() body.TopicList {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := body.TopicList{TopicList: []string{}}
	for _, cluster := range sortedKeys(t.clusters) {
		list.TopicList = append(append(list.TopicList, cluster), sortedKeys(t.clusters[cluster])...)
	}
	slices.Sort(list.TopicList)
	list.TopicList = slices.Compact(list.TopicList)
	for _, name := range sortedKeys(t.groups) {
		if g := t.groups[name]; len(g.addrs) > 0 {
			list.BrokerAddr = g.addrs[g.minID()]
			break
		}
	}
	return list
}

// deleteTopic forgets a topic, or with a cluster its queues on the brokers of that cluster.
func (t *topology) deleteTopic(topic, cluster string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	queues := t.topics[topic]
	if queues == nil {
		return
	}
	if cluster == "" {
		clear(queues)
	}
	for broker := range t.clusters[cluster] {
		delete(queues, broker)
	}
	if len(queues) == 0 {
		t.forget(topic)
	}
	t.routes.clear()
}

// forget drops a topic that no broker has, with its queue mapping: Java keeps that for ever, so that an ordinary topic
// that takes the name of a deleted static one is unusable until the name server restarts. The caller holds mu.
func (t *topology) forget(topic string) {
	delete(t.topics, topic)
	delete(t.mappings, topic)
}

// registerTopic sets the queue data of a topic up to the first that names an unknown broker; a new topic
// needs all of its brokers to be known. It reports whether all were.
func (t *topology) registerTopic(topic string, queues []body.QueueData) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := map[string]body.QueueData{}
	known := true
	for _, q := range queues {
		if known = t.groups[q.BrokerName] != nil; !known {
			break
		}
		fresh[q.BrokerName] = q
	}
	switch have := t.topics[topic]; {
	case have != nil:
		maps.Copy(have, fresh)
	case known && len(fresh) > 0:
		t.topics[topic] = fresh
	}
	t.routes.clear()
	return known
}

// setPerm gives every topic of a broker the permission that change makes of the old one, and returns how
// many topics the broker has.
func (t *topology) setPerm(broker string, change func(perm int32) int32) int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := int32(0)
	for _, queues := range t.topics {
		if q, ok := queues[broker]; ok {
			q.Perm = change(q.Perm)
			queues[broker] = q
			n++
		}
	}
	t.routes.clear()
	return n
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
