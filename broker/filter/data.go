package filter

import (
	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/broker/filter/sql92"
)

// SQL92 is the only type of expression beside TAG. Java: ExpressionType.SQL92.
const SQL92 = "SQL92"

// IsTag reports whether an expression type is that of tag expressions, which none means, too.
// Java: ExpressionType.isTagType.
func IsTag(expressionType string) bool { return expressionType == "" || expressionType == "TAG" }

// Data is the filter of a group on a topic. It never changes. Java: ConsumerFilterData.
type Data struct {
	Group, Topic     string
	Expression, Type string
	BornTime         int64 // ms, when the expression came
	DeadTime         int64 // ms, when the group's last consumer left; 0: it has some
	ClientVersion    int64 // the subscription's subVersion
	Bloom            BloomData

	compiled *compiled
	logger   *zerolog.Logger
}

// Dead reports whether the group's consumers are gone. Java: ConsumerFilterData.isDead.
func (d *Data) Dead() bool { return d.DeadTime >= d.BornTime }

// Match reports whether a message with these properties passes. One on which the evaluation fails does not; the
// first failure is logged. Java: ExpressionMessageFilter.isMatchedByCommitLog.
func (d *Data) Match(properties string) bool {
	r, err := d.compiled.e.Evaluate(properties)
	if err != nil && !d.compiled.told.Swap(true) {
		d.logger.Warn().Err(err).Str("group", d.Group).Str("topic", d.Topic).Str("expression", d.Expression).
			Msg("a message cannot be judged by the filter and is not given to the group; further ones are not logged")
	}
	return r == sql92.True
}

// Costly reports whether an evaluation may take longer than a goroutine can spare that others wait for.
func (d *Data) Costly() bool { return d.compiled.e.Costly() }

// MayMatch reports whether a message that was stored at storeTime (ms) with a bit map can pass. Without a bit map,
// or when that does not tell, it can. Java: ExpressionMessageFilter.isMatchedByConsumeQueue.
func (d *Data) MayMatch(storeTime int64, bitMap []byte) bool {
	if len(d.Bloom.BitPos) == 0 || storeTime <= d.BornTime || len(bitMap)*8 != int(d.Bloom.BitNum) {
		return true
	}
	return d.Bloom.in(bitMap)
}
