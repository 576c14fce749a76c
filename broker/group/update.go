package group

import (
	"maps"
	"math"
	"strings"

	"github.com/skylarkmq/skylark/broker/internal/attribute"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// attributeRules are the rules for groups. The order of the values is that of Java's messages.
// Java: SubscriptionGroupAttributes.
func attributeRules() attribute.Rules {
	return attribute.Rules{
		"priority.factor":                   attribute.Range(true, 0, 100),
		"lite.bind.topic":                   attribute.Text(true),
		"lite.sub.model":                    attribute.Enum(true, "Shared", "Exclusive"),
		"lite.sub.reset.offset.exclusive":   attribute.Boolean(true),
		"lite.sub.reset.offset.unsubscribe": attribute.Boolean(true),
		"lite.sub.client.quota":             attribute.Range(true, -1, math.MaxInt64),
		"lite.sub.client.max.event.cnt":     attribute.Range(true, 10, math.MaxInt64),
		"lite.sub.wildcard":                 attribute.Text(true),
	}
}

// Update makes or changes groups, each as given except that its Attributes are changes (+key=value, -key)
// to those the group has. Each changes the data version, even when nothing else changes, as with Java.
// Changes are on disk when it returns. An error of the attribute rules carries Java's text and stops at
// that group, leaving those before it changed; an error of the disk leaves the change in memory, to be
// stored later. The configurations are not kept.
// Java: SubscriptionGroupManager.updateSubscriptionGroupConfig.
func (t *Table) Update(configs ...*body.SubscriptionGroupConfig) error {
	for i, c := range configs {
		if err := t.update(c); err != nil {
			if i > 0 {
				_ = t.t.Sync() // the rule's error is the one to tell
			}
			return err
		}
	}
	return t.t.Sync()
}

func (t *Table) update(wanted *body.SubscriptionGroupConfig) error {
	if t.light(wanted.GroupName) {
		return nil // as it is, without a word, as by Java
	}
	_, err := t.t.Update(wanted.GroupName, func(current *body.SubscriptionGroupConfig) (*body.SubscriptionGroupConfig, error) {
		var old map[string]string
		if current != nil {
			old = current.Attributes
		}
		attributes, err := attribute.Alter(current == nil, attributeRules(), old, wanted.Attributes)
		if err != nil {
			return nil, err
		}
		c := clone(wanted)
		c.Attributes = attributes
		return c, nil
	})
	if err == nil {
		t.o.Logger.Info().Str("group", wanted.GroupName).Msg("subscription group updated")
	}
	return err
}

// Delete removes a group and what is forbidden to it, and reports whether it was there. The change is on
// disk when it returns; an error is the disk's. Java: SubscriptionGroupManager.deleteSubscriptionGroupConfig.
func (t *Table) Delete(group string) (bool, error) {
	dropped := t.dropForbidden(group)
	if !t.t.Delete(group) {
		if dropped {
			t.t.Touch()
		}
		return false, t.t.Sync()
	}
	t.o.Logger.Info().Str("group", group).Msg("subscription group deleted")
	return true, t.t.Sync()
}

// Replace makes the table equal to a master's. Java: SlaveSynchronize.syncSubscriptionGroupConfig.
func (t *Table) Replace(w *body.SubscriptionGroupWrapper) error {
	t.forbiddenMu.Lock()
	forbidden := cloneForbidden(w.ForbiddenTable)
	t.forbidden.Store(&forbidden)
	t.forbiddenMu.Unlock()
	t.t.Replace(w.DataVersion, w.SubscriptionGroupTable)
	return t.t.Sync()
}

func cloneForbidden(in map[string]map[string]int32) map[string]map[string]int32 {
	out := make(map[string]map[string]int32, len(in))
	for group, topics := range in {
		if len(topics) > 0 {
			out[strings.Clone(group)] = maps.Clone(topics)
		}
	}
	return out
}
