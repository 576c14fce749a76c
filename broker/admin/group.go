package admin

import (
	"time"

	"github.com/skylarkmq/skylark/broker/group"
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// updateGroup makes or changes a group; no body is no change.
// Java: AdminBrokerProcessor.updateAndCreateSubscriptionGroup.
func (h *Handlers) updateGroup(r *mux.Request) (*protocol.Command, error) {
	if len(r.Cmd.Body) == 0 {
		return success(), nil
	}
	var c body.SubscriptionGroupConfig
	if err := decode(r, &c); err != nil {
		return nil, err
	}
	return h.changeGroups(r, &c)
}

// updateGroups makes or changes groups; a bad name stops all.
// Java: AdminBrokerProcessor.updateAndCreateSubscriptionGroupList.
func (h *Handlers) updateGroups(r *mux.Request) (*protocol.Command, error) {
	var req body.SubscriptionGroupList
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	return h.changeGroups(r, req.GroupConfigList...)
}

func (h *Handlers) changeGroups(r *mux.Request, groups ...*body.SubscriptionGroupConfig) (*protocol.Command, error) {
	for _, c := range groups {
		if c == nil {
			return nil, protocol.Errorf(protocol.SystemError, "a group of the list is null")
		}
		if why := group.ValidateName(c.GroupName); why != "" {
			return nil, invalid(why)
		}
	}
	if len(groups) == 0 {
		return success(), nil
	}
	began := time.Now()
	err := h.o.Groups.Update(groups...)
	h.o.Stats.GroupMade(err == nil, time.Since(began))
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%v", err)
	}
	h.o.Logger.Info().Int("groups", len(groups)).Stringer("remote", r.Conn.Remote()).Msg("subscription groups changed by request")
	return success(), nil
}

// allGroups returns the table of groups, or one page of it when the request has any of the fields for
// that. Java: AdminBrokerProcessor.getAllSubscriptionGroup.
func (h *Handlers) allGroups(r *mux.Request) (*protocol.Command, error) {
	var req header.GetAllSubscriptionGroupRequest
	whole := !h.live.Load().EnableSplitMetadata || absent(r.Cmd.Ext, "groupSeq", "dataVersion", "maxGroupNum")
	if !whole {
		if err := protocol.DecodeHeader(r.Cmd.Ext, &req); err != nil {
			return nil, err
		}
	}
	w := body.SubscriptionGroupWrapper{DataVersion: h.o.Groups.DataVersion(), ForbiddenTable: h.o.Groups.ForbiddenTable(),
		SubscriptionGroupTable: map[string]*body.SubscriptionGroupConfig{}}
	all := h.o.Groups.All()
	total := int32(len(all))
	if !whole {
		all = h.o.Groups.Page(page(req.GroupSeq, req.DataVersion, w.DataVersion, h.live.Load().SplitMetadataSize, req.MaxGroupNum))
		w.ForbiddenTable = map[string]map[string]int32{}
	}
	for _, c := range all {
		w.SubscriptionGroupTable[c.GroupName] = c
		if bits := h.o.Groups.ForbiddenTable()[c.GroupName]; !whole && bits != nil {
			w.ForbiddenTable[c.GroupName] = bits
		}
	}
	return body.Reply(header.GetAllSubscriptionGroupResponse{TotalGroupNum: total}, w)
}

// groupConfig returns one group, which is made when that is allowed.
// Java: AdminBrokerProcessor.getSubscriptionGroup.
func (h *Handlers) groupConfig(_ *mux.Request, req *header.GetSubscriptionGroupConfigRequest) (*protocol.Command, error) {
	c := h.o.Groups.Get(req.Group)
	if c == nil {
		return nil, protocol.Errorf(protocol.SubscriptionGroupNotExist, "No group in this broker")
	}
	return body.Reply(nil, c)
}

// deleteGroup deletes a group and, when asked to, its offsets.
// Java: AdminBrokerProcessor.deleteSubscriptionGroup.
func (h *Handlers) deleteGroup(r *mux.Request, req *header.DeleteSubscriptionGroupRequest) (*protocol.Command, error) {
	if _, err := h.o.Groups.Delete(req.GroupName); err != nil {
		return nil, err
	}
	if req.CleanOffset {
		h.o.Offsets.RemoveGroup(req.GroupName)
	}
	h.o.Stats.RemoveGroup(req.GroupName)
	h.o.Logger.Info().Str("group", req.GroupName).Bool("cleanOffset", req.CleanOffset).Stringer("remote", r.Conn.Remote()).Msg("subscription group deleted by request")
	return success(), nil
}

// groupForbidden says whether a group may read a topic, and before that changes it when asked to.
// Java: AdminBrokerProcessor.updateAndGetGroupForbidden.
func (h *Handlers) groupForbidden(_ *mux.Request, req *header.UpdateGroupForbiddenRequest) (*protocol.Command, error) {
	if req.Readable != nil {
		if err := h.o.Groups.SetForbidden(req.Group, req.Topic, group.ForbidRead, !*req.Readable); err != nil {
			return nil, err
		}
	}
	readable := h.o.Groups.Forbidden(req.Group, req.Topic)&group.ForbidRead == 0
	return body.Reply(nil, body.GroupForbidden{Group: req.Group, Readable: &readable, Topic: req.Topic})
}
