package body

import "github.com/skylarkmq/skylark/remoting/protocol"

// Reply returns a success response that carries header, which may be nil, and v as its body, as Marshal has it.
func Reply(header, v any) (*protocol.Command, error) {
	b, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	return protocol.Reply(header, b), nil
}
