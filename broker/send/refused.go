package send

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/store"
)

// Reason is a kind of cause for which a producer's message was refused.
type Reason int

// The reasons.
const (
	DiskFull     Reason = iota // the disk has no room, or less than the options want
	DiskError                  // the store refuses writes for good
	Busy                       // more waits for the disk than may
	Closing                    // the broker stops
	TooLarge                   // body, batch, properties or record
	Illegal                    // the message or its fields
	NoPermission               // of broker or topic, or its feature is not built
	NoTopic                    // the topic does not exist and may not be made
	NoGroup                    // the group of a retry does not exist
	Other

	reasons
)

var reasonNames = [reasons]string{"disk_full", "disk_error", "busy", "closing", "too_large", "illegal", "no_permission", "no_topic", "no_group", "other"}

// String returns the reason in lower case with underscores.
func (r Reason) String() string { return reasonNames[r] }

// Refused counts messages since start that were refused, by Reason.
type Refused [reasons]int64

// refusals is what counts them; what is stored touches nothing of it.
type refusals struct {
	by   [reasons]atomic.Int64
	late atomic.Int64
}

// Refused returns the counts. Messages of the broker's own making, which it tries again, are not among them,
// nor what never came to a handler because its lane was full.
func (s *Sender) Refused() Refused {
	var out Refused
	for i := range out {
		out[i] = s.refused.by[i].Load()
	}
	return out
}

// Late returns how many messages were answered with FLUSH_DISK_TIMEOUT; they are stored.
func (s *Sender) Late() int64 { return s.refused.late.Load() }

func (s *Sender) countRefused(err error, messages int) {
	s.refused.by[reasonOf(err)].Add(int64(messages))
}

func reasonOf(err error) Reason {
	for _, x := range []struct {
		is error
		r  Reason
	}{{store.ErrDiskFull, DiskFull}, {store.ErrNoSpace, DiskFull}, {store.ErrReadOnly, DiskError}, {store.ErrBusy, Busy},
		{store.ErrClosed, Closing}, {store.ErrTooLarge, TooLarge}} {
		if errors.Is(err, x.is) {
			return x.r
		}
	}
	var pe *protocol.Error
	if !errors.As(err, &pe) {
		return Other
	}
	switch pe.Code {
	case protocol.MessageIllegal, protocol.InvalidParameter:
		return Illegal
	case protocol.NoPermission:
		return NoPermission
	case protocol.TopicNotExist:
		return NoTopic
	case protocol.SubscriptionGroupNotExist:
		return NoGroup
	}
	return Other
}

// tooLarge is illegal for a message that is: Java does not tell them apart, we do when counting.
func (s *Sender) tooLarge() error { return fmt.Errorf("%w: %w", s.illegal(), store.ErrTooLarge) }

// TurnedAway is why messages are given back that waited for a disk that has stalled, the oldest of them for so long.
// Java: BrokerFastFailure.cleanExpiredRequest.
func TurnedAway(waited time.Duration) error {
	return fmt.Errorf("%w: %w", store.ErrBusy, protocol.Errorf(protocol.SystemBusy,
		"[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: %dms, size of queue: 0", waited.Milliseconds()))
}
