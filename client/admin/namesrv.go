package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// OrderNamespace is where the name servers keep the queues of ordered topics. Java: NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG.
const OrderNamespace = "ORDER_TOPIC_CONFIG"

// MasterID is the broker id of a master. Java: MixAll.MASTER_ID.
const MasterID = 0

// ClusterInfo returns all clusters with their brokers.
func (c *Client) ClusterInfo(ctx context.Context) (*body.ClusterInfo, error) {
	return fromNamesrv[body.ClusterInfo](ctx, c, protocol.GetBrokerClusterInfo, nil)
}

// Brokers returns the brokers of a cluster in the order of their names, all of them when cluster is empty.
func (c *Client) Brokers(ctx context.Context, cluster string) ([]body.BrokerData, error) {
	info, err := c.ClusterInfo(ctx)
	if err != nil {
		return nil, err
	}
	names, ok := info.ClusterAddrTable[cluster]
	if cluster == "" {
		names = slices.Collect(maps.Keys(info.BrokerAddrTable))
	} else if !ok {
		return nil, fmt.Errorf("no cluster %q is known to the name server", cluster)
	}
	var out []body.BrokerData
	for _, n := range slices.Sorted(slices.Values(names)) {
		if b, ok := info.BrokerAddrTable[n]; ok {
			out = append(out, b)
		}
	}
	return out, nil
}

// Masters returns the addresses of a cluster's masters.
func (c *Client) Masters(ctx context.Context, cluster string) ([]string, error) {
	brokers, err := c.Brokers(ctx, cluster)
	var out []string
	for _, b := range brokers {
		if addr := b.BrokerAddrs[MasterID]; addr != "" {
			out = append(out, addr)
		}
	}
	return out, err
}

// Addr returns where to ask a broker: at its master or, without one, at a slave; empty when there is none.
func Addr(b body.BrokerData) string {
	if addr := b.BrokerAddrs[MasterID]; addr != "" {
		return addr
	}
	for _, id := range slices.Sorted(maps.Keys(b.BrokerAddrs)) {
		return b.BrokerAddrs[id]
	}
	return ""
}

// Route returns where the queues of a topic are.
func (c *Client) Route(ctx context.Context, topic string) (*body.TopicRouteData, error) {
	return fromNamesrv[body.TopicRouteData](ctx, c, protocol.GetRouteInfoByTopic, header.GetRouteInfoRequest{Topic: topic})
}

// TopicList returns the names of all topics.
func (c *Client) TopicList(ctx context.Context) ([]string, error) {
	l, err := fromNamesrv[body.TopicList](ctx, c, protocol.GetAllTopicListFromNameServer, nil)
	if err != nil {
		return nil, err
	}
	slices.Sort(l.TopicList)
	return l.TopicList, nil
}

// PutKV sets a key on every name server.
func (c *Client) PutKV(ctx context.Context, namespace, key, value string) error {
	return c.eachNamesrv(func(addr string) error {
		return c.do(ctx, addr, protocol.PutKVConfig, header.PutKVConfigRequest{Namespace: namespace, Key: key, Value: value}, nil)
	})
}

// KV returns the value of a key; a key that is not there is an error of code QUERY_NOT_FOUND.
func (c *Client) KV(ctx context.Context, namespace, key string) (string, error) {
	resp, err := c.anyNamesrv(ctx, protocol.GetKVConfig, header.GetKVConfigRequest{Namespace: namespace, Key: key})
	if err != nil {
		return "", err
	}
	value, _ := resp.Ext.Get("value")
	return value, nil
}

// DeleteKV removes a key from every name server.
func (c *Client) DeleteKV(ctx context.Context, namespace, key string) error {
	return c.eachNamesrv(func(addr string) error {
		return c.do(ctx, addr, protocol.DeleteKVConfig, header.DeleteKVConfigRequest{Namespace: namespace, Key: key}, nil)
	})
}

// SetOrderConf says how many queues of an ordered topic a broker has: conf is "broker:queues". What the name
// servers know of other brokers stays.
func (c *Client) SetOrderConf(ctx context.Context, topic, conf string) error {
	old, err := c.KV(ctx, OrderNamespace, topic)
	if err != nil && Code(err) != protocol.QueryNotFound {
		return err
	}
	broker, _, _ := strings.Cut(conf, ":")
	confs := []string{conf}
	for _, o := range strings.Split(old, ";") {
		if name, _, _ := strings.Cut(o, ":"); o != "" && name != broker {
			confs = append(confs, o)
		}
	}
	slices.Sort(confs)
	return c.PutKV(ctx, OrderNamespace, topic, strings.Join(confs, ";"))
}

// WipeWritePerm takes from all topics of a broker the permission to write, at one name server, and returns how
// many they were. It lasts until AddWritePerm or a registration with other data.
func (c *Client) WipeWritePerm(ctx context.Context, namesrv, broker string) (int32, error) {
	r, err := fields[header.WipeWritePermOfBrokerResponse](ctx, c, namesrv, protocol.WipeWritePermOfBroker, header.WipeWritePermOfBrokerRequest{BrokerName: broker})
	if err != nil {
		return 0, err
	}
	return r.WipeTopicCount, nil
}

// AddWritePerm gives back what WipeWritePerm took.
func (c *Client) AddWritePerm(ctx context.Context, namesrv, broker string) (int32, error) {
	r, err := fields[header.AddWritePermOfBrokerResponse](ctx, c, namesrv, protocol.AddWritePermOfBroker, header.AddWritePermOfBrokerRequest{BrokerName: broker})
	if err != nil {
		return 0, err
	}
	return r.AddTopicCount, nil
}

// NamesrvConfig returns the settings of a name server.
func (c *Client) NamesrvConfig(ctx context.Context, namesrv string) ([]properties.KV, error) {
	return c.settings(ctx, namesrv, protocol.GetNamesrvConfig)
}

// UpdateNamesrvConfig changes settings of every name server.
func (c *Client) UpdateNamesrvConfig(ctx context.Context, settings ...properties.KV) error {
	return c.eachNamesrv(func(addr string) error {
		return c.do(ctx, addr, protocol.UpdateNamesrvConfig, nil, []byte(properties.Text(settings)))
	})
}

func (c *Client) settings(ctx context.Context, addr string, code int32) ([]properties.KV, error) {
	resp, err := c.ask(ctx, addr, code, nil, nil)
	if err != nil {
		return nil, err
	}
	var out []properties.KV
	for _, line := range strings.Split(strings.TrimRight(string(resp.Body), "\n"), "\n") {
		key, value, ok := strings.Cut(line, "=")
		if ok {
			out = append(out, properties.KV{Key: key, Value: value})
		}
	}
	slices.SortFunc(out, func(a, b properties.KV) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// DeleteTopicInNamesrv makes a name server forget a topic, in one cluster or, when that is empty, in all.
func (c *Client) DeleteTopicInNamesrv(ctx context.Context, namesrv, topic, cluster string) error {
	return c.do(ctx, namesrv, protocol.DeleteTopicInNamesrv, header.DeleteTopicFromNamesrvRequest{Topic: topic, ClusterName: cluster}, nil)
}

// errNoBroker says that a topic's route names no broker that can be asked.
var errNoBroker = errors.New("no broker of the route can be asked")

// eachBroker calls fn with each broker of a topic's route.
func (c *Client) eachBroker(ctx context.Context, topic string, fn func(b body.BrokerData, addr string) error) error {
	route, err := c.Route(ctx, topic)
	if err != nil {
		return err
	}
	asked := false
	for _, b := range route.BrokerDatas {
		if addr := Addr(b); addr != "" {
			asked = true
			if err := fn(b, addr); err != nil {
				return err
			}
		}
	}
	if !asked {
		return fmt.Errorf("topic %s: %w", topic, errNoBroker)
	}
	return nil
}
