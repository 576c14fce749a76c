// Package transaction ends transactions: END_TRANSACTION, the checks of those whose producers are silent, and
// RESUME_CHECK_HALF_MESSAGE.
//
// # Files
//
// They are Java's, so either broker goes on with the folder of the other. A half message, which package send
// stores, stands in queue 0 of RMQ_SYS_TRANS_HALF_TOPIC with its real topic and queue as properties. The final
// message is stored under the real topic; its PREPAREDTRANSACTIONOFFSET is the physical offset of the half
// message. An op message, queue 0 of RMQ_SYS_TRANS_OP_HALF_TOPIC, tag "d", lists queue offsets of half messages
// that are ended: "12,13,". The consumer offsets of CID_RMQ_SYS_TRANS in both queues say how far all half messages
// are dealt with, and from where on op messages still matter. config/transactionMetrics counts the half messages
// of each topic that are not ended; nothing depends on it.
//
// # What happens when
//
// A commit stores the final message and is answered when that is stored (in SYNC_FLUSH: durable). Its op follows
// in a batch, at the latest transactionOpBatchInterval later; a rollback's op is stored at once and the rollback
// answered then. Every transactionCheckInterval the checker goes through the half queue. A message that no op
// names and that is older than transactionTimeOut is stored again at the queue's end, with one more
// TRANSACTION_CHECK_TIMES, and a producer of its group is asked; so the consumer offset can always move on. One
// that has been asked for transactionCheckMax times, or is older than fileReservedTime, moves to
// TRANS_CHECK_MAX_TIME_TOPIC. One with CHECK_IMMUNITY_TIME_IN_SECONDS is stored again without a question while
// that time lasts.
//
// # Guarantees, also over kill -9 at any moment
//
//   - A commit that was answered is delivered. One-way requests, which clients send, are as safe from the
//     moment that the final message is in the log.
//   - A transaction that has not ended is asked for again, until it ends or is moved to
//     TRANS_CHECK_MAX_TIME_TOPIC; a crash can repeat a question and that move.
//   - A rollback that was answered is never asked for again, and nothing of it is delivered unless a producer
//     commits the same transaction.
//   - A commit is delivered once. Where Java's broker may deliver twice (the op was lost with the process, the
//     answer to a question overtook a late commit, a crash made the checker store a half message again), the
//     message's key is looked up in the index: a final message of the same transaction stands for the op, and
//     only the newest copy of a half message counts. At least once it is delivered, as by Java's broker, where
//     that cannot be: without messageIndexEnable (ops are then written at once, so that only a kill between
//     final message and op matters), while the index is built anew behind a start, and when a producer commits
//     twice unasked, with more than a batch in between and before the checker has passed the half message, which
//     no client does.
//
// # Goroutines and locks
//
// One goroutine checks, one writes op messages, one (writebehind) the counts; requests run on lanes. ledger.mu
// and counts.mu are leaves. Nothing grows with the number of half messages: the checker keeps one bit for each of
// at most 2^20 of them.
package transaction

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/consumequeue"
)

// Stored is told once what became of a message given to Options.Put, on a goroutine of the store; it must not block.
type Stored = func(err error, recs []store.Rec)

// Topics is what the checker needs of the topic table.
type Topics interface {
	CreateInSendBack(topic string, queueNums, perm, sysFlag int32) *body.TopicConfig
}

// Producers is what the checker needs of the session table.
type Producers interface {
	Producers(group string) []*session.Channel
	PickProducer(group string) *session.Channel
}

// Options are what Transactions need. Keys are Java's.
type Options struct {
	Logger     zerolog.Logger
	BrokerName string
	StoreHost  message.Host
	Path       string // config/transactionMetrics
	Store      *store.Store
	Offsets    *offset.Table
	Topics     Topics
	Producers  Producers
	// Put stores one message as it is; PutFinal follows its delay level or time of delivery.
	Put      func(m *message.Message, properties string, rec store.Rec, done Stored) error
	PutFinal func(m *message.Message, p message.Properties, done Stored) error
	Stats    *stats.Stats // counts final messages, ends, and what the checker reads

	// Settings are those at first, Set changes them.
	Settings        Settings
	MetricsInterval time.Duration // transactionMetricFlushInterval

	Now func() time.Time // nil: time.Now
}

// Settings are what may change while Transactions are open.
type Settings struct {
	TimeOut         time.Duration // transactionTimeOut
	CheckInterval   time.Duration // transactionCheckInterval
	CheckMax        int           // transactionCheckMax
	OpBatchInterval time.Duration // transactionOpBatchInterval
	OpMsgMaxSize    int           // transactionOpMsgMaxSize, bytes
	ReservedTime    time.Duration // fileReservedTime
}

// Transactions end transactions while they are open.
type Transactions struct {
	o      Options
	live   atomic.Pointer[Settings]
	retime chan struct{} // CheckInterval has changed
	ledger ledger
	ops    ops
	counts *counts

	// passed is up to where the checker has dealt with the half queue.
	passed atomic.Int64
	// unsure is the store timestamp up to which a half message may be ended, or stored again, without the checker
	// knowing of it: the start, or the last write that failed.
	unsure     atomic.Int64
	indexSince time.Time // since when the checker waits for the index; zero: it does not
	asked      int32     // requests sent to producers

	window   int64          // windowSize, less in tests
	inFlight sync.WaitGroup // final messages that are being stored
	stop     chan struct{}
	done     sync.WaitGroup
}

// Open corrects the consumer offsets and starts checking.
func Open(o Options) *Transactions {
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &Transactions{o: o, window: windowSize, stop: make(chan struct{}), retime: make(chan struct{}, 1)}
	t.live.Store(&o.Settings)
	t.ledger.init()
	t.ops.init(o.Store.Options().MessageIndexEnable)
	t.counts = openCounts(&t.o)
	t.unsure.Store(o.Now().UnixMilli())
	t.passed.Store(t.correct(topic.TransHalf))
	t.correct(topic.TransOpHalf)
	t.done.Go(t.check)
	t.done.Go(t.writeOps)
	return t
}

// Set changes the settings for what comes from now on; a new CheckInterval begins now.
func (t *Transactions) Set(to Settings) {
	t.live.Store(&to)
	select {
	case t.retime <- struct{}{}:
	default:
	}
}

// correct returns the consumer offset in a queue, brought into the queue's bounds: what a power cut took from
// the log is written anew, and is not dealt with.
func (t *Transactions) correct(name string) int64 {
	was, known := t.o.Offsets.Query(group.SysTrans, name, 0)
	at := max(min(was, t.o.Store.MaxOffset(name, 0)), t.o.Store.MinOffset(name, 0))
	if known && at != was {
		t.o.Logger.Info().Str("topic", name).Int64("from", was).Int64("to", at).Msg("consumer offset of transactions corrected")
		t.commit(name, at)
	}
	return at
}

func (t *Transactions) commit(name string, at int64) {
	t.o.Offsets.Commit("broker", group.SysTrans, name, 0, at)
}

func (t *Transactions) queue(name string) *consumequeue.Queue { return t.o.Store.Find(name, 0) }

// Close waits for what is being stored, writes the last op messages and the counts. No request may come any
// more; Closing twice is not allowed.
func (t *Transactions) Close() error {
	t.inFlight.Wait()
	close(t.stop)
	t.done.Wait()
	return t.counts.close()
}

// Routes returns the rows of the mux.
func (t *Transactions) Routes(end, admin *mux.Lane) []mux.Route {
	return []mux.Route{
		{Code: protocol.EndTransaction, Lane: end, Handle: mux.Handle(t.end)},
		{Code: protocol.ResumeCheckHalfMessage, Lane: admin, Handle: mux.Handle(t.resume)},
	}
}

// CountHalf counts a half message of topic that was stored. It must be told of each.
func (t *Transactions) CountHalf(topic string) { t.counts.add(topic, 1) }

// HalfMessages returns how many half messages of each topic are not ended, as far as is known.
func (t *Transactions) HalfMessages() map[string]int64 { return t.counts.all() }

// ForgetTopic drops the count of a deleted topic. Java: TransactionMetrics.cleanMetrics.
func (t *Transactions) ForgetTopic(topic string) { t.counts.forget(topic) }
