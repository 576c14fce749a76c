package namesrv

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/skylarkmq/skylark/remoting/frame"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// syncMemberPrefix begins the names of topics whose route shows groups as they are, without stand-ins.
// Java: TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX.
const syncMemberPrefix = "rmq_sys_SYNC_BROKER_MEMBER_"

// noRoute is the remark for a topic without route. Java: ClientRequestProcessor, FAQUrl.APPLY_TOPIC_URL.
const noRoute = "No topic route info in name server for the topic: %s\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

// routeQuery is what GET_ROUTEINFO_BY_TOPIC asks for.
type routeQuery struct {
	topic string
	bare  bool   // integer keys without quotes, as clients before 4.9.4 know them
	zone  string // only groups of this zone; empty: all
}

// readRouteQuery takes the query from ext fields without decoding a header, as every client asks for
// every topic each 30 s.
func readRouteQuery(cmd *protocol.Command) routeQuery {
	q := routeQuery{topic: "null", bare: cmd.Version < protocol.VersionV4_9_4} // Java's text for no topic
	mode, zone := false, ""
	for _, f := range cmd.Ext {
		switch f.Key {
		case "topic":
			q.topic = f.Value
		case "acceptStandardJsonOnly":
			if strings.EqualFold(f.Value, "true") {
				q.bare = false
			}
		case zoneMode:
			mode = strings.EqualFold(f.Value, "true")
		case zoneName:
			zone = f.Value
		}
	}
	if mode && strings.TrimSpace(zone) != "" {
		q.zone = zone
		q.bare = true // Java's ZoneRouteRPCHook encodes anew, without looking at the version
	}
	return q
}

func (s *Server) getRouteInfoByTopic(r *mux.Request) (*protocol.Command, error) {
	if !s.ready() {
		return nil, protocol.Errorf(protocol.SystemError, "name server not ready")
	}
	q := readRouteQuery(&r.Cmd)
	b, err := s.topology.encodedRoute(q)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, protocol.Errorf(protocol.TopicNotExist, noRoute, q.topic)
	}
	return protocol.Reply(nil, b), nil
}

// routeInline answers route requests from the cache on the event loop.
type routeInline struct {
	s    *Server
	conn mux.Conn
	out  *mux.Buffer // replies of this round
}

func (s *Server) openRouteInline(c mux.Conn) mux.Inline { return &routeInline{s: s, conn: c} }

// maxRound is how many bytes of replies are gathered before they are handed on.
const maxRound = 64 << 10

// Offer implements mux.Inline: what the cache does not have goes to the lane.
func (i *routeInline) Offer(cmd *protocol.Command) bool {
	q := readRouteQuery(cmd)
	if q.zone != "" || !i.s.ready() {
		return false
	}
	b := i.s.topology.routes.get(q.topic, q.bare)
	if b == nil {
		return false
	}
	if cmd.IsOneway() {
		return true
	}
	resp := protocol.Command{Code: protocol.Success, Version: protocol.Version, Flag: protocol.FlagResponse, Opaque: cmd.Opaque, Body: b}
	if i.out == nil {
		i.out = mux.NewBuffer(len(b) + 256)
	}
	i.out.B = frame.Append(i.out.B, &resp)
	if len(i.out.B) >= maxRound {
		i.Flush()
	}
	return true
}

// Flush implements mux.Inline.
func (i *routeInline) Flush() {
	if i.out != nil {
		i.conn.Write(i.out)
		i.out = nil
	}
}

// routeCache holds encoded routes until any table changes. Topics without route are not in it, so it is
// no larger than the tables.
type routeCache struct {
	mu     sync.RWMutex
	routes map[string]*[2][]byte // by topic; quoted keys, bare keys
}

// clear forgets all routes. It is called with topology.mu held for writing, or for a change of the KV
// configuration that is in place already.
func (c *routeCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.routes == nil || len(c.routes) > 0 {
		c.routes = map[string]*[2][]byte{}
	}
}

func (c *routeCache) get(topic string, bare bool) []byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e := c.routes[topic]; e != nil {
		return e[form(bare)]
	}
	return nil
}

func (c *routeCache) put(topic string, bare bool, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.routes[topic]
	if e == nil {
		e = new([2][]byte)
		c.routes[strings.Clone(topic)] = e
	}
	e[form(bare)] = b
}

func form(bare bool) int {
	if bare {
		return 1
	}
	return 0
}

// encodedRoute returns the reply's body, nil when the topic has no route. The bytes are shared.
func (t *topology) encodedRoute(q routeQuery) ([]byte, error) {
	if q.zone == "" {
		if b := t.routes.get(q.topic, q.bare); b != nil {
			return b, nil
		}
	}
	t.mu.RLock()
	defer t.mu.RUnlock() // put must not come behind the clear of a later change
	route := t.route(q.topic)
	if route == nil {
		return nil, nil
	}
	if q.zone != "" {
		keepZone(route, q.zone)
	}
	b, err := body.Marshal(route)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the route of %s: %w", q.topic, err)
	}
	if q.bare {
		b = bareKeys(b)
	}
	if q.zone == "" {
		t.routes.put(q.topic, q.bare, b)
	}
	return b, nil
}

// route returns where a topic is, brokers sorted by name, or nil. The caller holds mu.
// Java: RouteInfoManager.pickupTopicRouteData.
func (t *topology) route(topic string) *body.TopicRouteData {
	queues := t.topics[topic]
	route := &body.TopicRouteData{FilterServerTable: map[string][]string{}, TopicQueueMappingByBroker: t.mappings[topic]}
	for _, name := range sortedKeys(queues) {
		route.QueueDatas = append(route.QueueDatas, queues[name])
		g := t.groups[name]
		if g == nil {
			continue
		}
		route.BrokerDatas = append(route.BrokerDatas, g.data())
		for _, addr := range g.addrs {
			if list := t.filters[brokerAddr{g.cluster, addr}]; list != nil {
				route.FilterServerTable[addr] = list
			}
		}
	}
	if len(route.BrokerDatas) == 0 {
		return nil
	}
	if t.current.Load().SupportActingMaster && !strings.HasPrefix(topic, syncMemberPrefix) {
		for i := range route.BrokerDatas {
			standIn(&route.BrokerDatas[i], queues[route.BrokerDatas[i].BrokerName])
		}
	}
	if t.current.Load().OrderMessageEnable {
		route.OrderTopicConf, _ = t.kv.get(orderTopicConfig, topic)
	}
	return route
}

// standIn shows the slave with the smallest id as master where there is none, its brokers allow it and
// the topic is not written to.
func standIn(g *body.BrokerData, q body.QueueData) {
	if _, ok := g.BrokerAddrs[masterID]; ok || !g.EnableActingMaster || len(g.BrokerAddrs) == 0 || q.Perm&permWrite != 0 {
		return
	}
	id := sortedKeys(g.BrokerAddrs)[0]
	g.BrokerAddrs[masterID] = g.BrokerAddrs[id]
	delete(g.BrokerAddrs, id)
}

// keepZone drops the groups of other zones, unless they have no master: then their slaves are read from
// wherever they are. Java: ZoneRouteRPCHook.
func keepZone(route *body.TopicRouteData, zone string) {
	dropped := map[string]bool{}
	route.BrokerDatas = slices.DeleteFunc(route.BrokerDatas, func(g body.BrokerData) bool {
		if g.BrokerAddrs[masterID] == "" || strings.EqualFold(g.ZoneName, zone) {
			return false
		}
		dropped[g.BrokerName] = true
		for _, addr := range g.BrokerAddrs {
			delete(route.FilterServerTable, addr)
		}
		return true
	})
	route.QueueDatas = slices.DeleteFunc(route.QueueDatas, func(q body.QueueData) bool { return dropped[q.BrokerName] })
}

// replyBareKeys answers success with v as body, integer keys as Java writes them there.
func replyBareKeys(v any) (*protocol.Command, error) {
	resp, err := body.Reply(nil, v)
	if err == nil {
		resp.Body = bareKeys(resp.Body)
	}
	return resp, err
}

// bareKeys takes the quotes off the integer keys of compact JSON: those of the objects that are named
// brokerAddrs or currIdMap. Elsewhere keys that look like numbers are names.
func bareKeys(b []byte) []byte {
	out := make([]byte, 0, len(b))
	inside := false // such an object; its values are strings or numbers
	for i := 0; i < len(b); {
		if c := b[i]; c != '"' {
			inside = inside && c != '}'
			out = append(out, c)
			i++
			continue
		}
		end := i + 1
		for end < len(b) && b[end] != '"' {
			if b[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(b))
		s := b[i:end]
		key := end < len(b) && b[end] == ':'
		if inside && key && isInteger(s[1:len(s)-1]) {
			s = s[1 : len(s)-1]
		}
		opens := key && end+1 < len(b) && b[end+1] == '{'
		inside = inside || opens && (string(s) == `"brokerAddrs"` || string(s) == `"currIdMap"`)
		out = append(out, s...)
		i = end
	}
	return out
}

func isInteger(s []byte) bool {
	if len(s) > 1 && s[0] == '-' {
		s = s[1:]
	}
	return len(s) > 0 && !slices.ContainsFunc(s, func(c byte) bool { return c < '0' || c > '9' })
}
