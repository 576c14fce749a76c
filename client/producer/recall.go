package producer

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/skylarkmq/skylark/client/internal/instance"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// parseHandle returns topic and broker of a recall handle: the base64 of "v1", topic, broker name, time and unique
// id with blanks in between. Java: RecallMessageHandle.
func parseHandle(handle string) (topic, broker string, err error) {
	raw, err := base64.URLEncoding.DecodeString(handle)
	if err == nil {
		if parts := strings.Split(string(raw), " "); len(parts) >= 5 && parts[0] == "v1" {
			return parts[1], parts[2], nil
		}
	}
	return "", "", protocol.Errorf(protocol.IllegalOperation, "recall handle is invalid")
}

func (p *Producer) recall(ctx context.Context, handle string) (string, error) {
	topic, broker, err := parseHandle(handle)
	if err != nil {
		return "", err
	}
	if _, err := p.inst.Route(ctx, topic); err != nil {
		return "", err
	}
	addr := p.inst.Master(broker)
	if addr == "" {
		return "", fmt.Errorf("cannot recall a message: the broker[%s] not exist", broker)
	}
	r, err := instance.Fields[header.RecallMessageResponse](ctx, p.inst, addr, protocol.RecallMessage, header.RecallMessageRequest{ProducerGroup: p.o.Group, Topic: topic, RecallHandle: handle})
	if err != nil {
		return "", err
	}
	return strings.Clone(r.MsgID), nil
}
