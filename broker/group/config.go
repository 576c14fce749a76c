package group

import (
	"slices"
	"strings"

	"github.com/skylarkmq/skylark/remoting/protocol/body"
)

// newConfig returns a group with Java's defaults. Java: SubscriptionGroupConfig.
func newConfig(name string) *body.SubscriptionGroupConfig {
	c := body.NewSubscriptionGroupConfig(name)
	return &c
}

// clone returns a copy that shares nothing with in but its attributes, which the caller replaces.
func clone(in *body.SubscriptionGroupConfig) *body.SubscriptionGroupConfig {
	c := *in
	c.GroupName = strings.Clone(in.GroupName)
	c.GroupRetryPolicy.Type = strings.Clone(in.GroupRetryPolicy.Type)
	if p := in.GroupRetryPolicy.CustomizedRetryPolicy; p != nil {
		c.GroupRetryPolicy.CustomizedRetryPolicy = &body.CustomizedRetryPolicy{Next: slices.Clone(p.Next)}
	}
	if p := in.GroupRetryPolicy.ExponentialRetryPolicy; p != nil {
		own := *p
		c.GroupRetryPolicy.ExponentialRetryPolicy = &own
	}
	c.SubscriptionDataSet = slices.Clone(in.SubscriptionDataSet)
	for i := range c.SubscriptionDataSet {
		s := &c.SubscriptionDataSet[i]
		s.Topic, s.Expression, s.ExpressionType = strings.Clone(s.Topic), strings.Clone(s.Expression), strings.Clone(s.ExpressionType)
	}
	return &c
}
