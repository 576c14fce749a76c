// Package producer sends messages: one or a batch, now or later, in order, in transactions, and requests that are
// replied to. See package client for the whole.
//
// Goroutines: up to Options.AsyncSenders for asynchronous sends, started as needed; one that answers brokers that
// check transactions; one for traces; those of the connection. Close ends and awaits all.
package producer

import (
	"context"
	"errors"
	"sync"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/client/internal/records"
	"github.com/skylarkmq/skylark/client/internal/trace"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// ErrClosed means that the producer is closed.
var ErrClosed = errors.New("the producer is closed")

// Options of a producer. Zero values take the defaults named.
type Options struct {
	client.Options
	// Group is the name of the producer group. It matters for transactions, whose fate brokers ask of any
	// producer of the group; empty: DEFAULT_PRODUCER. Java: MixAll.DEFAULT_PRODUCER_GROUP.
	Group string
	// Retries is how often a message is sent again, to another broker if there is one, when a broker cannot be
	// reached or refuses it with one of the codes 1, 2, 14, 16, 17, 204, 205 and 1500; 0: 2, below 0: never.
	// There is no pause in between, and each attempt but the last has Timeout. A message that is sent again may be
	// stored twice.
	// Java: DefaultMQProducer.retryTimesWhenSendFailed, retryResponseCodes.
	Retries int
	// RetryNotStored also tries another broker when one answers other than SEND_OK.
	// Java: retryAnotherBrokerWhenNotStoreOK.
	RetryNotStored bool
	// CompressOver is the size in bytes from which on bodies are compressed, with zlib; 0: 4096, below 0: none.
	// Java: compressMsgBodyOverHowmuch.
	CompressOver int
	// MaxMessageSize is the largest body that is sent, in bytes, before it is compressed; 0: 4 MiB.
	// Java: maxMessageSize.
	MaxMessageSize int
	// AsyncSenders is how many asynchronous sends go on at a time, each on a goroutine that is kept; 0: 64.
	AsyncSenders int
	// Check says what became of a transaction whose end a broker has not heard of. It runs on one goroutine, for
	// one message at a time. nil: brokers get no answer.
	Check func(ctx context.Context, m *client.MessageExt) TransactionState
	// Trace has what becomes of messages written to TraceTopic; empty: RMQ_SYS_TRACE_TOPIC.
	Trace      bool
	TraceTopic string
}

const defaultGroup = "DEFAULT_PRODUCER"

func (o Options) withDefaults() Options {
	o.Options = o.Options.WithDefaults()
	if o.Group == "" {
		o.Group = defaultGroup
	}
	if o.Retries == 0 {
		o.Retries = 2
	}
	o.Retries = max(o.Retries, 0)
	if o.CompressOver == 0 {
		o.CompressOver = 4096
	}
	if o.MaxMessageSize <= 0 {
		o.MaxMessageSize = 4 << 20
	}
	if o.AsyncSenders <= 0 {
		o.AsyncSenders = 64
	}
	return o
}

// Producer sends messages. All methods are safe from any goroutine.
type Producer struct {
	o        Options
	inst     *instance.Instance
	trace    *trace.Dispatcher
	ctx      context.Context // ends when the goroutines are to
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	jobs     chan job
	checks   chan check
	requests requests

	mu      sync.Mutex
	senders int            // goroutines that take jobs
	sends   sync.WaitGroup // sends that Close waits for
	closed  bool
}

// New returns a producer, which connects when it is used.
func New(o Options) (*Producer, error) {
	o = o.withDefaults()
	p := &Producer{o: o, jobs: make(chan job), checks: make(chan check, maxChecks), requests: requests{waiting: map[string]chan *client.MessageExt{}}}
	inst, err := instance.Open(instance.Options{Options: o.Options, Producers: []string{o.Group}, Handlers: map[int32]func(string, *protocol.Command) *protocol.Command{
		protocol.CheckTransactionState:    p.onCheck,
		protocol.PushReplyMessageToClient: p.requests.onReply,
	}})
	if err != nil {
		return nil, err
	}
	p.inst = inst
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if o.Trace {
		p.trace = trace.Open(inst, o.Group, o.TraceTopic, o.Logger)
	}
	p.wg.Go(p.answerChecks)
	return p, nil
}

// ClientID returns what brokers call this producer.
func (p *Producer) ClientID() string { return p.inst.ClientID() }

// Close waits until what is being sent is sent or ctx ends, local transactions included, then ends all connections
// and goroutines. Later sends fail with ErrClosed. Closing twice is fine.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return nil
	}
	idle := make(chan struct{})
	go func() { // ends with the last send, which fails soon once the connections are closed
		p.sends.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.trace.Close()
	p.cancel()
	err = errors.Join(err, p.inst.Close(ctx))
	p.wg.Wait()
	return err
}

// begin counts a send that Close waits for; done ends it.
func (p *Producer) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.sends.Add(1)
	return nil
}

// limited bounds ctx by Options.Timeout unless it has a deadline.
func (p *Producer) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, p.o.Timeout)
}

// Queues returns the queues of a topic that can be written, in order.
func (p *Producer) Queues(ctx context.Context, topic string) ([]client.MessageQueue, error) {
	ctx, cancel := p.limited(ctx)
	defer cancel()
	r, err := p.inst.PublishRoute(ctx, topic)
	if err != nil {
		return nil, err
	}
	return append([]client.MessageQueue(nil), r.Writable...), nil
}

// outgoing makes what goes over the wire of a message.
func (p *Producer) outgoing(m *client.Message) (*instance.Outgoing, error) {
	if err := records.Check(m, p.o.MaxMessageSize); err != nil {
		return nil, err
	}
	out := &instance.Outgoing{Group: p.o.Group, Topic: m.Topic, ID: p.inst.NewID(), Body: m.Body, Flag: m.Flag}
	var err error
	if out.Properties, err = records.Properties(m, out.ID); err != nil {
		return nil, err
	}
	if p.o.CompressOver > 0 && len(m.Body) >= p.o.CompressOver {
		packed, err := records.Compress(m.Body)
		if err != nil {
			return nil, err
		}
		out.Body, out.SysFlag = packed, records.FlagZlib
	}
	out.Reply = m.Properties[message.PropertyMessageType] == replyType
	if m.Properties[message.PropertyTransactionPrepared] == "true" {
		out.SysFlag |= message.SysFlagPrepared
	}
	return out, nil
}
