package peer

import (
	"context"
	"errors"
	"time"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// routeTimeout is how long one name server has to say where a topic is. Java: TopicRouteInfoManager, 3 s.
const routeTimeout = 3 * time.Second

// ErrNoNameServer means that the list of name servers is empty.
var ErrNoNameServer = errors.New("no name server is set")

// Route asks the name servers, one after the other until one answers, where a topic is. nil without an error
// means that there is no such topic.
func (r *Registrar) Route(ctx context.Context, topic string) (*body.TopicRouteData, error) {
	err := ErrNoNameServer
	for _, n := range r.all() {
		var route *body.TopicRouteData
		if route, err = n.route(ctx, topic); err == nil {
			return route, nil
		}
	}
	return nil, err
}

func (n *nameServer) route(ctx context.Context, topic string) (*body.TopicRouteData, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	resp, err := n.call(ctx, protocol.NewRequest(protocol.GetRouteInfoByTopic, header.GetRouteInfoRequest{Topic: topic, AcceptStandardJSONOnly: true}))
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.TopicNotExist {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	route := &body.TopicRouteData{}
	return route, body.Unmarshal(resp.Body, route)
}
