package cluster

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Request codes the harness itself sends (Java: RequestCode).
const (
	reqCreateTopic = 17  // UPDATE_AND_CREATE_TOPIC
	reqClusterInfo = 106 // GET_BROKER_CLUSTER_INFO
	reqRoute       = 105 // GET_ROUTEINFO_BY_TOPIC
	reqCreateGroup = 200 // UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
)

// Response is the answer to Call.
type Response struct {
	Code   int
	Remark string
	Ext    map[string]string
	Body   []byte

	flag int
}

// Call sends one request with a JSON header on a connection of its own and
// returns the answer. It is written apart from our remoting packages on
// purpose: the harness must not share their mistakes.
func Call(addr string, code int, ext map[string]string, body []byte) (*Response, error) {
	conn, err := net.DialTimeout("tcp", addr, 3*time.Second)
	if err != nil {
		return nil, fmt.Errorf("cannot call %s: %w", addr, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	head, err := json.Marshal(map[string]any{"code": code, "language": "JAVA", "version": 495,
		"opaque": 1, "flag": 0, "extFields": ext})
	if err != nil {
		return nil, fmt.Errorf("cannot encode request %d: %w", code, err)
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(head)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(head)))
	frame = append(append(frame, head...), body...)
	if _, err := conn.Write(frame); err != nil {
		return nil, fmt.Errorf("cannot send request %d to %s: %w", code, addr, err)
	}
	for {
		resp, err := readResponse(conn, code, addr)
		if err != nil || resp.flag&1 != 0 {
			return resp, err
		}
		// A request of the server's, such as NOTIFY_CONSUMER_IDS_CHANGED.
	}
}

func readResponse(conn net.Conn, code int, addr string) (*Response, error) {
	var lengths [8]byte
	if _, err := io.ReadFull(conn, lengths[:]); err != nil {
		return nil, fmt.Errorf("cannot read the answer to request %d from %s: %w", code, addr, err)
	}
	total, headLen := binary.BigEndian.Uint32(lengths[:4]), binary.BigEndian.Uint32(lengths[4:])
	if headLen>>24 != 0 || total < 4+headLen || total > 64<<20 {
		return nil, fmt.Errorf("cannot read the answer to request %d from %s: lengths %d/%#x", code, addr, total, headLen)
	}
	rest := make([]byte, total-4)
	if _, err := io.ReadFull(conn, rest); err != nil {
		return nil, fmt.Errorf("cannot read the answer to request %d from %s: %w", code, addr, err)
	}
	var head struct {
		Code      int               `json:"code"`
		Flag      int               `json:"flag"`
		Remark    string            `json:"remark"`
		ExtFields map[string]string `json:"extFields"`
	}
	if err := json.Unmarshal(rest[:headLen], &head); err != nil {
		return nil, fmt.Errorf("cannot parse the answer to request %d from %s: %w", code, addr, err)
	}
	return &Response{Code: head.Code, Remark: head.Remark, Ext: head.ExtFields, Body: rest[headLen:], flag: head.Flag}, nil
}

// dialable checks that a TCP connection can be opened.
func dialable(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// CreateTopic creates a topic with that many read and write queues (perm 6) on
// this broker and waits until its NameServers route it.
func (s *Server) CreateTopic(t TB, topic string, queues int) {
	t.Helper()
	q := strconv.Itoa(queues)
	s.mustCall(t, "create topic "+topic, reqCreateTopic, map[string]string{"topic": topic,
		"defaultTopic": "TBW102", "readQueueNums": q, "writeQueueNums": q, "perm": "6",
		"topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false"}, nil)
	s.AwaitRoute(t, topic)
}

// AwaitRoute waits until the broker's NameServers route the topic to it.
func (s *Server) AwaitRoute(t TB, topic string) {
	t.Helper()
	for _, list := range s.opts.Namesrv {
		for _, ns := range strings.Split(list, ";") {
			s.awaitRoute(t, ns, topic)
		}
	}
}

// CreateGroup creates a consumer group that consumes from the broker, with
// that retryMaxTimes. Other fields have Java's defaults.
func (s *Server) CreateGroup(t TB, group string, retryMax int) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"groupName": group, "consumeEnable": true,
		"consumeFromMinEnable": true, "consumeBroadcastEnable": true, "retryQueueNums": 1,
		"retryMaxTimes": retryMax, "brokerId": 0, "whichBrokerWhenConsumeSlowly": 1,
		"notifyConsumerIdsChangedEnable": true})
	if err != nil {
		t.Fatalf("cannot encode group %s: %v", group, err)
	}
	s.mustCall(t, "create group "+group, reqCreateGroup, nil, body)
}

func (s *Server) mustCall(t TB, what string, code int, ext map[string]string, body []byte) {
	t.Helper()
	resp, err := Call(s.Addr(), code, ext, body)
	if err != nil {
		t.Fatalf("cannot %s: %v", what, err)
	}
	if resp.Code != 0 {
		t.Fatalf("cannot %s: %s answers %d %s", what, s, resp.Code, resp.Remark)
	}
}

func (s *Server) awaitRoute(t TB, namesrv, topic string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := Call(namesrv, reqRoute, map[string]string{"topic": topic}, nil)
		if err == nil && resp.Code == 0 && strings.Contains(string(resp.Body), `"`+s.opts.Name+`"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("namesrv %s does not route topic %s to %s (last answer %+v, %v)", namesrv, topic, s.opts.Name, resp, err)
		}
		time.Sleep(20 * time.Millisecond) // polling another process: no event to await
	}
}
