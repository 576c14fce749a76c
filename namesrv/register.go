package namesrv

import (
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

const (
	// defaultSilence is how long a broker may be silent that does not say itself.
	// Java: RouteInfoManager.DEFAULT_BROKER_CHANNEL_EXPIRED_TIME.
	defaultSilence = 2 * time.Minute
	// versionV3_0_11 is the first MQVersion whose registrations have a RegisterBrokerBody; those before
	// send its topic table alone.
	versionV3_0_11 = 36
	// maxSilence keeps a broker's own timeout from overflowing.
	maxSilence = 365 * 24 * time.Hour
	// zoneName and zoneMode are ext fields. Java: MixAll.ZONE_NAME, MixAll.ZONE_MODE.
	zoneName = "__ZONE_NAME"
	zoneMode = "__ZONE_MODE"
)

func (s *Server) registerBroker(r *mux.Request, h *header.RegisterBrokerRequest) (*protocol.Command, error) {
	if h.BodyCRC32 != 0 && int32(crc32.ChecksumIEEE(r.Cmd.Body)&0x7fffffff) != h.BodyCRC32 {
		return nil, protocol.Errorf(protocol.SystemError, "crc32 not match")
	}
	b, err := readRegistration(&r.Cmd, h.Compressed)
	if err != nil {
		s.o.Logger.Warn().Err(err).Str("broker", h.BrokerName).Str("addr", h.BrokerAddr).Msg("registration refused")
		return nil, protocol.Errorf(protocol.SystemError, "Failed to decode RegisterBrokerBody, %v", err)
	}
	zone, _ := r.Cmd.Ext.Get(zoneName)
	own(h)
	found, changes, err := s.topology.register(h, strings.Clone(zone), b, r.Conn)
	if err != nil {
		return nil, err
	}
	s.remover.watch(r.Conn)
	s.notify(changes)
	resp := protocol.Reply(&found, nil)
	if s.topology.current.Load().ReturnOrderTopicConfigToBroker {
		if table, ok := s.kv.list(orderTopicConfig); ok {
			if resp.Body, err = body.Marshal(body.KVTable{Table: table}); err != nil {
				return nil, err
			}
		}
	}
	return resp, nil
}

// own cuts the header's strings off the frame, as the tables keep them.
func own(h *header.RegisterBrokerRequest) {
	for _, s := range []*string{&h.BrokerName, &h.BrokerAddr, &h.ClusterName, &h.HAServerAddr} {
		*s = strings.Clone(*s)
	}
}

// readRegistration decodes the body of REGISTER_BROKER in the three forms it has. No body is an empty
// topic table.
func readRegistration(cmd *protocol.Command, compressed bool) (*body.RegisterBrokerBody, error) {
	b := &body.RegisterBrokerBody{FilterServerList: []string{}}
	var err error
	switch {
	case len(cmd.Body) == 0:
	case cmd.Version < versionV3_0_11:
		b.FilterServerList = nil // says nothing of them
		err = body.Unmarshal(cmd.Body, &b.TopicConfigSerializeWrapper)
	case compressed || deflated(cmd.Body):
		err = b.DecodeCompressed(cmd.Body, cmd.Version >= protocol.VersionV5_0_0)
	default:
		err = body.Unmarshal(cmd.Body, b)
	}
	return b, err
}

// deflated tells whether b begins as zlib data does, which no JSON does. A 5.5.0 broker with
// compressedRegister=true deflates its body and says compressed=false (BrokerOuterAPI.registerBrokerAll);
// Java's name server refuses it.
func deflated(b []byte) bool {
	return len(b) > 1 && b[0] == 0x78 && (int(b[0])<<8|int(b[1]))%31 == 0
}

// register takes a broker into the tables. found is for slaves: where their master is. The error is for
// the peer. Java: RouteInfoManager.registerBroker.
func (t *topology) register(h *header.RegisterBrokerRequest, zone string, b *body.RegisterBrokerBody, conn mux.Conn) (found header.RegisterBrokerResponse, changes []minIDChange, err error) {
	w := &b.TopicConfigSerializeWrapper
	acting := h.EnableActingMaster != nil && *h.EnableActingMaster
	t.mu.Lock()
	defer t.unlock()
	g := t.groups[h.BrokerName]
	if len(w.TopicConfigTable) == 1 && (g == nil || g.addrs[h.BrokerID] == "") {
		// An incremental registration says nothing of the broker's other topics.
		t.say(func() {
			t.log.Warn().Str("broker", h.BrokerName).Int64("id", h.BrokerID).Str("addr", h.BrokerAddr).Msg("registration refused: one topic of a broker that has not registered")
		})
		return found, nil, protocol.Errorf(protocol.SystemError, "register broker failed")
	}
	g = t.join(h, zone, acting)
	oldMin, hadMin := int64(0), len(g.addrs) > 0
	if hadMin {
		oldMin = g.minID()
	}
	t.moveID(g, h)
	if t.conflicts(g, h, w.DataVersion) {
		delete(t.live, brokerAddr{h.ClusterName, h.BrokerAddr})
		return found, nil, nil
	}
	first := g.addrs[h.BrokerID] == ""
	if g.addrs[h.BrokerID] != h.BrokerAddr {
		g.addrs[h.BrokerID] = h.BrokerAddr
		t.routes.clear()
	}
	primeSlave := h.EnableActingMaster != nil && h.BrokerID != masterID && h.BrokerID == g.minID()
	if h.BrokerID == masterID || primeSlave {
		t.takeTopics(h, w, first, primeSlave && acting)
	}
	t.keepAlive(h, w.DataVersion, conn)
	t.setFilters(h, b.FilterServerList)
	if h.BrokerID != masterID {
		if addr := g.addrs[masterID]; addr != "" {
			if l := t.live[brokerAddr{h.ClusterName, addr}]; l != nil {
				found.HAServerAddr, found.MasterAddr = l.haAddr, addr
			}
		}
	}
	if hadMin && h.BrokerID < oldMin {
		changes = []minIDChange{{addrs: maps.Clone(g.addrs), haAddr: h.HAServerAddr}}
	}
	return found, changes, nil
}

// join returns the broker's group, new if need be, with the properties the broker gives it.
func (t *topology) join(h *header.RegisterBrokerRequest, zone string, acting bool) *group {
	names := t.clusters[h.ClusterName]
	if names == nil {
		names = map[string]struct{}{}
		t.clusters[h.ClusterName] = names
	}
	names[h.BrokerName] = struct{}{}
	g := t.groups[h.BrokerName]
	if g == nil {
		g = &group{cluster: h.ClusterName, name: h.BrokerName, addrs: map[int64]string{}}
		t.groups[h.BrokerName] = g
	}
	if g.actingMaster != acting || g.zone != zone {
		g.actingMaster, g.zone = acting, zone
		t.routes.clear()
	}
	return g
}

// moveID drops the other ids of the registering address: a slave that becomes master, or is given another
// id, has one entry only.
func (t *topology) moveID(g *group, h *header.RegisterBrokerRequest) {
	before := len(g.addrs)
	maps.DeleteFunc(g.addrs, func(id int64, addr string) bool { return addr == h.BrokerAddr && id != h.BrokerID })
	if len(g.addrs) != before {
		t.routes.clear()
	}
}

// conflicts tells whether the id belongs to a live broker with another address and a newer state version:
// the one that registers was deposed and does not know yet.
func (t *topology) conflicts(g *group, h *header.RegisterBrokerRequest, v body.DataVersion) bool {
	old := g.addrs[h.BrokerID]
	if old == "" || old == h.BrokerAddr {
		return false
	}
	l := t.live[brokerAddr{h.ClusterName, old}]
	if l == nil || l.version.StateVersion <= v.StateVersion {
		return false
	}
	t.say(func() {
		t.log.Warn().Str("broker", h.BrokerName).Int64("id", h.BrokerID).Str("addr", h.BrokerAddr).Int64("stateVersion", v.StateVersion).
			Str("registered", old).Int64("registeredStateVersion", l.version.StateVersion).Msg("registration ignored: another broker has the id with a newer state version")
	})
	return true
}

// takeTopics brings the broker's topics into the tables, as far as its data version differs from the last
// one or a topic misses.
func (t *topology) takeTopics(h *header.RegisterBrokerRequest, w *body.TopicConfigAndMappingSerializeWrapper, first, readOnly bool) {
	last := t.live[brokerAddr{h.ClusterName, h.BrokerAddr}]
	changed := first || last == nil || last.version != w.DataVersion
	if t.current.Load().DeleteTopicWithBrokerRegistration && len(w.TopicQueueMappingInfoMap) == 0 {
		t.dropTopics(h.BrokerName, w.TopicConfigTable)
	}
	for key, c := range w.TopicConfigTable {
		if c == nil {
			continue
		}
		if c.TopicName == "" {
			c.TopicName = key
		}
		have, ok := t.topics[c.TopicName][h.BrokerName]
		if ok && !changed {
			continue
		}
		q := body.QueueData{BrokerName: h.BrokerName, Perm: c.Perm, ReadQueueNums: c.ReadQueueNums, TopicSysFlag: c.TopicSysFlag, WriteQueueNums: c.WriteQueueNums}
		if readOnly {
			q.Perm &^= permWrite // a slave that stands in for the master
		}
		if ok && have == q {
			continue
		}
		if t.topics[c.TopicName] == nil {
			t.topics[c.TopicName] = map[string]body.QueueData{}
		}
		t.topics[c.TopicName][h.BrokerName] = q
		t.routes.clear()
	}
	if changed {
		t.takeMappings(w.TopicQueueMappingInfoMap)
	}
}

// dropTopics takes the broker's topics that table does not have out of the tables.
func (t *topology) dropTopics(broker string, table map[string]*body.TopicConfig) {
	for topic, queues := range t.topics {
		if _, ok := queues[broker]; !ok || table[topic] != nil {
			continue
		}
		delete(queues, broker)
		if len(queues) == 0 {
			t.forget(topic)
		}
		t.say(func() { t.log.Info().Str("broker", broker).Str("topic", topic).Msg("topic gone from its broker") })
		t.routes.clear()
	}
}

// takeMappings keeps the queue mappings of static topics, which are only passed on to clients. As in Java
// they stay when the broker goes, because a logical queue does not move with it, until no broker has the topic.
func (t *topology) takeMappings(infos map[string]body.Raw) {
	for topic, raw := range infos {
		var info struct {
			Bname string `json:"bname"`
		}
		if body.Unmarshal(raw, &info) != nil || info.Bname == "" {
			continue
		}
		if t.mappings[topic] == nil {
			t.mappings[topic] = map[string]body.Raw{}
		}
		t.mappings[topic][info.Bname] = raw
		t.routes.clear()
	}
}

// keepAlive notes the registration.
func (t *topology) keepAlive(h *header.RegisterBrokerRequest, v body.DataVersion, conn mux.Conn) {
	a := brokerAddr{h.ClusterName, h.BrokerAddr}
	l := &liveBroker{timeout: defaultSilence, version: v, conn: conn, haAddr: h.HAServerAddr}
	if ms := h.HeartbeatTimeoutMillis; ms != nil {
		l.timeout = time.Duration(max(0, min(*ms, maxSilence.Milliseconds()))) * time.Millisecond
	}
	l.seen.Store(t.since())
	if t.live[a] == nil {
		t.say(func() {
			t.log.Info().Str("cluster", h.ClusterName).Str("broker", h.BrokerName).Int64("id", h.BrokerID).Str("addr", h.BrokerAddr).
				Str("haAddr", h.HAServerAddr).Stringer("from", conn.Remote()).Msg("broker registered")
		})
	}
	t.live[a] = l
}

// setFilters keeps the broker's filter servers; nil says nothing of them.
func (t *topology) setFilters(h *header.RegisterBrokerRequest, list []string) {
	a := brokerAddr{h.ClusterName, h.BrokerAddr}
	if list == nil || slices.Equal(t.filters[a], list) {
		return
	}
	if len(list) == 0 {
		delete(t.filters, a)
	} else {
		t.filters[a] = list
	}
	t.routes.clear()
}

func (s *Server) unregisterBroker(r *mux.Request, h *header.UnRegisterBrokerRequest) (*protocol.Command, error) {
	d := departure{addr: brokerAddr{h.ClusterName, h.BrokerAddr}, name: h.BrokerName, id: h.BrokerID}
	done := s.remover.add(d)
	if done == nil {
		s.o.Logger.Warn().Str("broker", h.BrokerName).Str("addr", h.BrokerAddr).Msg("unregistration refused: too many wait")
		return protocol.NewResponse(protocol.SystemError, ""), nil
	}
	<-done
	return protocol.Reply(nil, nil), nil
}

func (s *Server) brokerHeartbeat(_ *mux.Request, h *header.BrokerHeartbeatRequest) (*protocol.Command, error) {
	s.topology.touch(brokerAddr{h.ClusterName, h.BrokerAddr})
	return protocol.Reply(nil, nil), nil
}

// queryDataVersion tells a broker whether its topic table is not the one registered here.
func (s *Server) queryDataVersion(r *mux.Request, h *header.QueryDataVersionRequest) (*protocol.Command, error) {
	var theirs *body.DataVersion // no body: another version than any
	if len(r.Cmd.Body) > 0 {
		if err := body.Unmarshal(r.Cmd.Body, &theirs); err != nil {
			return nil, protocol.Errorf(protocol.SystemError, "%v", err)
		}
	}
	a := brokerAddr{h.ClusterName, h.BrokerAddr}
	s.topology.touch(a)
	ours, known := s.topology.dataVersion(a)
	resp := protocol.Reply(&header.QueryDataVersionResponse{Changed: !known || theirs == nil || ours != *theirs}, nil)
	if known {
		b, err := body.Marshal(ours)
		if err != nil {
			return nil, err
		}
		resp.Body = b
	}
	return resp, nil
}
