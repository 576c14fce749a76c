package namesrv

import (
	"github.com/skylarkmq/skylark/remoting/mux"
	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

func (s *Server) getNamesrvConfig(*mux.Request) (*protocol.Command, error) {
	return protocol.Reply(nil, []byte(properties.Text(s.o.ConfigLines()))), nil
}
