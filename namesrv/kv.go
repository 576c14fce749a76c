package namesrv

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store/fsys"
)

// orderTopicConfig is the namespace whose keys are topics and whose values, "broker:queues;...", tell
// clients which queues an ordered topic has on which broker. Java: NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG.
const orderTopicConfig = "ORDER_TOPIC_CONFIG"

// kvTable is the KV configuration: in memory, and on disk after each change. Java: KVConfigManager.
type kvTable struct {
	path string
	// onChange is called after a change, with no lock held but writing.
	onChange func()

	writing sync.Mutex // held over a change and its way to the disk

	mu     sync.RWMutex
	spaces map[string]map[string]string
}

func openKV(path string, log zerolog.Logger) (*kvTable, error) {
	var f body.KVConfigSerializeWrapper
	_, err := fsys.ReadConfig(path, log, func(data []byte) error {
		f = body.KVConfigSerializeWrapper{}
		if err := body.Unmarshal(data, &f); err != nil {
			return err
		}
		if f.ConfigTable == nil {
			return errors.New("there is no configTable")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load the KV configuration: %w", err)
	}
	if f.ConfigTable == nil {
		f.ConfigTable = map[string]map[string]string{}
	}
	return &kvTable{path: path, spaces: f.ConfigTable, onChange: func() {}}, nil
}

func (k *kvTable) get(namespace, key string) (string, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	v, ok := k.spaces[namespace][key]
	return v, ok
}

// list returns a copy of a namespace and whether it is there; one whose last key is gone still is.
func (k *kvTable) list(namespace string) (map[string]string, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	space, ok := k.spaces[namespace]
	return maps.Clone(space), ok
}

// put sets a value. When it cannot be written the table stays as it was.
func (k *kvTable) put(namespace, key, value string) error {
	return k.change(func(spaces map[string]map[string]string) {
		space := maps.Clone(spaces[namespace])
		if space == nil {
			space = map[string]string{}
		}
		space[key] = value
		spaces[namespace] = space
	})
}

// remove deletes a value; that it is not there is no error.
func (k *kvTable) remove(namespace, key string) error {
	if _, ok := k.get(namespace, key); !ok {
		return nil
	}
	return k.change(func(spaces map[string]map[string]string) {
		space := maps.Clone(spaces[namespace])
		delete(space, key)
		spaces[namespace] = space
	})
}

// change applies edit to a copy of the outer map, in which edit replaces whole namespaces, writes the
// result and then puts it in place.
func (k *kvTable) change(edit func(spaces map[string]map[string]string)) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	spaces := maps.Clone(k.spaces) // only a writer replaces k.spaces
	edit(spaces)
	data, err := body.Marshal(body.KVConfigSerializeWrapper{ConfigTable: spaces})
	if err == nil {
		err = fsys.WriteConfig(k.path, data)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the KV configuration: %w", err)
	}
	k.mu.Lock()
	k.spaces = spaces
	k.mu.Unlock()
	k.onChange()
	return nil
}

func (s *Server) putKVConfig(r *mux.Request) (*protocol.Command, error) {
	// Java has a sentence of its own for missing fields here.
	namespace, ok := r.Cmd.Ext.Get("namespace")
	key, ok2 := r.Cmd.Ext.Get("key")
	if !ok || !ok2 {
		return nil, protocol.Errorf(protocol.SystemError, "namespace or key is null")
	}
	var h header.PutKVConfigRequest
	if err := protocol.DecodeHeader(r.Cmd.Ext, &h); err != nil {
		return nil, err
	}
	if err := s.kv.put(strings.Clone(namespace), strings.Clone(key), strings.Clone(h.Value)); err != nil {
		s.o.Logger.Error().Err(err).Str("namespace", namespace).Str("key", key).Msg("KV value not set")
		return nil, err
	}
	s.o.Logger.Info().Str("namespace", namespace).Str("key", key).Str("value", h.Value).Stringer("client", r.Conn.Remote()).Msg("KV value set")
	return protocol.Reply(nil, nil), nil
}

func (s *Server) getKVConfig(_ *mux.Request, h *header.GetKVConfigRequest) (*protocol.Command, error) {
	value, ok := s.kv.get(h.Namespace, h.Key)
	if !ok {
		return nil, protocol.Errorf(protocol.QueryNotFound, "No config item, Namespace: %s Key: %s", h.Namespace, h.Key)
	}
	resp := protocol.Reply(nil, nil)
	resp.Ext = protocol.Ext{{Key: "value", Value: value}} // even when it is empty
	return resp, nil
}

func (s *Server) deleteKVConfig(r *mux.Request, h *header.DeleteKVConfigRequest) (*protocol.Command, error) {
	if err := s.kv.remove(h.Namespace, h.Key); err != nil {
		s.o.Logger.Error().Err(err).Str("namespace", h.Namespace).Str("key", h.Key).Msg("KV value not deleted")
		return nil, err
	}
	s.o.Logger.Info().Str("namespace", h.Namespace).Str("key", h.Key).Stringer("client", r.Conn.Remote()).Msg("KV value deleted")
	return protocol.Reply(nil, nil), nil
}

func (s *Server) getKVListByNamespace(_ *mux.Request, h *header.GetKVListByNamespaceRequest) (*protocol.Command, error) {
	table, ok := s.kv.list(h.Namespace)
	if !ok {
		return nil, protocol.Errorf(protocol.QueryNotFound, "No config item, Namespace: %s", h.Namespace)
	}
	return body.Reply(nil, body.KVTable{Table: table})
}
