package namesrv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/properties"
)

// Options are the keys of Java's NamesrvConfig and NettyServerConfig that have an effect, under Java's
// names, and what the program adds. DefaultOptions gives Java's defaults.
type Options struct {
	RocketmqHome string `prop:"rocketmqHome,omitempty"` // reported only
	// HTTPListen is where the program answers operators, host:port (package tools/ops); "": nowhere.
	HTTPListen      string `prop:"skylarkHttpListen,omitempty"`
	BindAddress     string `prop:"bindAddress"`
	ListenPort      int32  `prop:"listenPort"`
	KVConfigPath    string `prop:"kvConfigPath"`
	ConfigStorePath string `prop:"configStorePath"` // reported only
	// ConfigBlackList are keys, with ';' between them, that UPDATE_NAMESRV_CONFIG may not change though it could.
	ConfigBlackList string `prop:"configBlackList"`
	ProductEnvName  string `prop:"productEnvName"` // reported only
	// NameServers is the list that the HTTP listener tells those who ask for name servers; "": this one.
	NameServers string `prop:"skylarkNameServers,omitempty"`
	// AddressServerSubGroup is what they must ask for; "": nsaddr.
	AddressServerSubGroup string `prop:"rmqAddressServerSubGroup,omitempty"`
	ClusterTest           bool   `prop:"clusterTest"` // warned of: there is no product environment to ask

	ClientRequestThreadPoolNums          int32 `prop:"clientRequestThreadPoolNums"` // for GET_ROUTEINFO_BY_TOPIC
	ClientRequestThreadPoolQueueCapacity int32 `prop:"clientRequestThreadPoolQueueCapacity"`
	DefaultThreadPoolNums                int32 `prop:"defaultThreadPoolNums"` // for all other codes
	DefaultThreadPoolQueueCapacity       int32 `prop:"defaultThreadPoolQueueCapacity"`
	ServerChannelMaxIdleTimeSeconds      int32 `prop:"serverChannelMaxIdleTimeSeconds"`

	ScanNotActiveBrokerInterval       int64 `prop:"scanNotActiveBrokerInterval"` // ms
	UnRegisterBrokerQueueCapacity     int32 `prop:"unRegisterBrokerQueueCapacity"`
	DeleteTopicWithBrokerRegistration bool  `prop:"deleteTopicWithBrokerRegistration"`
	NotifyMinBrokerIDChanged          bool  `prop:"notifyMinBrokerIdChanged"`

	SupportActingMaster            bool  `prop:"supportActingMaster"`
	OrderMessageEnable             bool  `prop:"orderMessageEnable"`
	ReturnOrderTopicConfigToBroker bool  `prop:"returnOrderTopicConfigToBroker"`
	EnableAllTopicList             bool  `prop:"enableAllTopicList"`
	EnableTopicList                bool  `prop:"enableTopicList"`
	NeedWaitForService             bool  `prop:"needWaitForService"`
	WaitSecondsForService          int32 `prop:"waitSecondsForService"`

	// LogLevel is from which level on lines are logged, trace to error; "": as the program was told. SetLogLevel is told
	// of it when it changes; it may be nil.
	LogLevel    string `prop:"skylarkLogLevel,omitempty"`
	SetLogLevel func(level string)
	// KnownKeys are names of further keys, by which a key that cannot change is told from one that there is not.
	KnownKeys properties.Keys
	Logger    zerolog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	overrides *properties.Properties // nil: not loaded
}

// DefaultOptions returns Java's defaults (NamesrvConfig, NettyServerConfig and NamesrvStartup, 5.5.0).
func DefaultOptions() Options {
	home, _ := os.UserHomeDir()
	return Options{
		BindAddress:     "0.0.0.0",
		ListenPort:      9876,
		KVConfigPath:    filepath.Join(home, "namesrv", "kvConfig.json"),
		ConfigStorePath: filepath.Join(home, "namesrv", "namesrv.properties"),
		ConfigBlackList: "configBlackList;configStorePath;kvConfigPath",
		ProductEnvName:  "center",

		ClientRequestThreadPoolNums:          8,
		ClientRequestThreadPoolQueueCapacity: 50000,
		DefaultThreadPoolNums:                16,
		DefaultThreadPoolQueueCapacity:       10000,
		ServerChannelMaxIdleTimeSeconds:      120,

		ScanNotActiveBrokerInterval:   5000,
		UnRegisterBrokerQueueCapacity: 3000,

		ReturnOrderTopicConfigToBroker: true,
		EnableAllTopicList:             true,
		EnableTopicList:                true,
		WaitSecondsForService:          45,
	}
}

// ConfigLines returns the configuration as GET_NAMESRV_CONFIG reports it, sorted by key.
func (o Options) ConfigLines() []properties.KV { return properties.List(&o) }

func (o Options) withDefaults() (Options, error) {
	if o.ListenPort <= 0 || o.ListenPort > 65535 {
		return o, fmt.Errorf("listenPort %d is not a port", o.ListenPort)
	}
	if o.KVConfigPath == "" {
		return o, errors.New("kvConfigPath is not set")
	}
	if o.BindAddress == "" {
		o.BindAddress = "0.0.0.0"
	}
	if o.ServerChannelMaxIdleTimeSeconds <= 0 {
		o.ServerChannelMaxIdleTimeSeconds = 120
	}
	if o.ScanNotActiveBrokerInterval <= 0 {
		o.ScanNotActiveBrokerInterval = 5000
	}
	o.UnRegisterBrokerQueueCapacity = max(o.UnRegisterBrokerQueueCapacity, 1)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}
