package transaction

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/broker/internal/conntest"
	"github.com/skylarkmq/skylark/broker/offset"
	"github.com/skylarkmq/skylark/broker/send"
	"github.com/skylarkmq/skylark/broker/session"
	"github.com/skylarkmq/skylark/broker/stats"
	"github.com/skylarkmq/skylark/broker/topic"
	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
	"github.com/skylarkmq/skylark/store/fsys"
	"github.com/skylarkmq/skylark/store/storetest/simfs"
)

// realTopic and group are those of the test's messages.
const realTopic, producers = "Orders", "GID_orders"

// world is a broker's parts around Transactions on a disk in memory, with a clock that the test moves. Rounds are
// made by the test, not by time.
type world struct {
	t        *testing.T
	disk     *simfs.Disk
	dir      string // of the tables' files
	store    *store.Store
	sender   *send.Sender
	offsets  *offset.Table
	sessions *session.Table
	trans    *Transactions
	conn     *conntest.Conn // of a producer
	index    bool
	change   func(*Options)
	made     []string      // topics made by the checker
	ahead    time.Duration // of the producer's clock

	mu   sync.Mutex
	now  time.Time
	puts int
	fail func(n int, m *message.Message) bool // which puts of Transactions fail, counted from 1
}

func newWorld(t *testing.T, change func(*Options)) *world {
	w := &world{t: t, disk: simfs.New(), dir: t.TempDir(), now: time.UnixMilli(1_700_000_000_000), index: true, change: change}
	w.open()
	t.Cleanup(func() { w.close() })
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass moves the clock.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) failing(fn func(n int, m *message.Message) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.puts, w.fail = 0, fn
}

var errOnPurpose = errors.New("on purpose")

func (w *world) refused(m *message.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.puts++
	return w.fail != nil && w.fail(w.puts, m)
}

// CreateInSendBack implements Topics.
func (w *world) CreateInSendBack(name string, queues, perm, _ int32) *body.TopicConfig {
	w.made = append(w.made, name)
	return &body.TopicConfig{TopicName: name, ReadQueueNums: queues, WriteQueueNums: queues, Perm: perm}
}

func (w *world) open() {
	w.t.Helper()
	o := store.DefaultOptions()
	o.FS, o.StorePathRootDir, o.Logger, o.Now = w.disk, "/store", zerolog.Nop(), w.clock
	o.MappedFileSizeCommitLog, o.MappedFileSizeConsumeQueue, o.MaxHashSlotNum, o.MaxIndexNum = 1<<20, 2000, 100, 400
	o.MessageIndexEnable = w.index
	o.DiskUsage = func(string) (fsys.Disk, error) { return fsys.Disk{Total: 2, Free: 2, Usable: 2}, nil }
	var err error
	w.store, err = store.Open(o)
	require.NoError(w.t, err)
	w.offsets, err = offset.Open(offset.Options{Path: filepath.Join(w.dir, "consumerOffset.json"), Logger: zerolog.Nop()})
	require.NoError(w.t, err)
	w.sessions = session.Open(session.Options{Logger: zerolog.Nop(), Now: w.clock})
	w.producer(1)
	at := netip.MustParseAddrPort("127.0.0.1:10911")
	w.sender = send.New(send.Options{Logger: zerolog.Nop(), StoreHost: at, Store: w.store,
		Settings: send.Settings{Timer: &send.TimerLimits{Precision: 1000, MaxDelay: 1 << 40, CongestNum: math.MaxInt32}}})
	counters := stats.Open(stats.Options{})
	w.t.Cleanup(counters.Close)
	to := Options{Logger: zerolog.Nop(), BrokerName: "broker-t", StoreHost: message.HostOf(at), Path: filepath.Join(w.dir, "transactionMetrics"), Store: w.store,
		Offsets: w.offsets, Topics: w, Producers: w.sessions, Stats: counters, Settings: Settings{TimeOut: 6 * time.Second, CheckInterval: time.Hour, CheckMax: 3,
			OpBatchInterval: time.Hour, OpMsgMaxSize: 4096, ReservedTime: 72 * time.Hour}, MetricsInterval: time.Hour, Now: w.clock,
		Put: func(m *message.Message, p string, rec store.Rec, done Stored) error {
			if w.refused(m) {
				return errOnPurpose
			}
			return w.sender.Put(m, p, rec, done)
		},
		PutFinal: func(m *message.Message, p message.Properties, done Stored) error {
			if w.refused(m) {
				return errOnPurpose
			}
			return w.sender.PutDelayed(m, p, done)
		}}
	if w.change != nil {
		w.change(&to)
	}
	w.trans = Open(to)
	if w.index {
		require.Eventually(w.t, w.store.Indexed, 10*time.Second, time.Millisecond)
	}
}

// producer puts a fresh connection in the place of the group's producer.
func (w *world) producer(id uint64) {
	if w.conn != nil {
		w.conn.Close("gone")
	}
	w.conn = conntest.New(id)
	w.sessions.RegisterProducer(session.Client{Conn: w.conn, ID: "producer"}, producers)
}

func (w *world) close() {
	require.NoError(w.t, w.trans.Close())
	w.sessions.Close()
	require.NoError(w.t, w.offsets.Close())
	require.NoError(w.t, w.store.Close())
}

// restart stops cleanly and starts again.
func (w *world) restart() {
	w.close()
	w.open()
}

// kill ends all as kill -9 would, and starts again: what Transactions hold in memory is lost, and so are the
// consumer offsets since they were last persisted.
func (w *world) kill() {
	after := w.disk.Crash(1, simfs.Kill)
	w.failing(func(int, *message.Message) bool { return true })
	require.NoError(w.t, w.trans.Close())
	w.sessions.Close()
	require.NoError(w.t, w.store.Close())
	w.disk = after
	w.failing(nil)
	w.open()
}

// prepare stores a half message as package send does and returns what its producer ends it with.
func (w *world) prepare(text string, more ...message.Property) header.EndTransactionRequest {
	w.t.Helper()
	p := message.Properties{{Name: "TRAN_MSG", Value: "true"}, {Name: "PGROUP", Value: producers}, {Name: "UNIQ_KEY", Value: "U" + text}, {Name: "TAGS", Value: "a"},
		{Name: "__transactionId__", Value: "U" + text}, {Name: "REAL_TOPIC", Value: realTopic}, {Name: "REAL_QID", Value: "2"}}
	for _, one := range more {
		p.Set(one.Name, one.Value)
	}
	m := message.Message{Topic: topic.TransHalf, Flag: 7, SysFlag: message.SysFlagCompressed, BornTimestamp: w.clock().Add(w.ahead).UnixMilli(), ReconsumeTimes: 1, Body: []byte(text),
		BornHost: message.HostOf(netip.MustParseAddrPort("10.1.2.3:4")), StoreHost: message.HostOf(netip.MustParseAddrPort("127.0.0.1:10911"))}
	got := make(chan store.Rec, 1)
	require.NoError(w.t, w.sender.Put(&m, p.String(), store.Rec{TagsCode: 97}, func(err error, recs []store.Rec) {
		if err != nil {
			panic(err)
		}
		got <- recs[0]
	}))
	rec := <-got
	w.trans.CountHalf(realTopic)
	return header.EndTransactionRequest{ProducerGroup: producers, TranStateTableOffset: rec.QueueOffset, CommitLogOffset: rec.PhysicalOffset, MsgID: "U" + text}
}

// begin requests the end of a transaction; the channel tells of its outcome.
func (w *world) begin(h header.EndTransactionRequest, kind int32) <-chan error {
	h.CommitOrRollback = kind
	out := make(chan error, 1)
	if err := w.trans.finish(&h, func(err error) { out <- err }); err != nil {
		out <- err
	}
	return out
}

func (w *world) commit(h header.EndTransactionRequest) {
	w.t.Helper()
	require.NoError(w.t, <-w.begin(h, message.SysFlagCommit))
}

func (w *world) rollback(h header.EndTransactionRequest) {
	w.t.Helper()
	require.NoError(w.t, <-w.begin(h, message.SysFlagRollback))
}

// round makes a round of the checker, a minute later, and returns the questions that the producer gets.
func (w *world) round() []question {
	w.t.Helper()
	w.pass(time.Minute)
	require.NoError(w.t, w.trans.round())
	return w.questions()
}

// question is a CHECK_TRANSACTION_STATE, and the header that answers it.
type question struct {
	header.EndTransactionRequest
	asked header.CheckTransactionStateRequest
	rec   message.Record
}

func (w *world) questions() []question {
	w.t.Helper()
	var out []question
	for {
		select {
		case cmd := <-w.conn.Sent:
			require.Equal(w.t, protocol.CheckTransactionState, cmd.Code)
			require.True(w.t, cmd.IsOneway())
			q := question{}
			require.NoError(w.t, protocol.DecodeHeader(cmd.Ext, &q.asked))
			var err error
			q.rec, err = message.Parse(cmd.Body, true)
			require.NoError(w.t, err)
			q.EndTransactionRequest = header.EndTransactionRequest{ProducerGroup: message.GetProperty(q.rec.Properties, "PGROUP"), FromTransactionCheck: true,
				TranStateTableOffset: q.asked.TranStateTableOffset, CommitLogOffset: q.asked.CommitLogOffset, MsgID: q.asked.MsgID}
			out = append(out, q)
		default:
			return out
		}
	}
}

// records returns all messages of a queue.
func (w *world) records(name string, id int32) []message.Record {
	w.t.Helper()
	var out []message.Record
	q := w.store.Find(name, id)
	if q == nil {
		return nil
	}
	for at := q.Min(); at < q.Max(); at++ {
		u, ok, err := q.At(at)
		require.NoError(w.t, err)
		require.True(w.t, ok)
		rec, err := w.store.Record(u.PhysicalOffset)
		require.NoError(w.t, err)
		out = append(out, rec)
	}
	return out
}

// delivered returns the bodies that consumers of the real queue see.
func (w *world) delivered() []string {
	w.t.Helper()
	out := []string{}
	for _, r := range w.records(realTopic, 2) {
		out = append(out, string(r.Body))
	}
	return out
}

// opBodies returns the texts of all op messages.
func (w *world) opBodies() []string {
	w.t.Helper()
	out := []string{}
	for _, r := range w.records(topic.TransOpHalf, 0) {
		out = append(out, string(r.Body))
	}
	return out
}

func (w *world) offset(name string) int64 {
	at, _ := w.offsets.Query("CID_RMQ_SYS_TRANS", name, 0)
	return at
}

func property(name, value string) message.Property {
	return message.Property{Name: name, Value: value}
}

func bodies(prefix string, n int) []string {
	out := []string{}
	for i := range n {
		out = append(out, prefix+strconv.Itoa(i))
	}
	return out
}

func (q question) String() string { return fmt.Sprint(string(q.rec.Body), "@", q.TranStateTableOffset) }
