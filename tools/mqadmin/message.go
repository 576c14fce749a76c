package mqadmin

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skylarkmq/skylark/client/admin"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

func messageCommands() []command {
	return []command{
		{name: "queryMsgById", usage: "Query Message by Id.", run: queryMsgByID,
			options: "t/topic=* i/msgId=* g/consumerGroup= d/clientId= s/sendMessage= u/unitName= f/bodyFormat= c/cluster="},
		{name: "queryMsgByKey", usage: "Query Message by Key.", run: queryMsgByKey,
			options: "t/topic=* k/msgKey=* b/beginTimestamp=# e/endTimestamp=# m/maxNum=# c/cluster= p/keyType= l/lastKey="},
		{name: "queryMsgByUniqueKey", usage: "Query Message by Unique key.", run: queryMsgByUniqueKey,
			options: "i/msgId=* g/consumerGroup= d/clientId= t/topic=* a/showAll c/cluster= s/startTime=# e/endTime=#"},
		{name: "queryMsgByOffset", usage: "Query Message by offset.", run: queryMsgByOffset,
			options: "t/topic=* b/brokerName=* i/queueId=#* o/offset=#* f/bodyFormat= r/routeTopic="},
		{name: "queryCq", usage: "Query cq command.", run: queryCq, options: "t/topic=* q/queue=#* i/index=#* c/count=# b/broker= g/consumer="},
		{name: "queryMsgTraceById", alias: "QueryMsgTraceById", usage: "Query a message trace.", run: queryMsgTrace,
			options: "i/msgId=* t/traceTopic= b/beginTimestamp=# e/endTimestamp=# c/maxNum=#"},
	}
}

// shown is a message with what became of it, for --json.
type shown struct {
	OffsetMsgID    string            `json:"offsetMsgId"`
	Topic          string            `json:"topic"`
	QueueID        int32             `json:"queueId"`
	QueueOffset    int64             `json:"queueOffset"`
	PhysicalOffset int64             `json:"commitLogOffset"`
	ReconsumeTimes int32             `json:"reconsumeTimes"`
	BornTimestamp  int64             `json:"bornTimestamp"`
	StoreTimestamp int64             `json:"storeTimestamp"`
	BornHost       string            `json:"bornHost"`
	StoreHost      string            `json:"storeHost"`
	SysFlag        int32             `json:"sysFlag"`
	Flag           int32             `json:"flag"`
	Properties     map[string]string `json:"properties"`
	Body           []byte            `json:"body"` // base64
	Tracks         []track           `json:"tracks,omitempty"`
}

func shownOf(m *admin.Message, pulled *admin.PullResult, tracks []track) shown {
	return shown{OffsetMsgID: m.OffsetID(), Topic: m.Topic, QueueID: m.QueueID, QueueOffset: m.QueueOffset, PhysicalOffset: m.PhysicalOffset,
		ReconsumeTimes: m.ReconsumeTimes, BornTimestamp: m.BornTimestamp, StoreTimestamp: m.StoreTimestamp, BornHost: m.BornHost.AddrPort().String(),
		StoreHost: m.StoreHost.AddrPort().String(), SysFlag: m.SysFlag, Flag: m.Flag, Properties: propertyMap(m, pulled), Body: m.Body, Tracks: tracks}
}

// track says what became of a message in a group. Java: MessageTrack.
type track struct {
	Group     string `json:"consumerGroup"`
	Type      string `json:"trackType"`
	Exception string `json:"exceptionDesc,omitempty"`
}

func (t track) String() string {
	return fmt.Sprintf("MessageTrack [consumerGroup=%s, trackType=%s, exceptionDesc=%s]", t.Group, t.Type, orNull(t.Exception))
}

// tracks finds out what became of a message. Java: DefaultMQAdminExtImpl.messageTrackDetail.
func tracks(k *call, m *admin.Message) ([]track, error) {
	groups, err := k.GroupsOf(k.ctx, m.Topic)
	if err != nil {
		return nil, err
	}
	var out []track
	for _, g := range groups {
		t := track{Group: g, Type: "UNKNOWN"}
		cc, err := k.ConsumerConnection(k.ctx, g, "")
		switch {
		case err != nil:
			t.Type, t.Exception = failedTrack(err)
		case cc.ConsumeType == body.ConsumeActively:
			t.Type = "PULL"
		case cc.ConsumeType == body.ConsumePassively && cc.MessageModel == body.Broadcasting:
			t.Type = "CONSUME_BROADCASTING"
		case cc.ConsumeType == body.ConsumePassively:
			t.Type, t.Exception = consumed(k, m, g, cc)
		}
		out = append(out, t)
	}
	return out, nil
}

func failedTrack(err error) (kind, exception string) {
	var refused *protocol.Error
	if !errors.As(err, &refused) {
		return "UNKNOWN", err.Error()
	}
	if refused.Code == protocol.ConsumerNotOnline {
		return "NOT_ONLINE", fmt.Sprintf("CODE:%d DESC:%s", refused.Code, refused.Remark)
	}
	return "UNKNOWN", fmt.Sprintf("CODE:%d DESC:%s", refused.Code, refused.Remark)
}

// consumed tells whether a group's offset is behind a message, and whether its tags let it through.
func consumed(k *call, m *admin.Message, group string, cc *body.ConsumerConnection) (kind, exception string) {
	stats, err := k.Client.ConsumeStats(k.ctx, group, "", "") // of physical queues, as the message's
	if err != nil {
		return failedTrack(err)
	}
	brokers, err := k.Brokers(k.ctx, "")
	if err != nil {
		return failedTrack(err)
	}
	for q, o := range stats.OffsetTable {
		here := slices.ContainsFunc(brokers, func(b body.BrokerData) bool {
			return b.BrokerName == q.BrokerName && b.BrokerAddrs[admin.MasterID] == m.StoreHost.AddrPort().String()
		})
		if q.Topic != m.Topic || q.QueueID != m.QueueID || !here || o.ConsumerOffset <= m.QueueOffset {
			continue
		}
		s := cc.SubscriptionTable[m.Topic]
		tag := message.GetProperty(m.Properties, message.PropertyTags)
		if s != nil && len(s.TagsSet) > 0 && !slices.Contains(s.TagsSet, tag) && !slices.Contains(s.TagsSet, body.SubAll) {
			return "CONSUMED_BUT_FILTERED", ""
		}
		return "CONSUMED", ""
	}
	return "NOT_CONSUME_YET", ""
}

// bodyFolder is where Java's mqadmin leaves the bodies of the messages it shows.
const bodyFolder = "/tmp/rocketmq/msgbodys/"

// printMessage shows one message. With offsetID its first line is that; behind is what stands behind a track.
func printMessage(k *call, m *admin.Message, pulled *admin.PullResult, offsetID bool, index int, behind string) error {
	list, trackErr := tracks(k, m)
	return errors.Join(trackErr, k.show(shownOf(m, pulled, list), func() {
		path := bodyFolder + m.ID()
		if index > 0 {
			path += fmt.Sprintf("_%d", index)
		}
		if err := writeFile(path, m.Body); err != nil {
			fmt.Fprintln(k.errs, err)
		}
		tag, keys := message.GetProperty(m.Properties, message.PropertyTags), message.GetProperty(m.Properties, message.PropertyKeys)
		lines := [][2]any{{"OffsetID:", m.OffsetID()}, {"Topic:", m.Topic}, {"Tags:", "[" + orNull(tag) + "]"}, {"Keys:", "[" + orNull(keys) + "]"},
			{"Queue ID:", m.QueueID}, {"Queue Offset:", m.QueueOffset}, {"CommitLog Offset:", m.PhysicalOffset}, {"Reconsume Times:", m.ReconsumeTimes},
			{"Born Timestamp:", human(m.BornTimestamp)}, {"Store Timestamp:", human(m.StoreTimestamp)}, {"Born Host:", m.BornHost.AddrPort()},
			{"Store Host:", m.StoreHost.AddrPort()}, {"System Flag:", m.SysFlag}, {"Properties:", javaMap(propertyMap(m, pulled))}, {"Message Body Path:", path}}
		if !offsetID {
			lines = lines[1:]
		}
		for _, l := range lines {
			k.printf("%-20s %v\n", l[0], l[1])
		}
		if k.has("f") {
			k.printf("%-20s %s\n", "Message Body:", m.Body)
		}
		if len(list) == 0 {
			k.printf("\n\nWARN: No Consumer")
			return
		}
		k.printf("\n\n")
		for _, t := range list {
			k.printf("%s%s", t, behind)
		}
	}))
}

func queryMsgByID(k *call) error {
	for _, id := range strings.Split(k.str("i"), ",") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		var err error
		switch {
		case k.has("g") && k.has("d"):
			err = consumeDirectly(k, id)
		case k.has("s"):
			err = resend(k, id)
		default:
			var m *admin.Message
			if m, err = k.MessageByID(k.ctx, k.str("c"), k.str("t"), id); err == nil {
				err = printMessage(k, m, nil, true, 0, "\n")
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// consumeDirectly has a push consumer consume a message now.
func consumeDirectly(k *call, id string) error {
	group, client, topic := k.str("g"), k.str("d"), k.str("t")
	info, err := k.RunningInfo(k.ctx, group, client, false)
	if err != nil {
		return err
	}
	if push, _ := pushes(info); !push {
		k.printf("this %s client is not push consumer ,not support direct push \n", client)
		return nil
	}
	m, err := k.MessageByID(k.ctx, k.str("c"), topic, id)
	if err != nil {
		return err
	}
	r, err := k.ConsumeDirectly(k.ctx, group, client, topic, m.OffsetID())
	if err != nil {
		return err
	}
	return k.show(r, func() { k.printf("%s", directText(r)) })
}

func resend(k *call, id string) error {
	if !k.boolean("s", false) {
		return nil
	}
	m, err := k.MessageByID(k.ctx, k.str("c"), k.str("t"), id)
	if err != nil {
		return err
	}
	queues, addrs, err := k.Queues(k.ctx, m.Topic, true)
	if err != nil {
		return err
	}
	q := pick(queues)
	k.printf("prepare resend msg. originalMsgId=%s", id)
	r, err := k.Send(k.ctx, addrs[q.BrokerName], "ReSendMsgById", q, message.ParseProperties(m.Properties), m.Body)
	if err == nil {
		k.printf("%s", sendText(r))
	}
	return err
}

func queryMsgByKey(k *call) error {
	kind := cmp.Or(k.str("p"), admin.IndexKey)
	if kind != admin.IndexKey && kind != admin.IndexTag {
		return errors.New("index type error, just support K for keys or T for tags")
	}
	found, err := k.QueryMessages(k.ctx, admin.Query{Topic: k.str("t"), Key: k.str("k"), RouteTopic: k.str("c"), IndexType: kind, LastKey: k.str("l"),
		Max: int32(k.num("m", 64)), Begin: k.num("b", 0), End: k.num("e", 0)})
	if err != nil {
		return err
	}
	list := make([]shown, len(found))
	for i := range found {
		list[i] = shownOf(&found[i], nil, nil)
	}
	return k.show(list, func() {
		k.printf("%-50s %4s %40s %-200s\n", "#Message ID", "#QID", "#Offset", "#IndexKey")
		for _, m := range found {
			hour := m.StoreTimestamp - m.StoreTimestamp%time.Hour.Milliseconds()
			index := fmt.Sprintf("%d@%s@%s@%s@%s@%d", hour, k.str("t"), kind, k.str("k"), m.ID(), m.PhysicalOffset)
			k.printf("%-50s %4d %40d %-200s\n", m.ID(), m.QueueID, m.QueueOffset, index)
		}
	})
}

func queryMsgByUniqueKey(k *call) error {
	if k.has("g") && k.has("d") {
		return consumeDirectly(k, k.str("i"))
	}
	const window = 36 * time.Hour
	q := admin.Query{Topic: k.str("t"), Key: k.str("i"), RouteTopic: k.str("c"), IndexType: admin.IndexUnique, Max: 32,
		Begin: time.Now().Add(-window).UnixMilli(), End: time.Now().Add(window).UnixMilli()}
	if k.has("s") && k.has("e") {
		q.Begin, q.End = k.num("s", 0), k.num("e", 0)
	}
	found, err := k.QueryMessages(k.ctx, q)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, func(a, b admin.Message) int { return cmp.Compare(a.StoreTimestamp, b.StoreTimestamp) })
	if !k.has("a") {
		found = found[:1]
	}
	for i := range found {
		if err := printMessage(k, &found[i], nil, false, i, ""); err != nil {
			return err
		}
	}
	return nil
}

// toolsGroup is in which group the tools pull. Java: MixAll.TOOLS_CONSUMER_GROUP.
const toolsGroup = "TOOLS_CONSUMER"

// brokerAddr finds a broker by its name.
func brokerAddr(k *call, name string) (string, error) {
	brokers, err := k.Brokers(k.ctx, "")
	if err != nil {
		return "", err
	}
	for _, b := range brokers {
		if b.BrokerName == name {
			return admin.Addr(b), nil
		}
	}
	return "", fmt.Errorf("the name server knows no broker %s", name)
}

func queryMsgByOffset(k *call) error {
	addr, err := brokerAddr(k, k.str("b"))
	if err != nil {
		return err
	}
	q := body.MessageQueue{Topic: k.str("t"), BrokerName: k.str("b"), QueueID: int32(k.num("i", 0))}
	r, err := k.Pull(k.ctx, addr, q, toolsGroup, body.SubAll, k.num("o", 0), 1)
	if err != nil || len(r.Messages) == 0 {
		return err
	}
	return printMessage(k, &r.Messages[0], r, true, 0, "\n")
}

func queryCq(k *call) error {
	addr := k.str("b")
	if addr == "" {
		route, err := k.Route(k.ctx, k.str("t"))
		if err != nil {
			return err
		}
		if len(route.BrokerDatas) == 0 {
			return errors.New("no topic route data")
		}
		addr = admin.Addr(route.BrokerDatas[0])
	}
	r, err := k.ConsumeQueue(k.ctx, addr, header.QueryConsumeQueueRequest{Topic: k.str("t"), QueueID: int32(k.num("q", 0)), Index: k.num("i", 0), Count: int32(k.num("c", 10)), ConsumerGroup: k.str("g")})
	if err != nil {
		return err
	}
	return k.show(r, func() {
		rule := strings.Repeat("=", 38)
		if r.SubscriptionData != nil {
			b, _ := body.MarshalPretty(r.SubscriptionData) // it came as JSON
			k.printf("Subscription data: \n%s\n%s\n", b, rule)
		}
		if r.FilterData != "" {
			k.printf("Filter data: \n%s\n%s\n", r.FilterData, rule)
		}
		k.printf("Queue data: \nmax: %d, min: %d\n%s\n", r.MaxQueueIndex, r.MinQueueIndex, rule)
		for i, d := range r.QueueData {
			k.printf("idx: %d\nConsumeQueueData{physicOffset=%d, physicSize=%d, tagsCode=%d, extendDataJson='%s', bitMap='%s', eval=%t, msg='%s'}\n%s\n",
				k.num("i", 0)+int64(i), d.PhysicOffset, d.PhysicSize, d.TagsCode, orNull(d.ExtendDataJSON), orNull(d.BitMap), d.Eval, orNull(d.Msg), rule)
		}
	})
}
