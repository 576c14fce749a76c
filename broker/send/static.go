package send

import (
	"github.com/skylarkmq/skylark/broker/mapping"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// logical is what the reply to a send of a static topic tells of its queue.
type logical struct {
	queueID int32
	shift   int64 // from physical to logical queue offset
	moving  bool  // the queue is on its way here: logical offsets are not known yet
}

// physical puts the physical queue into h that messages of a logical one go to. With lo=false h names one already.
func (s *Sender) physical(d *mapping.Detail, cmd *protocol.Command, h *header.SendMessageRequestV2) (logical, error) {
	if mapping.IsPhysical(cmd.Ext) {
		return logical{queueID: h.QueueID}, nil
	}
	q, err := mapping.LeadAny(d, h.QueueID)
	if err != nil {
		return logical{}, err
	}
	leader := q.Leader()
	h.QueueID = leader.QueueID
	return logical{q.ID, leader.LogicOffset - leader.StartOffset, !mapping.Decided(leader)}, nil
}
