package admin

import (
	"strings"

	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
	"github.com/skylarkmq/skylark/store"
)

const (
	uniqueKeyQuery = "_UNIQUE_KEY_QUERY" // ext field. Java: MixAll.UNIQUE_MSG_QUERY_FLAG
	tagIndex       = "T"                 // Java: MessageConst.INDEX_TAG_TYPE
)

// queryMessage returns the messages that have a key, as they are stored.
// Java: QueryMessageProcessor.queryMessage.
func (h *Handlers) queryMessage(r *mux.Request, req *header.QueryMessageRequest) (*protocol.Command, error) {
	flag, _ := r.Cmd.Ext.Get(uniqueKeyQuery)
	unique := strings.EqualFold(flag, "true")
	found, err := h.o.Store.Query(store.QueryRequest{Topic: req.Topic, Key: req.Key, Unique: unique, Tag: !unique && req.IndexType == tagIndex,
		Max: int(req.MaxNum), Begin: req.BeginTimestamp, End: req.EndTimestamp})
	if err != nil {
		return nil, err
	}
	resp := protocol.Reply(header.QueryMessageResponse{IndexLastUpdateTimestamp: found.LastStoreTimestamp, IndexLastUpdatePhyoffset: found.LastPhysicalOffset}, found.Records)
	if len(found.Records) == 0 {
		resp.Code, resp.Remark = protocol.QueryNotFound, "can not find message, maybe time range not correct"
	}
	return resp, nil
}
