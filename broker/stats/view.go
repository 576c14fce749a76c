package stats

import (
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Names of the statistics that View knows. Java: Stats and BrokerStatsManager.
const (
	TopicPutNums          = "TOPIC_PUT_NUMS"  // key: topic
	TopicPutSize          = "TOPIC_PUT_SIZE"  // key: topic
	GroupGetNums          = "GROUP_GET_NUMS"  // key: topic@group
	GroupGetSize          = "GROUP_GET_SIZE"  // key: topic@group
	SndbckPutNums         = "SNDBCK_PUT_NUMS" // key: topic@group
	BrokerPutNums         = "BROKER_PUT_NUMS" // key: cluster, as of those below
	BrokerGetNums         = "BROKER_GET_NUMS"
	BrokerPutNumsOfUsers  = "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC"
	BrokerGetNumsOfUsers  = "BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC"
	topicAndGroupSplitter = "@"
)

// brokerNames is the order of Stats.broker.
var brokerNames = [...]string{BrokerPutNums, BrokerGetNums, BrokerPutNumsOfUsers, BrokerGetNumsOfUsers}

func (s *Stats) brokerNums(i int) int64 {
	switch i {
	case 0:
		return s.putUsers() + s.put[system].nums.Load()
	case 1:
		return s.getUsers() + s.get[system].nums.Load()
	case 2:
		return s.putUsers()
	}
	return s.getUsers()
}

func (s *Stats) putUsers() int64 { return s.put[users].nums.Load() }
func (s *Stats) getUsers() int64 { return s.get[users].nums.Load() }

// View returns a statistic over the last minute, hour and day, as of their last samples; false when
// nothing was counted under this name and key yet. Java: BrokerStatsManager.getStatsItem.
func (s *Stats) View(name, key string) (body.BrokerStatsData, bool) {
	for i, n := range brokerNames {
		if n != name {
			continue
		}
		if key != s.o.ClusterName || s.brokerNums(i) == 0 {
			return body.BrokerStatsData{}, false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.broker[i].data(&s.clocks, ofNums), true
	}
	c, k := s.find(name, key)
	if c == nil || c.times.Load() == 0 {
		return body.BrokerStatsData{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.windows.data(&s.clocks, k), true
}

// find returns the counter that a name and a key mean, nil when there is none.
func (s *Stats) find(name, key string) (*Counter, kind) {
	switch name {
	case TopicPutNums, TopicPutSize:
		t := s.topics.Load(key)
		if t == nil {
			return nil, ofNums
		}
		if name == TopicPutSize {
			return &t.put, ofBytes
		}
		return &t.put, ofNums
	case GroupGetNums, GroupGetSize, SndbckPutNums:
		topicName, groupName, _ := strings.Cut(key, topicAndGroupSplitter)
		g := s.peek(groupName, topicName)
		switch {
		case g == nil:
			return nil, ofNums
		case name == GroupGetNums:
			return &g.get, ofNums
		case name == GroupGetSize:
			return &g.get, ofBytes
		}
		return &g.back, ofNums
	}
	return nil, ofNums
}

func (s *Stats) peek(groupName, topicName string) *group {
	if t := s.topics.Load(topicName); t != nil {
		return t.groups.Load(groupName)
	}
	return nil
}

// TopicPutTPS returns how many messages a second were put into a topic in the last minute.
// Java: BrokerStatsManager.tpsTopicPutNums.
func (s *Stats) TopicPutTPS(topicName string) float64 {
	if t := s.topics.Load(topicName); t != nil {
		return s.tps(&t.put)
	}
	return 0
}

// GroupGetTPS returns how many messages a second a group was given of a topic in the last minute.
// Java: BrokerStatsManager.tpsGroupGetNums.
func (s *Stats) GroupGetTPS(groupName, topicName string) float64 {
	if g := s.peek(groupName, topicName); g != nil {
		return s.tps(&g.get)
	}
	return 0
}

func (s *Stats) tps(c *Counter) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.windows[minute].item(&s.clocks[minute], ofNums).Tps
}
