package namesrv

import (
	"math"
	"path/filepath"

	"github.com/skylarkmq/skylark/remoting/dynamic"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store/fsys"
)

// allowed are the keys that UPDATE_NAMESRV_CONFIG may change.
func allowed() dynamic.Allowed {
	return dynamic.Allowed{
		"scanNotActiveBrokerInterval": dynamic.Range(100, 3600_000), "deleteTopicWithBrokerRegistration": dynamic.Bool,
		"supportActingMaster": dynamic.Bool, "orderMessageEnable": dynamic.Bool, "returnOrderTopicConfigToBroker": dynamic.Bool,
		"skylarkLogLevel": dynamic.LogLevel, "enableAllTopicList": dynamic.Bool, "enableTopicList": dynamic.Bool,
		"needWaitForService": dynamic.Bool, "waitSecondsForService": dynamic.Range(0, math.MaxInt32),
	}
}

// DynamicKeys returns the keys that may change while a name server runs.
func DynamicKeys() properties.Keys {
	var keys properties.Keys
	for key := range allowed() {
		keys = append(keys, key)
	}
	return keys
}

// neverOverWire are refused with Java's remark whatever configBlackList says. Java:
// DefaultRequestProcessor.initConfigBlackList.
const neverOverWire = "configBlackList;configStorePath;kvConfigPath;rocketmqHome;"

func (o *Options) overridesPath() string {
	return filepath.Join(filepath.Dir(o.KVConfigPath), dynamic.File)
}

// LoadOverrides gives o what UPDATE_NAMESRV_CONFIG has changed at earlier times. Open does it if nobody has.
func (o *Options) LoadOverrides() (err error) {
	o.overrides, err = allowed().Restore(o.overridesPath(), o.Logger, fsys.ReadConfig, o)
	return err
}

// Overrides returns what LoadOverrides has loaded.
func (o *Options) Overrides() *properties.Properties { return o.overrides }

func (s *Server) getNamesrvConfig(*mux.Request) (*protocol.Command, error) {
	return protocol.Reply(nil, []byte(properties.Text(s.topology.current.Load().ConfigLines()))), nil
}

// updateNamesrvConfig changes the configuration, all that is asked for or nothing: first it is made durable for the
// next start, then it is what everybody reads. Java: DefaultRequestProcessor.updateConfig.
func (s *Server) updateNamesrvConfig(r *mux.Request) (*protocol.Command, error) {
	if err := s.update(r.Cmd.Body, r.Conn.Remote().String()); err != nil {
		return nil, err
	}
	return protocol.Reply(nil, nil), nil
}

func (s *Server) update(text []byte, from string) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	log := s.o.Logger.With().Str("client", from).Logger()
	old := s.topology.current.Load()
	next := *old
	changes, merged, err := allowed().Update(dynamic.Request{Body: text, BlackList: neverOverWire + old.ConfigBlackList, Known: old.KnownKeys,
		Overrides: old.overrides, Path: old.overridesPath(), Write: fsys.WriteConfig, Log: log}, &next)
	if err != nil || merged == nil {
		return err
	}
	next.overrides = merged
	for key, value := range changes.All() {
		log.Info().Str("key", key).Str("new", value).Msg("the configuration is changed")
	}
	s.topology.current.Store(&next)
	if next.LogLevel != old.LogLevel && next.SetLogLevel != nil {
		next.SetLogLevel(next.LogLevel)
	}
	s.topology.forgetRoutes() // they are made by the configuration
	select {
	case s.retimed <- struct{}{}:
	default:
	}
	return nil
}
