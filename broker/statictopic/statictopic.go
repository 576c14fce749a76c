// Package statictopic answers for logical queues what clients ask about offsets: where a group is, the first, the last
// and the offset of a time. A logical queue is a row of physical queues of several brokers; its leader, the broker
// that is asked, looks into its own and asks the others for theirs. Routes wraps the handlers that answer for physical
// queues: a request for any other topic passes at the cost of one look at the table of static topics.
//
// Requests that have to ask another broker are answered by goroutines of their own, so that one that hangs keeps no
// worker from others; each counts among the requests its connection may have waiting. One more goroutine takes items
// away that hold no messages any more (clean.go). Close ends all.
//
// Java: the methods rewriteRequestForStaticTopic of AdminBrokerProcessor and ConsumerManageProcessor, and
// TopicQueueMappingCleanService.
package statictopic

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// Store is what is asked of this broker's own queues. Offsets are physical queue offsets.
type Store interface {
	// MinOffset returns the offset of a queue's first message, 0 for an unknown queue.
	MinOffset(topic string, queueID int32) int64
	// MaxOffset returns the offset behind a queue's last message, 0 for an unknown queue.
	MaxOffset(topic string, queueID int32) int64
	// OffsetByTime returns the offset of the first message stored at or after timestamp (ms) or, with upper,
	// of the last one stored at or before it.
	OffsetByTime(topic string, queueID int32, timestamp int64, upper bool) int64
	// StoreTime returns the store timestamp (ms) of the message at an offset, -1 when there is none.
	StoreTime(topic string, queueID int32, queueOffset int64) int64
}

// Options of the handlers.
type Options struct {
	Logger   zerolog.Logger
	Mappings *mapping.Table
	Store    Store
	// Offset returns a group's offset of a physical queue of this broker.
	Offset func(group, topic string, queueID int32) (int64, bool)
	// Remote asks the master of another broker group. Timeout bounds the wait for a name server.
	Remote  func(ctx context.Context, broker string, cmd *protocol.Command) (*protocol.Command, error)
	Timeout time.Duration
	// Route returns where a topic is, nil when there is no such topic.
	Route func(ctx context.Context, topic string) (*body.TopicRouteData, error)
	// Hours are those of the day in which items are cleaned (deleteWhen).
	Hours []int
	// CleanEvery is how often the hour is looked at; 0: 5 min, as in Java.
	CleanEvery time.Duration
	// Now is the clock for Hours; nil: time.Now.
	Now func() time.Time
}

// Static answers for logical queues.
type Static struct {
	o      Options
	wg     sync.WaitGroup
	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
}

// Open starts the cleaner; Close ends it.
func Open(o Options) *Static {
	if o.CleanEvery == 0 {
		o.CleanEvery = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Static{o: o}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.clean)
	return s
}

// Close gives up what waits for other brokers and stops. No request may come any more.
func (s *Static) Close() {
	s.cancel()
	s.wg.Wait()
}

// asked is a request for a logical queue.
type asked struct {
	s     *Static
	r     *mux.Request
	queue mapping.Queue
	// physical answers the request for a physical queue of this broker.
	physical mux.Handler
}

// answer is how one code is answered for a logical queue.
type answer func(a *asked) (*protocol.Command, error)

// Routes returns the routes with those for which logical queues make a difference wrapped.
func (s *Static) Routes(routes []mux.Route) []mux.Route {
	answers := map[int32]answer{
		protocol.QueryConsumerOffset: (*asked).queryOffset, protocol.UpdateConsumerOffset: (*asked).updateOffset,
		protocol.SearchOffsetByTimestamp: (*asked).searchOffset, protocol.GetMaxOffset: (*asked).maxOffset,
		protocol.GetMinOffset: (*asked).minOffset, protocol.GetEarliestMsgStoreTime: (*asked).earliestStoreTime,
	}
	for i := range routes {
		if answer := answers[routes[i].Code]; answer != nil {
			routes[i].Handle = s.wrap(routes[i].Handle, answer)
		}
	}
	return routes
}

func (s *Static) wrap(physical mux.Handler, answer answer) mux.Handler {
	return func(r *mux.Request) *protocol.Command {
		if !s.o.Mappings.Any() {
			return physical(r)
		}
		topic, _ := r.Cmd.Ext.Get("topic")
		d := s.o.Mappings.Get(topic)
		if d == nil || mapping.IsPhysical(r.Cmd.Ext) {
			return physical(r)
		}
		text, _ := r.Cmd.Ext.Get("queueId")
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return physical(r) // for its refusal
		}
		q, err := mapping.Lead(d, int32(id))
		if err != nil {
			return protocol.ErrorResponse(err)
		}
		a := &asked{s: s, r: r, queue: q, physical: physical}
		if q.Local() {
			return a.run(answer)
		}
		s.wg.Go(func() { r.Reply(a.run(answer)) })
		return nil
	}
}

func (a *asked) run(answer answer) *protocol.Command {
	resp, err := answer(a)
	if err != nil {
		return protocol.ErrorResponse(err)
	}
	return resp
}

// ask sends a request for the physical queue of an item, another broker's, and returns the answer, whatever its code.
func (s *Static) ask(i *mapping.Item, code int32, header any) (*protocol.Command, error) {
	cmd := protocol.NewRequest(code, header)
	cmd.Ext = append(cmd.Ext, mapping.PhysicalAt(i)...)
	return s.call(i.Bname, cmd)
}

func (s *Static) call(broker string, cmd *protocol.Command) (*protocol.Command, error) {
	resp, err := s.o.Remote(s.ctx, broker, cmd)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	return resp, nil
}

// success decodes the header of an answer that has to be a success.
func success(i *mapping.Item, resp *protocol.Command, h any) error {
	if resp.Code != protocol.Success {
		return protocol.Errorf(protocol.SystemError, "broker %s refused, code %d: %s", i.Bname, resp.Code, resp.Remark)
	}
	if h == nil {
		return nil
	}
	if err := protocol.DecodeHeader(resp.Ext, h); err != nil {
		return fmt.Errorf("cannot read the answer of broker %s: %w", i.Bname, err)
	}
	return nil
}
