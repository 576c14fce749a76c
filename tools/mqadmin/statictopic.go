package mqadmin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/client/admin/statictopic"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

func staticTopicCommands() []command {
	return []command{
		{name: "updateStaticTopic", usage: "Update or create static topic, which has fixed number of queues.", change: true, run: updateStaticTopic,
			options: "c/clusters= b/brokers= t/topic=* qn/totalQueueNum=#* mf/mapFile= fr/forceReplace="},
		{name: "remappingStaticTopic", usage: "Remapping static topic.", change: true, run: remappingStaticTopic,
			options: "c/clusters= b/brokers= t/topic=* mf/mapFile= fr/forceReplace="},
	}
}

func updateStaticTopic(k *call) error {
	return changeStatic(k, statictopic.CreateOrUpdate, "new", func(targets []string, configs statictopic.Configs, now time.Time) (*statictopic.Plan, error) {
		return statictopic.Create(k.str("t"), int(k.num("qn", 0)), targets, configs, now)
	})
}

func remappingStaticTopic(k *call) error {
	// Java's second line says "old" as well.
	return changeStatic(k, statictopic.Remapping, "old", func(targets []string, configs statictopic.Configs, now time.Time) (*statictopic.Plan, error) {
		return statictopic.Remap(k.str("t"), targets, configs, now)
	})
}

// changeStatic applies the plan of a file (-mf) or the one that compute makes; that and how it was before go to files,
// of which the word of the second is given, as they are what undoes or repeats a change that fails in its midst.
func changeStatic(k *call, kind, word string, compute func(targets []string, configs statictopic.Configs, now time.Time) (*statictopic.Plan, error)) error {
	if k.has("b") && k.has("c") || !k.has("b") && !k.has("c") && !k.has("mf") {
		return errors.New("give brokers (-b) or clusters (-c), and not both")
	}
	cluster, err := statictopic.Open(k.ctx, k.Client)
	if err != nil {
		return err
	}
	if k.has("mf") {
		return applyFile(k, cluster, kind)
	}
	targets, err := targetBrokers(k, cluster)
	if err != nil {
		return err
	}
	configs, err := cluster.Load(k.ctx, k.str("t"))
	if err != nil {
		return err
	}
	now := time.Now()
	epoch := now.UnixMilli()
	if kind == statictopic.Remapping || len(configs) > 0 {
		if epoch, err = statictopic.Epoch(k.str("t"), configs); err != nil {
			return err
		}
	}
	if err := writePlan(k, "old", statictopic.Snapshot(k.str("t"), configs, epoch), false); err != nil {
		return err
	}
	plan, err := compute(targets, configs, now)
	if err != nil {
		return err
	}
	if err := writePlan(k, word, plan, true); err != nil {
		return err
	}
	cluster.Complete(plan)
	return cluster.Apply(k.ctx, plan, false)
}

// targetBrokers returns the names of the brokers of -b or -c, all of which have a master.
func targetBrokers(k *call, cluster *statictopic.Cluster) ([]string, error) {
	option := "b"
	if k.has("c") {
		option = "c"
	}
	var names []string
	for _, n := range strings.Split(k.str(option), ",") {
		names = append(names, strings.TrimSpace(n))
	}
	if option == "c" {
		names = cluster.BrokersOf(names...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the clusters %s have no brokers that the name server knows, nothing is done", k.str("c"))
	}
	_, err := cluster.Masters(names)
	return names, err
}

// applyFile applies the plan of a file; Java's commands do not look at -mf, and compute one.
func applyFile(k *call, cluster *statictopic.Cluster, kind string) error {
	text, err := os.ReadFile(k.str("mf"))
	if err != nil {
		return fmt.Errorf("cannot read the mapping: %w", err)
	}
	plan, err := statictopic.Read(k.str("t"), text)
	if err != nil {
		return fmt.Errorf("cannot apply the mapping %s: %w", k.str("mf"), err)
	}
	if plan.Type != kind {
		return fmt.Errorf("cannot apply the mapping %s: it is one of type %s, not %s", k.str("mf"), plan.Type, kind)
	}
	cluster.Complete(plan)
	return cluster.Apply(k.ctx, plan, k.boolean("fr", false))
}

// writePlan stores a plan in the folder for temporary files, where Java's tool has it, and says so.
func writePlan(k *call, word string, p *statictopic.Plan, after bool) error {
	name, text, err := p.File(after)
	if err != nil {
		return err
	}
	path := filepath.Join(os.TempDir(), name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("cannot keep the mapping: %w", err)
	}
	k.printf("The %s mapping data is written to file %s\n", word, path)
	return nil
}

// leaderOf returns the broker of a queue; what leads a logical one, whose broker is no real one, stands in queues.
func leaderOf(q body.MessageQueue, queues []body.MessageQueue) string {
	if strings.HasPrefix(q.BrokerName, statictopic.BrokerPrefix) {
		for _, l := range queues {
			if l.QueueID == q.QueueID {
				return l.BrokerName
			}
		}
	}
	return q.BrokerName
}

// mappings returns what the brokers of a static topic know of it, nil for any other topic and one that is gone.
func (k *call) mappings(topic string) (statictopic.Configs, error) {
	route, err := k.Route(k.ctx, topic)
	switch {
	case admin.Code(err) == protocol.TopicNotExist:
		return nil, nil
	case err != nil || len(route.TopicQueueMappingByBroker) == 0:
		return nil, err
	}
	configs := statictopic.Configs{}
	for _, b := range route.BrokerDatas {
		t, err := k.TopicConfig(k.ctx, admin.Addr(b), topic)
		switch {
		case err == nil:
			configs[b.BrokerName] = t
		case admin.Code(err) != protocol.TopicNotExist:
			return nil, err
		}
	}
	return configs, nil
}

// ConsumeStats is that of the client with the logical queues of static topics in the place of their physical ones, as
// in Java.
func (k *call) ConsumeStats(ctx context.Context, group, topic, routeTopic string) (*body.ConsumeStats, error) {
	stats, err := k.Client.ConsumeStats(ctx, group, topic, routeTopic)
	if err != nil {
		return nil, err
	}
	topics := map[string]bool{}
	for q := range stats.OffsetTable {
		topics[q.Topic] = true
	}
	for _, t := range slices.Sorted(maps.Keys(topics)) {
		configs, err := k.mappings(t)
		if err != nil {
			return nil, err
		}
		if configs == nil {
			continue
		}
		progress := statictopic.Progress(configs, stats.OffsetTable)
		maps.DeleteFunc(stats.OffsetTable, func(q body.MessageQueue, _ body.OffsetWrapper) bool { return q.Topic == t })
		maps.Copy(stats.OffsetTable, progress)
	}
	if len(stats.OffsetTable) == 0 {
		if _, err := k.ConsumerConnection(ctx, group, ""); err != nil {
			return nil, &protocol.Error{Code: protocol.ConsumerNotOnline,
				Remark: "Not found the consumer group consume stats, because return offset table is empty, maybe the consumer not online"}
		}
	}
	return stats, nil
}
