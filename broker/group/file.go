package group

import (
	"errors"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// decode reads subscriptionGroup.json. Java: SubscriptionGroupManager.decode.
func (t *Table) decode(data []byte) (body.DataVersion, map[string]*body.SubscriptionGroupConfig, error) {
	var w body.SubscriptionGroupWrapper
	if err := body.Unmarshal(data, &w); err != nil {
		return body.DataVersion{}, nil, err
	}
	if w.SubscriptionGroupTable == nil {
		return body.DataVersion{}, nil, errors.New("there is no subscriptionGroupTable")
	}
	for name, c := range w.SubscriptionGroupTable {
		if c == nil {
			delete(w.SubscriptionGroupTable, name)
			continue
		}
		c.GroupName = name // the key is what Java looks up
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
	}
	forbidden := cloneForbidden(w.ForbiddenTable)
	t.forbidden.Store(&forbidden)
	return w.DataVersion, w.SubscriptionGroupTable, nil
}

// encode writes subscriptionGroup.json.
func (t *Table) encode(version body.DataVersion, all []*body.SubscriptionGroupConfig) ([]byte, error) {
	w := body.SubscriptionGroupWrapper{DataVersion: version, ForbiddenTable: t.ForbiddenTable(), SubscriptionGroupTable: make(map[string]*body.SubscriptionGroupConfig, len(all))}
	for _, c := range all {
		w.SubscriptionGroupTable[c.GroupName] = c
	}
	return body.MarshalPretty(w)
}
