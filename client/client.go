// Package client is what the packages of the client library share. The library speaks the remoting protocol with
// any RocketMQ server of 4.9 or 5.x, Skylark's or Java's:
//
//   - package producer sends messages: one or a batch, and waits, or not; later (Message.DelayLevel, Delay,
//     DeliverAt); in the order of a key; in transactions; as requests that are replied to.
//   - package consumer receives them: Push hands them to a listener, as they come or in order, and has what the
//     listener fails on come again; Pull has them polled. A group may have consumers of this library and of
//     Java's at the same time.
//   - package admin administers servers.
//
// # Life
//
// New connects as needed and starts what the producer or consumer needs; Close(ctx) ends it: it waits for what is
// under way, stores offsets, and takes leave of the brokers. Each goroutine belongs to a producer or consumer, and
// Close waits for it. There is no global state: each has connections of its own, and any number may live in one
// process.
//
// # Messages
//
// A message is a topic and a body; a tag selects, keys find it later, and properties are the sender's own. Message
// ids (SendResult.MsgID) are made by the sender. A topic that does not exist is created by a broker that allows it.
//
// A message may arrive more than once: when a sender tries again (producer.Options.Retries), when a listener fails,
// and when consumers come and go. Consumers that mind keep the MsgID, or better a key of their own, of what they
// have seen.
//
// # Errors
//
// What a server refuses is a *client.Error with code and remark; Code takes the code out of an error that wraps it.
// The codes are constants of package remoting/protocol. Before anything is sent, messages that all brokers would
// refuse are refused with code 13, MESSAGE_ILLEGAL.
//
// # What is not there
//
// TLS, the VIP port, namespaces (write the prefix into names), static topics, pop consumption, and sending with LZ4 or zstd; both are read.
package client
