package broker

import (
	"runtime"
	"strconv"
	"time"

	"github.com/skylarkmq/skylark/remoting/dynamic"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/store/fsys"
)

// neverOverWire are refused with Java's remark whatever configBlackList says. Java: AdminBrokerProcessor.initConfigBlackList.
const neverOverWire = "brokerConfigPath;rocketmqHome;configBlackList;"

// updateConfig changes the configuration as the body of UPDATE_BROKER_CONFIG asks, all of it or nothing: first it is
// made durable for the next start, then the owners are told. from is the client's address, for the log.
func (b *Broker) updateConfig(text []byte, from string) error {
	b.updating.Lock()
	defer b.updating.Unlock()
	log := b.o.Logger.With().Str("client", from).Logger()
	old := b.live.Load()
	next := *old
	changes, merged, err := allowed().Update(dynamic.Request{Body: text, BlackList: neverOverWire + old.ConfigBlackList, Known: old.KnownKeys,
		Overrides: old.overrides, Path: old.overridesPath(), Write: fsys.WriteConfig, Log: log}, &next, &next.Store)
	if err != nil || merged == nil {
		return err
	}
	next.overrides = merged
	was := map[string]string{}
	for _, kv := range properties.List(old, &old.Store) {
		was[kv.Key] = kv.Value
	}
	for key, value := range changes.All() {
		log.Info().Str("key", key).Str("old", was[key]).Str("new", value).Msg("the configuration is changed")
	}
	b.live.Store(&next)
	b.apply(old)
	v := *b.configVersion.Load()
	v.Counter++
	v.Timestamp = time.Now().UnixMilli()
	b.configVersion.Store(&v)
	return nil
}

// config lists the configuration of now, and the keys that tools read of every broker. They are no settings here: no
// TLS is spoken, and the last is what exportMetrics takes for the number of CPUs.
func (b *Broker) config() []properties.KV {
	o := *b.live.Load()
	return append(properties.List(&o, &o.Store), properties.KV{Key: "useTLS", Value: "false"},
		properties.KV{Key: "clientCallbackExecutorThreads", Value: strconv.Itoa(runtime.NumCPU())})
}

// version is that of the configuration: it grows with each update. Java: Configuration.dataVersion.
func (b *Broker) version() body.DataVersion { return *b.configVersion.Load() }
