package broker

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/auth"
	"github.com/skylarkmq/skylark/broker/metrics"
	"github.com/skylarkmq/skylark/broker/peer"
	"github.com/skylarkmq/skylark/broker/pop"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/store"
)

// Options are the keys of Java's BrokerConfig, NettyServerConfig and MessageStoreConfig that have an
// effect, under Java's names (../shared/spec/config_keys.tsv describes each), and what the program adds.
// DefaultOptions gives Java's defaults. Times are in ms unless the name says otherwise.
type Options struct {
	BrokerClusterName string `prop:"brokerClusterName"`
	BrokerName        string `prop:"brokerName"`
	BrokerID          int64  `prop:"brokerId"`
	BrokerIP1         string `prop:"brokerIP1"`
	BrokerIP2         string `prop:"brokerIP2"`
	BrokerRole        string `prop:"brokerRole"`
	ListenPort        int32  `prop:"listenPort"`
	BindAddress       string `prop:"bindAddress"`
	HaListenPort      int32  `prop:"haListenPort"` // announced to the name server; nothing listens yet
	NamesrvAddr       string `prop:"namesrvAddr,omitempty"`
	RocketmqHome      string `prop:"rocketmqHome,omitempty"`
	// HTTPListen is where the program answers operators, host:port (package tools/ops); "": nowhere.
	HTTPListen string `prop:"skylarkHttpListen,omitempty"`

	RegisterNameServerPeriod    int32 `prop:"registerNameServerPeriod"`
	RegisterBrokerTimeoutMills  int32 `prop:"registerBrokerTimeoutMills"`
	ForceRegister               bool  `prop:"forceRegister"`
	FetchNameSrvAddrByDNSLookup bool  `prop:"fetchNameSrvAddrByDnsLookup"`
	// Without NamesrvAddr the name servers may be asked for by HTTP, of the server that the domain and the subgroup name.
	FetchNamesrvAddrByAddressServer bool   `prop:"fetchNamesrvAddrByAddressServer"`
	FetchNamesrvAddrInterval        int64  `prop:"fetchNamesrvAddrInterval"`
	AddressServerDomain             string `prop:"rmqAddressServerDomain,omitempty"`
	AddressServerSubGroup           string `prop:"rmqAddressServerSubGroup,omitempty"`

	CompressedRegister bool  `prop:"compressedRegister"`
	ForwardTimeout     int64 `prop:"forwardTimeout"`

	BrokerPermission            int32  `prop:"brokerPermission"`
	DefaultTopicQueueNums       int32  `prop:"defaultTopicQueueNums"`
	AutoCreateTopicEnable       bool   `prop:"autoCreateTopicEnable"`
	AutoCreateSubscriptionGroup bool   `prop:"autoCreateSubscriptionGroup"`
	EnableCreateSysGroup        bool   `prop:"enableCreateSysGroup"`
	UseServerSideResetOffset    bool   `prop:"useServerSideResetOffset"`
	StoreReplyMessageEnable     bool   `prop:"storeReplyMessageEnable"`
	EnableMixedMessageType      bool   `prop:"enableMixedMessageType"`
	EnableSplitMetadata         bool   `prop:"enableSplitMetadata"`
	SplitMetadataSize           int32  `prop:"splitMetadataSize"`
	ValidateSystemTopic         bool   `prop:"validateSystemTopicWhenUpdateTopic"`
	ClearRetryTopicWhenDelete   bool   `prop:"clearRetryTopicWhenDeleteTopic"`
	ClusterTopicEnable          bool   `prop:"clusterTopicEnable"`
	BrokerTopicEnable           bool   `prop:"brokerTopicEnable"`
	TraceTopicEnable            bool   `prop:"traceTopicEnable"`
	MsgTraceTopicName           string `prop:"msgTraceTopicName"`
	ReviveQueueNum              int32  `prop:"reviveQueueNum"`
	EnableLmqStats              bool   `prop:"enableLmqStats"`
	TimerWheelEnable            bool   `prop:"timerWheelEnable"`
	RejectTransactionMessage    bool   `prop:"rejectTransactionMessage"`
	TransactionTimeOut          int64  `prop:"transactionTimeOut"`
	TransactionCheckInterval    int64  `prop:"transactionCheckInterval"`
	TransactionCheckMax         int32  `prop:"transactionCheckMax"`
	TransactionOpBatchInterval  int64  `prop:"transactionOpBatchInterval"`
	TransactionOpMsgMaxSize     int32  `prop:"transactionOpMsgMaxSize"` // bytes
	TransactionMetricFlush      int64  `prop:"transactionMetricFlushInterval"`
	RegionID                    string `prop:"regionId"`
	TraceOn                     bool   `prop:"traceOn"`
	StartAcceptSendRequest      int64  `prop:"startAcceptSendRequestTimeStamp"`

	MappedFileSizeTimerLog            int32 `prop:"mappedFileSizeTimerLog"` // bytes
	TimerPrecisionMs                  int32 `prop:"timerPrecisionMs"`
	TimerRollWindowSlot               int32 `prop:"timerRollWindowSlot"`
	TimerFlushIntervalMs              int32 `prop:"timerFlushIntervalMs"`
	TimerMaxDelaySec                  int32 `prop:"timerMaxDelaySec"`
	TimerCongestNumEachSlot           int32 `prop:"timerCongestNumEachSlot"`
	TimerStopEnqueue                  bool  `prop:"timerStopEnqueue"`
	AppendTopicForTimerDeleteKey      bool  `prop:"appendTopicForTimerDeleteKey"`
	RecallMessageEnable               bool  `prop:"recallMessageEnable"`
	AllowRecallWhenBrokerNotWriteable bool  `prop:"allowRecallWhenBrokerNotWriteable"`

	EnablePropertyFilter       bool  `prop:"enablePropertyFilter"`
	FilterSupportRetry         bool  `prop:"filterSupportRetry"`
	FilterDataCleanTimeSpan    int64 `prop:"filterDataCleanTimeSpan"`
	MaxErrorRateOfBloomFilter  int32 `prop:"maxErrorRateOfBloomFilter"` // percent
	ExpectConsumerNumUseFilter int32 `prop:"expectConsumerNumUseFilter"`

	CgColdReadThreshold     int64 `prop:"cgColdReadThreshold"`     // bytes of cold data that a group may read in 5 s
	GlobalColdReadThreshold int64 `prop:"globalColdReadThreshold"` // all groups together

	LongPollingEnable                bool  `prop:"longPollingEnable"`
	ShortPollingTimeMills            int64 `prop:"shortPollingTimeMills"`
	LitePullMessageEnable            bool  `prop:"litePullMessageEnable"`
	RejectPullConsumerEnable         bool  `prop:"rejectPullConsumerEnable"`
	SlaveReadEnable                  bool  `prop:"slaveReadEnable"`
	NotifyConsumerIdsChangedEnable   bool  `prop:"notifyConsumerIdsChangedEnable"`
	ChannelExpiredTimeout            int64 `prop:"channelExpiredTimeout"`
	FlushConsumerOffsetInterval      int32 `prop:"flushConsumerOffsetInterval"`
	FlushDelayOffsetInterval         int64 `prop:"flushDelayOffsetInterval"`
	ServerChannelMaxIdleTimeSeconds  int32 `prop:"serverChannelMaxIdleTimeSeconds"`
	BrokerFastFailureEnable          bool  `prop:"brokerFastFailureEnable"`
	SendMessageThreadPoolNums        int32 `prop:"sendMessageThreadPoolNums"`
	PullMessageThreadPoolNums        int32 `prop:"pullMessageThreadPoolNums"`
	LitePullMessageThreadPoolNums    int32 `prop:"litePullMessageThreadPoolNums"`
	QueryMessageThreadPoolNums       int32 `prop:"queryMessageThreadPoolNums"`
	AdminBrokerThreadPoolNums        int32 `prop:"adminBrokerThreadPoolNums"`
	ClientManageThreadPoolNums       int32 `prop:"clientManageThreadPoolNums"`
	ConsumerManageThreadPoolNums     int32 `prop:"consumerManageThreadPoolNums"`
	HeartbeatThreadPoolNums          int32 `prop:"heartbeatThreadPoolNums"`
	SendThreadPoolQueueCapacity      int32 `prop:"sendThreadPoolQueueCapacity"`
	PullThreadPoolQueueCapacity      int32 `prop:"pullThreadPoolQueueCapacity"`
	LitePullThreadPoolQueueCapacity  int32 `prop:"litePullThreadPoolQueueCapacity"`
	ProcessReplyThreadPoolNums       int32 `prop:"processReplyMessageThreadPoolNums"`
	ReplyThreadPoolQueueCapacity     int32 `prop:"replyThreadPoolQueueCapacity"`
	QueryThreadPoolQueueCapacity     int32 `prop:"queryThreadPoolQueueCapacity"`
	AdminBrokerThreadPoolQueue       int32 `prop:"adminBrokerThreadPoolQueueCapacity"`
	ClientManagerThreadPoolQueue     int32 `prop:"clientManagerThreadPoolQueueCapacity"`
	ConsumerManagerThreadPoolQueue   int32 `prop:"consumerManagerThreadPoolQueueCapacity"`
	HeartbeatThreadPoolQueueCapacity int32 `prop:"heartbeatThreadPoolQueueCapacity"`
	EndTransactionThreadPoolNums     int32 `prop:"endTransactionThreadPoolNums"`
	EndTransactionPoolQueueCapacity  int32 `prop:"endTransactionPoolQueueCapacity"`
	WaitTimeMillsInTransactionQueue  int64 `prop:"waitTimeMillsInTransactionQueue"`
	WaitTimeMillsInSendQueue         int64 `prop:"waitTimeMillsInSendQueue"`
	WaitTimeMillsInPullQueue         int64 `prop:"waitTimeMillsInPullQueue"`
	WaitTimeMillsInLitePullQueue     int64 `prop:"waitTimeMillsInLitePullQueue"`
	WaitTimeMillsInHeartbeatQueue    int64 `prop:"waitTimeMillsInHeartbeatQueue"`
	WaitTimeMillsInAdminBrokerQueue  int64 `prop:"waitTimeMillsInAdminBrokerQueue"`

	pop.Config
	AckMessageThreadPoolNums           int32  `prop:"ackMessageThreadPoolNums"`
	AckThreadPoolQueueCapacity         int32  `prop:"ackThreadPoolQueueCapacity"`
	WaitTimeMillsInAckQueue            int64  `prop:"waitTimeMillsInAckQueue"`
	DefaultMessageRequestMode          string `prop:"defaultMessageRequestMode"` // PULL or POP
	DefaultPopShareQueueNum            int32  `prop:"defaultPopShareQueueNum"`
	ServerLoadBalancerEnable           bool   `prop:"serverLoadBalancerEnable"`
	LoadBalancePollNameServerInterval  int64  `prop:"loadBalancePollNameServerInterval"`
	LoadBalanceProcessorThreadPoolNums int32  `prop:"loadBalanceProcessorThreadPoolNums"`
	LoadBalanceThreadPoolQueueCapacity int32  `prop:"loadBalanceThreadPoolQueueCapacity"`

	metrics.Keys
	auth.Settings

	// ConfigBlackList are keys, with ';' between them, that UPDATE_BROKER_CONFIG may not change though it could.
	ConfigBlackList string `prop:"configBlackList"`
	// LogLevel is from which level on lines are logged, trace to error; "": as the program was told. SetLogLevel is told
	// of it when it changes; it may be nil.
	LogLevel    string `prop:"skylarkLogLevel,omitempty"`
	SetLogLevel func(level string)
	// KnownKeys are names of further keys, by which a key that cannot change is told from one that there is not.
	KnownKeys properties.Keys

	Store  store.Options
	Logger zerolog.Logger

	overrides *properties.Properties // nil: not loaded
}

// defaultPort is where a broker listens. Java: BrokerConfig.listenPort.
const defaultPort = 10911

// DefaultOptions returns Java's defaults (BrokerConfig, 5.5.0).
func DefaultOptions() Options {
	name, err := os.Hostname()
	if err != nil {
		name = "DEFAULT_BROKER"
	}
	ip := localIP()
	cpu := int32(runtime.NumCPU())
	return Options{
		BrokerClusterName: "DefaultCluster", BrokerName: name, BrokerIP1: ip, BrokerIP2: ip, BrokerRole: "ASYNC_MASTER",
		ListenPort: defaultPort, BindAddress: "0.0.0.0",
		NamesrvAddr: os.Getenv("NAMESRV_ADDR"), RocketmqHome: os.Getenv("ROCKETMQ_HOME"),
		RegisterNameServerPeriod: 30000, RegisterBrokerTimeoutMills: 24000, ForceRegister: true, ForwardTimeout: 3000, FetchNamesrvAddrInterval: 10000,
		BrokerPermission: 6, DefaultTopicQueueNums: 8, AutoCreateTopicEnable: true, AutoCreateSubscriptionGroup: true, EnableCreateSysGroup: true,
		UseServerSideResetOffset: true, StoreReplyMessageEnable: true, SplitMetadataSize: 2000, ValidateSystemTopic: true, ClearRetryTopicWhenDelete: true,
		ClusterTopicEnable: true, BrokerTopicEnable: true, MsgTraceTopicName: "RMQ_SYS_TRACE_TOPIC", ReviveQueueNum: 8,
		TransactionTimeOut: 6000, TransactionCheckInterval: 30000, TransactionCheckMax: 15,
		TransactionOpBatchInterval: 3000, TransactionOpMsgMaxSize: 4096, TransactionMetricFlush: 10000,
		EndTransactionThreadPoolNums: max(8+cpu*2, 4*min(cpu, 4)), EndTransactionPoolQueueCapacity: 100000, WaitTimeMillsInTransactionQueue: 3000,
		TimerWheelEnable: true, MappedFileSizeTimerLog: 100 << 20, TimerPrecisionMs: 1000, TimerRollWindowSlot: 2 * 24 * 3600, TimerFlushIntervalMs: 1000,
		TimerMaxDelaySec: 3 * 24 * 3600, TimerCongestNumEachSlot: math.MaxInt32, AllowRecallWhenBrokerNotWriteable: true, RegionID: "DefaultRegion", TraceOn: true,
		FilterDataCleanTimeSpan: 24 * 3600 * 1000, MaxErrorRateOfBloomFilter: 20, ExpectConsumerNumUseFilter: 32,
		LongPollingEnable: true, ShortPollingTimeMills: 1000, LitePullMessageEnable: true, NotifyConsumerIdsChangedEnable: true,
		ChannelExpiredTimeout: 120000, FlushConsumerOffsetInterval: 5000, FlushDelayOffsetInterval: 10000,
		ServerChannelMaxIdleTimeSeconds: 120, BrokerFastFailureEnable: true,
		SendMessageThreadPoolNums: min(cpu, 4), PullMessageThreadPoolNums: 16 + 2*cpu, LitePullMessageThreadPoolNums: 16 + 2*cpu, ProcessReplyThreadPoolNums: 16 + 2*cpu, ReplyThreadPoolQueueCapacity: 10000,
		QueryMessageThreadPoolNums: 8 + cpu, AdminBrokerThreadPoolNums: 16, ClientManageThreadPoolNums: 32,
		ConsumerManageThreadPoolNums: 32, HeartbeatThreadPoolNums: min(32, cpu),
		SendThreadPoolQueueCapacity: 10000, PullThreadPoolQueueCapacity: 100000, LitePullThreadPoolQueueCapacity: 100000,
		QueryThreadPoolQueueCapacity: 20000, AdminBrokerThreadPoolQueue: 10000, ClientManagerThreadPoolQueue: 1000000,
		ConsumerManagerThreadPoolQueue: 1000000, HeartbeatThreadPoolQueueCapacity: 50000,
		WaitTimeMillsInSendQueue: 200, WaitTimeMillsInPullQueue: 5000, WaitTimeMillsInLitePullQueue: 5000,
		WaitTimeMillsInHeartbeatQueue: 31000, WaitTimeMillsInAdminBrokerQueue: 5000,
		CgColdReadThreshold: 3 << 20, GlobalColdReadThreshold: 100 << 20,
		Config: pop.DefaultConfig(), AckMessageThreadPoolNums: 16, AckThreadPoolQueueCapacity: 100000, WaitTimeMillsInAckQueue: 3000,
		DefaultMessageRequestMode: "PULL", DefaultPopShareQueueNum: -1, ServerLoadBalancerEnable: true, LoadBalancePollNameServerInterval: 30000,
		LoadBalanceProcessorThreadPoolNums: 32, LoadBalanceThreadPoolQueueCapacity: 100000,
		Keys:            metrics.DefaultKeys(),
		ConfigBlackList: "configBlackList;brokerConfigPath",
		Store:           store.DefaultOptions(),
	}
}

// localIP returns the address Java would announce: the first IPv4 address of an interface that is up and
// neither loopback nor 192.168.*, else any other, else 127.0.0.1. Java: NetworkUtil.getLocalAddress.
func localIP() string {
	best := ""
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() || n.IP.To4() == nil || n.IP.IsLinkLocalUnicast() {
			continue
		}
		if ip := n.IP.String(); best == "" || strings.HasPrefix(best, "192.168") || strings.HasPrefix(best, "127.0") {
			best = ip
		}
	}
	if best == "" {
		return "127.0.0.1"
	}
	return best
}

// StartError is a refusal to start that Java gives an exit status of its own.
type StartError struct {
	Status int
	Err    error
}

// Error returns the cause.
func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// Java's exit statuses. Java: BrokerStartup.
const (
	statusIllegal = 253 // System.exit(-3)
	statusFailed  = 255 // System.exit(-1)
)

func (o Options) validate() (Options, error) {
	illegal := func(format string, args ...any) (Options, error) {
		return o, &StartError{statusIllegal, fmt.Errorf(format, args...)}
	}
	for addr := range strings.SplitSeq(o.NamesrvAddr, ";") {
		if addr = strings.TrimSpace(addr); addr == "" {
			continue
		}
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			return illegal("the Name Server Address[%s] illegal, please set it as follows, \"127.0.0.1:9876;192.168.0.1:9876\"", o.NamesrvAddr)
		}
	}
	if o.ListenPort < 3 || o.ListenPort > 65535 {
		return illegal("listenPort %d is not a port", o.ListenPort)
	}
	if err := o.Settings.Check(); err != nil {
		return illegal("%w", err)
	}
	switch o.BrokerRole {
	case "ASYNC_MASTER", "SYNC_MASTER":
		o.BrokerID = 0
	case "SLAVE":
		if o.BrokerID <= 0 {
			return illegal("Slave's brokerId must be > 0")
		}
		return illegal("brokerRole SLAVE: replication is not built yet")
	default:
		return illegal("brokerRole %q is none of ASYNC_MASTER, SYNC_MASTER and SLAVE", o.BrokerRole)
	}
	if o.BrokerRole == "SYNC_MASTER" {
		o.Logger.Warn().Msg("brokerRole SYNC_MASTER: replication is not built yet, messages are acknowledged without a slave")
	}
	if o.Store.EnableLmq != o.Store.EnableMultiDispatch {
		o.Logger.Warn().Bool("enableLmq", o.Store.EnableLmq).Bool("enableMultiDispatch", o.Store.EnableMultiDispatch).Msg("messages go to light queues only with both enableLmq and enableMultiDispatch")
	}
	if o.HaListenPort <= 0 {
		o.HaListenPort = o.ListenPort + 1
	}
	if _, err := netip.ParseAddr(o.BrokerIP1); err != nil {
		ips, lookup := net.LookupIP(o.BrokerIP1)
		if lookup != nil || len(ips) == 0 {
			return illegal("brokerIP1 %q is no address: %v", o.BrokerIP1, lookup)
		}
		o.Logger.Warn().Str("brokerIP1", o.BrokerIP1).Stringer("address", ips[0]).Msg("brokerIP1 is a name, message ids hold its address")
	}
	o.RegisterNameServerPeriod = max(10000, min(60000, o.RegisterNameServerPeriod))
	return o, nil
}

// storeHost is the address that stands in records and message ids.
func (o Options) storeHost() netip.AddrPort {
	ip, err := netip.ParseAddr(o.BrokerIP1)
	if err != nil {
		if ips, lookup := net.LookupIP(o.BrokerIP1); lookup == nil && len(ips) > 0 {
			ip, _ = netip.AddrFromSlice(ips[0])
		}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(o.ListenPort))
}

// addressServer returns the URL at which the name servers are asked for, "" when they are set or not to be asked for.
func (o *Options) addressServer() string {
	if o.NamesrvAddr != "" || !o.FetchNamesrvAddrByAddressServer {
		return ""
	}
	return peer.AddressServer(o.AddressServerDomain, o.AddressServerSubGroup)
}

// Addr is the address announced to clients, "ip:port".
func (o Options) Addr() string {
	return net.JoinHostPort(o.BrokerIP1, fmt.Sprint(o.ListenPort))
}

// private is where the program keeps what only it reads.
func (o Options) private(name string) string {
	return filepath.Join(o.Store.StorePathRootDir, "skylark", name)
}

func (o Options) config(name string) string {
	return filepath.Join(o.Store.StorePathRootDir, "config", name)
}
