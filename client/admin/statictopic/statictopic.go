// Package statictopic works out which broker leads which queue of a static topic, and makes the change.
//
// A change is a Plan: Create makes one for a new topic or more queues, Remap one that moves queues to other brokers,
// Read one from a file. Nothing is asked or changed until Apply, which sends it to the brokers in an order that keeps
// the topic usable. Where one of them fails in the midst of it, the others keep what they have, and Apply of the same
// plan with force finishes it.
//
// Java: UpdateStaticTopicSubCommand, RemappingStaticTopicSubCommand, MQAdminUtils, TopicQueueMappingUtils.
package statictopic

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Servers are what a static topic is looked up and changed through; *admin.Client is one. Brokers are named by their
// addresses.
type Servers interface {
	ClusterInfo(ctx context.Context) (*body.ClusterInfo, error)
	TopicConfig(ctx context.Context, broker, topic string) (*body.TopicConfigAndQueueMapping, error)
	TopicStats(ctx context.Context, broker, topic string) (*body.TopicStatsTable, error)
	CreateStaticTopic(ctx context.Context, broker string, t *body.TopicConfigAndQueueMapping, force bool) error
}

// Configs are what the brokers of a static topic know of it, by broker name.
type Configs map[string]*body.TopicConfigAndQueueMapping

// clone returns a copy that shares nothing that a plan changes. All mappings must be there.
func (c Configs) clone() Configs {
	out := make(Configs, len(c))
	for broker, t := range c {
		config, detail := *t, *t.MappingDetail
		detail.HostedQueues = body.IntMap[[]body.LogicQueueMappingItem]{}
		for id, items := range t.MappingDetail.HostedQueues {
			detail.HostedQueues[id] = slices.Clone(items)
		}
		config.MappingDetail = &detail
		out[broker] = &config
	}
	return out
}

// Cluster is what a plan is made for: the name servers' brokers, and a way to ask them.
type Cluster struct {
	servers Servers
	info    *body.ClusterInfo
}

// Open asks a name server for the brokers.
func Open(ctx context.Context, s Servers) (*Cluster, error) {
	info, err := s.ClusterInfo(ctx)
	if err != nil {
		return nil, err
	}
	if len(info.ClusterAddrTable) == 0 {
		return nil, refuse("The Cluster info is empty")
	}
	return &Cluster{servers: s, info: info}, nil
}

// BrokersOf returns the names of all brokers of some clusters; those that are not known have none.
func (c *Cluster) BrokersOf(clusters ...string) []string {
	var out []string
	for _, name := range clusters {
		out = append(out, c.info.ClusterAddrTable[name]...)
	}
	return out
}

// Masters returns the addresses of the masters of some brokers, by name. The error names one that has none.
func (c *Cluster) Masters(brokers []string) (map[string]string, error) {
	out := make(map[string]string, len(brokers))
	for _, name := range brokers {
		addr := c.info.BrokerAddrTable[name].BrokerAddrs[masterID]
		if addr == "" {
			return nil, refuse("Can't find addr for broker %s", name)
		}
		out[name] = addr
	}
	return out, nil
}

// masterID is the broker id of a master. Java: MixAll.MASTER_ID.
const masterID = 0

// Load asks all masters of all clusters for a topic and returns what those say that have it, static or not.
func (c *Cluster) Load(ctx context.Context, topic string) (Configs, error) {
	brokers := slices.Sorted(maps.Keys(c.info.BrokerAddrTable))
	masters, err := c.Masters(brokers)
	if err != nil {
		return nil, err
	}
	configs := Configs{}
	for _, broker := range brokers {
		t, err := c.servers.TopicConfig(ctx, masters[broker], topic)
		switch {
		case err == nil:
			configs[broker] = t
		case client.Code(err) != protocol.TopicNotExist:
			return nil, fmt.Errorf("cannot ask broker %s for topic %s: %w", broker, topic, err)
		}
	}
	return configs, nil
}

// Complete adds to a plan the brokers that are in one cluster with its brokers and have nothing of the topic, so that
// they know of it as well.
func (c *Cluster) Complete(p *Plan) {
	for _, brokers := range c.info.ClusterAddrTable {
		if !slices.ContainsFunc(brokers, func(b string) bool { return p.BrokerConfigMap[b] != nil }) {
			continue
		}
		for _, b := range brokers {
			if p.BrokerConfigMap[b] == nil {
				p.BrokerConfigMap[b] = empty(p.Topic, b)
			}
		}
	}
	p.seal()
}

// nextEpoch is that of a change of what has epoch old. Java: TopicQueueMappingUtils.
func nextEpoch(old int64, now time.Time) int64 { return max(old+1000, now.UnixMilli()) }

// empty returns what a broker knows of a topic that has no queue there.
func empty(topic, broker string) *body.TopicConfigAndQueueMapping {
	t := body.NewTopicConfig(topic)
	t.ReadQueueNums, t.WriteQueueNums = 0, 0
	return &body.TopicConfigAndQueueMapping{TopicConfig: t, MappingDetail: &body.TopicQueueMappingDetail{
		Topic: topic, Bname: broker, Scope: body.ScopeGlobal, HostedQueues: body.IntMap[[]body.LogicQueueMappingItem]{}}}
}

// refuse is a refusal in Java's words, which begin with a capital letter.
func refuse(format string, args ...any) error { return fmt.Errorf(format, args...) }
