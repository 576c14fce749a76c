package statictopic

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Types of a plan. Java: TopicRemappingDetailWrapper.TYPE_CREATE_OR_UPDATE, TYPE_REMAPPING.
const (
	CreateOrUpdate = "CREATE_OR_UPDATE"
	Remapping      = "REMAPPING"
)

// maxQueues bounds the logical queues of a topic: what our broker takes.
const maxQueues = 1 << 16

// Plan is what the brokers shall know of a static topic. It is the content of the files that mqadmin writes and reads.
// Java: TopicRemappingDetailWrapper.
type Plan struct {
	BrokerConfigMap Configs  `json:"brokerConfigMap"`
	BrokerToMapIn   []string `json:"brokerToMapIn"`  // those that become leaders of queues; Remapping only
	BrokerToMapOut  []string `json:"brokerToMapOut"` // those that no longer lead queues; Remapping only
	Epoch           int64    `json:"epoch"`          // ms; each change has a later one
	Topic           string   `json:"topic"`
	Type            string   `json:"type"`
}

// Snapshot returns the plan to leave a topic as it is.
func Snapshot(topic string, configs Configs, epoch int64) *Plan {
	return &Plan{BrokerConfigMap: configs, Epoch: epoch, Topic: topic, Type: CreateOrUpdate}
}

// Read returns the plan that a file holds. The error says why it cannot be applied to that topic.
func Read(topic string, text []byte) (*Plan, error) {
	p := new(Plan)
	if err := body.Unmarshal(text, p); err != nil {
		return nil, err
	}
	queues, err := inspect(topic, p.BrokerConfigMap)
	if err != nil {
		return nil, err
	}
	for _, broker := range slices.Concat(p.BrokerToMapIn, p.BrokerToMapOut) {
		if p.BrokerConfigMap[broker] == nil {
			return nil, fmt.Errorf("the plan moves queues of broker %s and does not say which", broker)
		}
	}
	for id, q := range queues {
		if n := len(q.items); q.last().LogicOffset < 0 &&
			(n < 2 || !slices.Contains(p.BrokerToMapIn, q.leader) || !slices.Contains(p.BrokerToMapOut, q.items[n-2].Bname)) {
			return nil, fmt.Errorf("the plan does not say where queue %d goes on in broker %s", id, q.leader)
		}
	}
	p.Topic = topic
	p.Epoch, err = Epoch(topic, p.BrokerConfigMap)
	return p, err
}

// Create returns the plan for a new topic of that many queues or, when configs is not empty, for one that gets more.
// New queues go to the targets and to the brokers that know the topic, each to one of those that lead the fewest.
func Create(topic string, total int, targets []string, configs Configs, now time.Time) (*Plan, error) {
	p := &Plan{BrokerConfigMap: configs, Epoch: nextEpoch(now.UnixMilli(), now), Topic: topic, Type: CreateOrUpdate}
	leads := map[string]int{}
	for _, broker := range slices.Concat(targets, slices.Collect(maps.Keys(configs))) {
		leads[broker] = 0
	}
	have := 0
	if len(configs) > 0 {
		queues, err := p.follow(now)
		if err != nil {
			return nil, err
		}
		for _, q := range queues {
			leads[q.leader]++
		}
		have = len(queues)
	}
	switch {
	case total < have:
		return nil, refuse("Cannot decrease the queue num for static topic %d < %d", total, have)
	case total == have:
		return nil, refuse("The topic queue num is equal the existed queue num, do nothing")
	case total > maxQueues:
		return nil, fmt.Errorf("a static topic has %d queues at most", maxQueues)
	case len(leads) == 0:
		return nil, refuse("Find none brokers, do nothing")
	}
	p.BrokerConfigMap = configs.clone()
	for i, broker := range spread(leads, total-have) {
		p.host(int64(have+i), broker, nil)
	}
	p.seal()
	_, err := inspect(topic, p.BrokerConfigMap)
	return p, err
}

// Remap returns the plan by which the targets lead all queues, each the same number of them or one more. No queue
// leaves a broker that gets another one.
func Remap(topic string, targets []string, configs Configs, now time.Time) (*Plan, error) {
	p := &Plan{BrokerConfigMap: configs, Topic: topic, Type: Remapping}
	queues, err := p.follow(now)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, refuse("Find none brokers, do nothing")
	}
	leads := map[string]int{}
	for _, q := range queues {
		leads[q.leader]++
	}
	room := share(len(queues), targets, leads)
	var moves []int
	for id, q := range queues {
		if room[q.leader] > 0 {
			room[q.leader]--
		} else {
			moves = append(moves, id)
		}
	}
	p.BrokerConfigMap = configs.clone()
	for _, broker := range slices.Sorted(maps.Keys(room)) {
		for ; room[broker] > 0; room[broker]-- {
			id := moves[0]
			moves = moves[1:]
			from := queues[id]
			p.host(int64(id), broker, from.items)
			hosted := p.BrokerConfigMap[broker].MappingDetail.HostedQueues[int64(id)]
			p.BrokerConfigMap[from.leader].MappingDetail.HostedQueues[int64(id)] = slices.Clone(hosted)
			p.BrokerToMapIn, p.BrokerToMapOut = append(p.BrokerToMapIn, broker), append(p.BrokerToMapOut, from.leader)
		}
	}
	for _, names := range []*[]string{&p.BrokerToMapIn, &p.BrokerToMapOut} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	p.seal()
	_, err = inspect(topic, p.BrokerConfigMap)
	return p, err
}

// follow gives the plan an epoch behind that of its configurations, and returns the queues that there are.
func (p *Plan) follow(now time.Time) ([]queue, error) {
	queues, err := inspect(p.Topic, p.BrokerConfigMap)
	if err != nil {
		return nil, err
	}
	old, err := Epoch(p.Topic, p.BrokerConfigMap)
	p.Epoch = nextEpoch(old, now)
	return queues, err
}

// host makes a broker the leader of a logical queue, which was what items say until now and goes on in a physical
// queue of its own there. Where it goes on is decided when the old leader takes no more messages.
func (p *Plan) host(id int64, broker string, items []body.LogicQueueMappingItem) {
	t := p.BrokerConfigMap[broker]
	if t == nil {
		t = empty(p.Topic, broker)
		p.BrokerConfigMap[broker] = t
	}
	next := body.LogicQueueMappingItem{Bname: broker, QueueID: t.WriteQueueNums, EndOffset: -1, TimeOfEnd: -1, TimeOfStart: -1}
	if n := len(items); n > 0 {
		next.Gen, next.LogicOffset = items[n-1].Gen+1, -1
	}
	t.WriteQueueNums++
	t.ReadQueueNums++
	t.MappingDetail.HostedQueues[id] = append(slices.Clone(items), next)
}

// seal gives all brokers the plan's epoch and the number of queues that are led.
func (p *Plan) seal() {
	var total int32
	for broker, t := range p.BrokerConfigMap {
		for _, items := range t.MappingDetail.HostedQueues {
			if items[len(items)-1].Bname == broker {
				total++
			}
		}
	}
	for _, t := range p.BrokerConfigMap {
		t.MappingDetail.Epoch, t.MappingDetail.TotalQueues = p.Epoch, total
	}
}

// spread returns the leaders of n more queues, each one of the brokers that lead the fewest by then. Lots decide
// between them, so that many small topics do not meet on one broker. Java: TopicQueueMappingUtils.MappingAllocator.
func spread(leads map[string]int, n int) []string {
	var out, round []string
	for range n {
		if len(round) == 0 {
			fewest := slices.Min(slices.Collect(maps.Values(leads)))
			for broker, have := range leads {
				if have == fewest {
					round = append(round, broker)
				}
			}
			rand.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		}
		leads[round[0]]++
		out, round = append(out, round[0]), round[1:]
	}
	return out
}

// share returns how many of n queues each target leads. Which of them lead one more depends on how many they lead now,
// in the order that Java finds: first the one that leads most, then by an index that stays as the list gets shorter;
// among those that lead the same number, whose order in Java is that of a hash table, by name.
func share(n int, targets []string, leads map[string]int) map[string]int {
	order := slices.Compact(slices.Sorted(slices.Values(targets)))
	slices.SortStableFunc(order, func(a, b string) int { return leads[a] - leads[b] })
	room := map[string]int{}
	all, index := len(order), len(order)-1
	for more := n % all; len(order) > 0; more-- {
		i := index % len(order)
		room[order[i]] = n / all
		if more > 0 {
			room[order[i]]++
		}
		order = slices.Delete(order, i, i+1)
	}
	return room
}

// File returns the name, which is that of Java's tool, and the content of the plan's file; after tells what is to be
// from what was before. Java: TopicQueueMappingUtils.writeToTemp.
func (p *Plan) File(after bool) (name string, text []byte, err error) {
	end := "before"
	if after {
		end = "after"
	}
	text, err = body.Marshal(p)
	return fmt.Sprintf("%s-%d.%s", p.Topic, p.Epoch, end), text, err
}
