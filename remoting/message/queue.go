package message

// MessageQueue names one queue of a topic on one broker. Java: org.apache.rocketmq.common.message.MessageQueue.
type MessageQueue struct {
	Topic      string `json:"topic"`
	BrokerName string `json:"brokerName"`
	QueueID    int32  `json:"queueId"`
}
