package admin

import (
	"fmt"
	"slices"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// script is what TestRepliesAreThoseOfJava asks, in order.
func script() []exchange {
	return slices.Concat(topicScript(), groupScript(), messageScript(), clientScript(), offsetScript(), progressScript(), relayScript(), deleteScript())
}

func ask(name string, code int32, text string, ext ...string) exchange {
	return exchange{name: name, from: "tool", cmd: request(code, text, ext...)}
}

func (e exchange) kept() exchange {
	e.keep = true
	return e
}

func (e exchange) noRemark() exchange {
	e.remarkless = true
	return e
}

func (e exchange) onlyCode() exchange {
	e.quiet = true
	return e
}

func newTopic(name, topic string, ext ...string) exchange {
	fields := []string{"topic=" + topic, "defaultTopic=TBW102", "readQueueNums=2", "writeQueueNums=3", "perm=6", "topicFilterType=SINGLE_TAG",
		"topicSysFlag=0", "order=false"}
	return ask(name, protocol.UpdateAndCreateTopic, "", append(fields, ext...)...)
}

func topicScript() []exchange {
	list := func(name, text string) exchange {
		return ask(name, protocol.UpdateAndCreateTopicList, `{"topicConfigList":[`+text+`]}`)
	}
	config := func(name string) string {
		return `{"attributes":{},"order":false,"perm":6,"readQueueNums":1,"topicFilterType":"SINGLE_TAG","topicName":"` + name + `","topicSysFlag":0,"writeQueueNums":1}`
	}
	get := func(name string) exchange {
		return ask("topic "+name, protocol.GetTopicConfig, "", "topic="+name)
	}
	return []exchange{
		ask("system topics", protocol.GetSystemTopicListFromBroker, "").kept(),
		ask("topics at the start", protocol.GetAllTopicConfig, "").kept(),
		newTopic("new topic", "T1"),
		newTopic("same topic", "T1"),
		get("T1").kept(),
		get("T0"),
		ask("topic without name", protocol.GetTopicConfig, "").noRemark(),
		newTopic("topic with attributes", "T2", "attributes=+message.type=FIFO"),
		newTopic("topic with other attributes", "T2", "attributes=+message.type=DELAY"),
		get("T2"),
		newTopic("topic without attributes", "T2", "attributes=-message.type"),
		get("T2"),
		newTopic("attribute unknown", "T2", "attributes=+no.such=1"),
		newTopic("attribute value unknown", "T2", "attributes=+message.type=SLOW"),
		newTopic("attribute fixed", "T2", "attributes=+queue.type=BatchCQ"),
		newTopic("attribute garbled", "T2", "attributes=message.type=FIFO"),
		newTopic("mixed type", "T3", "attributes=+message.type=MIXED"),
		newTopic("illegal topic", "a b"),
		newTopic("blank topic", " "),
		newTopic("system topic", "SCHEDULE_TOPIC_XXXX"),
		newTopic("topic like a system topic", "rmq_sys_x"),
		ask("topic without queues", protocol.UpdateAndCreateTopic, "", "topic=T3", "defaultTopic=TBW102", "perm=6", "topicFilterType=SINGLE_TAG", "order=false").noRemark(),
		list("topic list", config("L1")+","+config("L2")),
		list("empty topic list", ""),
		list("topic list with illegal topic", config("L3")+","+config("a b")),
		list("topic list with system topic", config("L3")+","+config("BenchmarkTest")),
		get("L2"),
		get("L3"),
		ask("first page of topics", protocol.GetAllTopicConfig, "", "topicSeq=0", "maxTopicNum=3"),
		ask("page of another version", protocol.GetAllTopicConfig, "", "topicSeq=5", "maxTopicNum=2", `dataVersion={"counter":1,"stateVersion":0,"timestamp":1}`),
		ask("page without version", protocol.GetAllTopicConfig, "", "topicSeq=5", "maxTopicNum=2"),
	}
}

func groupScript() []exchange {
	update := func(name, text string) exchange {
		return ask(name, protocol.UpdateAndCreateSubscriptionGroup, text)
	}
	get := func(name string) exchange {
		return ask("group "+name, protocol.GetSubscriptionGroupConfig, "", "group="+name)
	}
	forbidden := func(name string, ext ...string) exchange {
		return ask(name, protocol.UpdateAndGetGroupForbidden, "", append([]string{"group=G1", "topic=T1"}, ext...)...)
	}
	return []exchange{
		ask("groups at the start", protocol.GetAllSubscriptionGroupConfig, "").kept(),
		update("new group", `{"groupName":"G1","retryMaxTimes":3,"consumeMessageOrderly":true}`),
		get("G1").kept(),
		get("G0"),
		update("group without body", ""),
		update("group garbled", "{").noRemark(),
		update("illegal group", `{"groupName":"a b"}`),
		update("blank group", `{"groupName":""}`),
		update("group attribute unknown", `{"groupName":"G2","attributes":{"+no.such":"1"}}`).noRemark(),
		update("group with attribute", `{"groupName":"G2","attributes":{"+priority.factor":"50"}}`),
		get("G2"),
		ask("group list", protocol.UpdateAndCreateSubscriptionGroupList, `{"groupConfigList":[{"groupName":"G3"},{"groupName":"G4","brokerId":1}]}`),
		ask("group list with illegal group", protocol.UpdateAndCreateSubscriptionGroupList, `{"groupConfigList":[{"groupName":"G5"},{"groupName":"a b"}]}`),
		get("G4"),
		forbidden("may read"),
		forbidden("must not read", "readable=false"),
		forbidden("must not read still"),
		ask("groups", protocol.GetAllSubscriptionGroupConfig, "").kept(),
		ask("page of groups", protocol.GetAllSubscriptionGroupConfig, "", "groupSeq=0", "maxGroupNum=9"),
		forbidden("may read again", "readable=true"),
		ask("delete unknown group", protocol.DeleteSubscriptionGroup, "", "groupName=G9", "cleanOffset=true"),
	}
}

func messageScript() []exchange {
	put := func(queue int) exchange {
		return ask("send", protocol.SendMessageV2, "hello", "a=P1", "b=T1", "c=TBW102", "d=4", fmt.Sprintf("e=%d", queue), "f=0", "g=1700000000000", "h=0",
			"i=TAGS\x01a\x02", "j=0", "k=false", "m=false").onlyCode()
	}
	bound := func(name string, code int32, topic string, queue int, ext ...string) exchange {
		return ask(name, code, "", append([]string{"topic=" + topic, fmt.Sprintf("queueId=%d", queue)}, ext...)...)
	}
	arrived := bound("max offset", protocol.GetMaxOffset, "T1", 0)
	arrived.until = "offset=3"
	other := bound("max offset of other queue", protocol.GetMaxOffset, "T1", 1, "committed=true")
	other.until = "offset=1"
	return []exchange{
		ask("topic stats when empty", protocol.GetTopicStatsInfo, "", "topic=T1"),
		bound("earliest time when empty", protocol.GetEarliestMsgStoreTime, "T1", 0),
		put(0), put(0), put(0), put(1), arrived, other,
		bound("max offset of unknown topic", protocol.GetMaxOffset, "T0", 0),
		bound("min offset", protocol.GetMinOffset, "T1", 0),
		bound("min offset of unused queue", protocol.GetMinOffset, "T1", 2),
		bound("earliest time", protocol.GetEarliestMsgStoreTime, "T1", 0),
		bound("earliest time of unknown topic", protocol.GetEarliestMsgStoreTime, "T0", 0),
		bound("offset by early time", protocol.SearchOffsetByTimestamp, "T1", 0, "timestamp=1"),
		bound("offset by early time, upper", protocol.SearchOffsetByTimestamp, "T1", 0, "timestamp=1", "boundaryType=UPPER"),
		bound("offset by late time", protocol.SearchOffsetByTimestamp, "T1", 0, "timestamp=9999999999999"),
		bound("offset by time in unknown topic", protocol.SearchOffsetByTimestamp, "T0", 0, "timestamp=1"),
		ask("topic stats", protocol.GetTopicStatsInfo, "", "topic=T1").kept(),
		ask("topic stats of unknown topic", protocol.GetTopicStatsInfo, "", "topic=T0"),
		ask("message", protocol.ViewMessageByID, "", "offset=0").onlyCode(),
		ask("no message", protocol.ViewMessageByID, "", "offset=99999999"),
		ask("statistic", protocol.ViewBrokerStatsData, "", "statsName=TOPIC_PUT_NUMS", "statsKey=T1").kept(),
		ask("statistic of the broker", protocol.ViewBrokerStatsData, "", "statsName=BROKER_PUT_NUMS", "statsKey=DefaultCluster"),
		ask("unknown key", protocol.ViewBrokerStatsData, "", "statsName=TOPIC_PUT_NUMS", "statsKey=T0"),
		ask("unknown statistic", protocol.ViewBrokerStatsData, "", "statsName=NO_SUCH", "statsKey=T1"),
		ask("no statistic of gets", protocol.ViewBrokerStatsData, "", "statsName=GROUP_GET_NUMS", "statsKey=T1@G1"),
	}
}

func clientScript() []exchange {
	heartbeat := exchange{name: "heartbeat", from: "client", cmd: request(protocol.HeartBeat,
		`{"clientID":"127.0.0.1@1","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"G1",`+
			`"messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[97],"expressionType":"TAG","subString":"a","subVersion":5,"tagsSet":["a"],"topic":"T1"}],`+
			`"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"P1"}],"withoutSub":false}`), quiet: true}
	return []exchange{
		ask("consumers offline", protocol.GetConsumerConnectionList, "", "consumerGroup=G1"),
		ask("producers offline", protocol.GetProducerConnectionList, "", "producerGroup=P1"),
		ask("no producers", protocol.GetAllProducerInfo, ""),
		ask("subscription offline", protocol.QuerySubscriptionByConsumer, "", "group=G1", "topic=T1"),
		heartbeat,
		ask("consumers", protocol.GetConsumerConnectionList, "", "consumerGroup=G1").kept(),
		ask("producers", protocol.GetProducerConnectionList, "", "producerGroup=P1").kept(),
		ask("all producers", protocol.GetAllProducerInfo, "").kept(),
		ask("subscription", protocol.QuerySubscriptionByConsumer, "", "group=G1", "topic=T1"),
		ask("subscription to another topic", protocol.QuerySubscriptionByConsumer, "", "group=G1", "topic=T2"),
		ask("groups of a topic", protocol.QueryTopicConsumeByWho, "", "topic=T1"),
		ask("groups of unknown topic", protocol.QueryTopicConsumeByWho, "", "topic=T0"),
	}
}

func offsetScript() []exchange {
	commit := func(group, topic string, queue, at int) exchange {
		return ask("commit", protocol.UpdateConsumerOffset, "", "consumerGroup="+group, "topic="+topic, fmt.Sprintf("queueId=%d", queue), fmt.Sprintf("commitOffset=%d", at)).onlyCode()
	}
	progress := func(name string, ext ...string) exchange { return ask(name, protocol.GetConsumeStats, "", ext...) }
	return []exchange{
		progress("progress without offsets", "consumerGroup=G1"),
		commit("G1", "T1", 0, 2), commit("G1", "T1", 1, 0), commit("G1", "T2", 0, 0), commit("G3", "T1", 0, 1), commit("G3", "L1", 0, 7),
		progress("progress", "consumerGroup=G1").kept(),
		progress("progress in one topic", "consumerGroup=G1", "topic=T1"),
		progress("progress in a topic not subscribed to", "consumerGroup=G1", "topic=T2"),
		progress("progress in listed topics", "consumerGroup=G1", "topicList=T2;T0;"),
		progress("progress offline", "consumerGroup=G3"),
		progress("progress of unknown group", "consumerGroup=G0", "topic=T1"),
		ask("groups of a topic with offsets", protocol.QueryTopicConsumeByWho, "", "topic=T1"),
		ask("topics of a group", protocol.QueryTopicsByConsumer, "", "group=G3"),
		ask("topics of unknown group", protocol.QueryTopicsByConsumer, "", "group=G0"),
		ask("all offsets", protocol.GetAllConsumerOffset, ""),
		ask("all delay offsets", protocol.GetAllDelayOffset, "").kept(),
	}
}

func progressScript() []exchange {
	span := func(name, topic, group string) exchange {
		return ask(name, protocol.QueryConsumeTimeSpan, "", "topic="+topic, "group="+group)
	}
	queue := func(name string, ext ...string) exchange {
		return ask(name, protocol.QueryConsumeQueue, "", ext...)
	}
	return []exchange{
		span("time span", "T1", "G1"),
		span("time span of a group without offsets", "T1", "G0"),
		span("time span of unknown topic", "T0", "G1"),
		ask("correction", protocol.QueryCorrectionOffset, "", "compareGroup=G1", "topic=T1"),
		ask("correction of unknown topic", protocol.QueryCorrectionOffset, "", "compareGroup=G0", "topic=T0"),
		ask("clone offsets", protocol.CloneGroupOffset, "", "srcGroup=G3", "destGroup=G8", "topic=T1", "offline=false"),
		ask("clone offsets of a topic not subscribed to", protocol.CloneGroupOffset, "", "srcGroup=G1", "destGroup=G8", "topic=T2", "offline=false"),
		ask("clone offsets of unknown topic", protocol.CloneGroupOffset, "", "srcGroup=G3", "destGroup=G9", "topic=T0", "offline=true"),
		ask("topics of the clone", protocol.QueryTopicsByConsumer, "", "group=G8"),
		ask("clone without group", protocol.CloneGroupOffset, "", "destGroup=G9").noRemark(),
		queue("units", "topic=T1", "queueId=0", "index=0", "count=2"),
		queue("units from the middle", "topic=T1", "queueId=0", "index=1", "count=10"),
		queue("units and a subscription", "topic=T1", "queueId=0", "index=0", "count=1", "consumerGroup=G1").onlyCode(),
		queue("units and a group offline", "topic=T1", "queueId=0", "index=0", "count=1", "consumerGroup=G0"),
		queue("units of unused queue", "topic=T0", "queueId=3", "index=0", "count=1"),
		ask("all progress", protocol.GetBrokerConsumeStats, "", "isOrder=false").onlyCode(),
	}
}

func relayScript() []exchange {
	reset := func(name string, ext ...string) exchange {
		return ask(name, protocol.InvokeBrokerToResetOffset, "", append(ext, "isForce=true")...)
	}
	offset := func(group, topic string) exchange {
		return ask("offset of "+group, protocol.QueryConsumerOffset, "", "consumerGroup="+group, "topic="+topic, "queueId=0")
	}
	commit := ask("commit while reset", protocol.UpdateConsumerOffset, "", "consumerGroup=G1", "topic=T1", "queueId=0", "commitOffset=2")
	reply := func(name, properties string) exchange {
		return ask(name, protocol.SendReplyMessageV2, "answer", "a=P2", "b=DefaultCluster_REPLY_TOPIC", "c=TBW102", "d=4", "e=0", "f=0", "g=1700000000000", "h=0", "i="+properties, "j=0", "k=false", "m=false")
	}
	return []exchange{
		reset("reset of unknown topic", "topic=T0", "group=G1", "timestamp=-1"),
		reset("reset of unknown group", "topic=T1", "group=G0", "timestamp=-1"),
		reset("reset beyond the end", "topic=T1", "group=G1", "timestamp=0", "queueId=0", "offset=9"),
		reset("reset to the beginning", "topic=T1", "group=G1", "timestamp=0"),
		offset("G1", "T1"), commit, offset("G1", "T1"),
		reset("reset to the end", "topic=T1", "group=G1", "timestamp=-1"),
		offset("G1", "T1"),
		reset("reset one queue", "topic=T1", "group=G1", "timestamp=0", "queueId=0", "offset=1"),
		offset("G1", "T1"),
		ask("state of a consumer offline", protocol.GetConsumerRunningInfo, "", "consumerGroup=G1", "clientId=nobody"),
		ask("state without client", protocol.GetConsumerRunningInfo, "", "consumerGroup=G1").noRemark(),
		ask("consume by a consumer offline", protocol.ConsumeMessageDirectly, "", "consumerGroup=G1", "clientId=nobody", "msgId=7F0000010000000000000000000000").noRemark(),
		ask("consume what is no message", protocol.ConsumeMessageDirectly, "", "consumerGroup=G1", "clientId=nobody", "msgId=nothing").noRemark(),
		ask("status of another client", protocol.InvokeBrokerToGetConsumerStatus, "", "topic=T1", "group=G1", "clientAddr=nobody"),
		reply("reply to nobody", "CORRELATION_ID\x01x\x02"),
		reply("reply to a client offline", "CORRELATION_ID\x01x\x02REPLY_TO_CLIENT\x01nobody\x02"),
	}
}

func deleteScript() []exchange {
	del := func(name, topic string) exchange {
		return ask(name, protocol.DeleteTopicInBroker, "", "topic="+topic)
	}
	return []exchange{
		newTopic("pop retry topic", "%RETRY%G3_T1"),
		newTopic("pop retry topic of second form", "%RETRY%G3+T1"),
		del("delete blank topic", " "),
		del("delete system topic", "TBW102"),
		del("delete unknown topic", "T0"),
		del("delete topic", "T1"),
		ask("deleted topic", protocol.GetTopicConfig, "", "topic=T1"),
		ask("deleted pop retry topic", protocol.GetTopicConfig, "", "topic=%RETRY%G3_T1"),
		ask("max offset of deleted topic", protocol.GetMaxOffset, "", "topic=T1", "queueId=0"),
		ask("statistic of deleted topic", protocol.ViewBrokerStatsData, "", "statsName=TOPIC_PUT_NUMS", "statsKey=T1"),
		ask("offsets without the topic", protocol.QueryTopicsByConsumer, "", "group=G3"),
		ask("delete group", protocol.DeleteSubscriptionGroup, "", "groupName=G3", "cleanOffset=false"),
		ask("offsets of deleted group", protocol.QueryTopicsByConsumer, "", "group=G3"),
		ask("delete group with offsets", protocol.DeleteSubscriptionGroup, "", "groupName=G3", "cleanOffset=true"),
		ask("no offsets of deleted group", protocol.QueryTopicsByConsumer, "", "group=G3"),
		ask("groups in the end", protocol.GetAllSubscriptionGroupConfig, ""),
	}
}
