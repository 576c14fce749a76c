package stats

import "maps"

// TopicFigures are what was counted of a topic since the broker started, or since the topic was made.
type TopicFigures struct {
	Topic  string
	System bool
	In     []In // by type, of those that came
	// Commits to Delays are all zero for a topic without transactions and timed messages.
	Commits, Rollbacks int64
	Finish             Histogram // s, of commits
	Entered, Left      int64     // of the timer
	Delays             Histogram // s
}

// In is what came into a topic of one type.
type In struct {
	Type            MessageType
	Messages, Bytes int64
	Sizes           Histogram // bytes
}

// Out is what went to a group one way.
type Out struct {
	Way             Way
	Messages, Bytes int64
}

// GroupFigures are what was counted of a group in a topic.
type GroupFigures struct {
	Topic, Group string
	SystemTopic  bool
	Out          []Out // by way, of those that went
	Dead         int64
	Revived      map[any]int64 // by ReviveIn, ReviveOut and ReviveRetry
}

// Each calls ofTopic for every topic that something was counted of, and ofGroup for every group in it. The figures may be
// kept.
func (s *Stats) Each(ofTopic func(*TopicFigures), ofGroup func(*GroupFigures)) {
	s.topics.Range(func(name string, t *topic) bool {
		ofTopic(t.figures(name))
		t.groups.Range(func(groupName string, g *group) bool {
			f := g.figures()
			f.Topic, f.Group, f.SystemTopic = name, groupName, t.system == system
			ofGroup(f)
			return true
		})
		return true
	})
}

func (t *topic) figures(name string) *TopicFigures {
	f := &TopicFigures{Topic: name, System: t.system == system}
	for i := range t.in {
		if in := t.in[i].Load(); in != nil {
			f.In = append(f.In, In{MessageType(i), in.nums.Load(), in.bytes.Load(), in.sizes.Snapshot()})
		}
	}
	if w := t.waited.Load(); w != nil {
		f.Commits, f.Rollbacks, f.Finish = w.commits.Load(), w.rollbacks.Load(), w.finish.Snapshot()
		f.Entered, f.Left, f.Delays = w.entered.Load(), w.left.Load(), w.delays.Snapshot()
	}
	return f
}

func (g *group) figures() *GroupFigures {
	f := &GroupFigures{Dead: g.dead.Load()}
	for i := range g.out {
		if n := g.out[i].nums.Load(); n > 0 {
			f.Out = append(f.Out, Out{Way(i), n, g.out[i].bytes.Load()})
		}
	}
	if r := g.revived.Load(); r != nil {
		r.mu.Lock()
		f.Revived = maps.Clone(r.n)
		r.mu.Unlock()
	}
	return f
}
