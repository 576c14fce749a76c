package send

import (
	"math/bits"

	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/header"
)

// requiredV2 has a bit for each required one-letter field, a to h.
const requiredV2 = 1<<8 - 1

// decode fills h from a send request of any code. SEND_MESSAGE has long names and goes by the common
// codec. The other codes are decoded by hand: theirs is the hottest header there is, and a test keeps
// this in step with the codec.
func decode(cmd *protocol.Command, h *header.SendMessageRequestV2) error {
	if cmd.Code == protocol.SendMessage {
		var v1 header.SendMessageRequest
		if err := protocol.DecodeHeader(cmd.Ext, &v1); err != nil {
			return err
		}
		*h = header.SendMessageRequestV2(v1)
		return nil
	}
	*h = header.SendMessageRequestV2{}
	seen := 0
	for i := range cmd.Ext {
		f := &cmd.Ext[i]
		if len(f.Key) != 1 {
			continue
		}
		if !field(h, f) {
			return protocol.DecodeHeader(cmd.Ext, h) // for its error
		}
		if c := f.Key[0]; c <= 'h' && c >= 'a' {
			seen |= 1 << (c - 'a')
		}
	}
	if seen != requiredV2 {
		return protocol.DecodeHeader(cmd.Ext, h) // for its error
	}
	return nil
}

// last is a header decoded from the fields of a template.
type last struct {
	template *protocol.Template
	h        header.SendMessageRequestV2
}

// decode is the function decode, which for a command like the one before looks only at what differs.
func (l *last) decode(cmd *protocol.Command, h *header.SendMessageRequestV2) error {
	if cmd.Template == nil || cmd.Code == protocol.SendMessage {
		return decode(cmd, h)
	}
	if cmd.Template != l.template {
		l.template = nil
		if decode(&protocol.Command{Code: cmd.Code, Ext: cmd.Template.Ext}, &l.h) != nil {
			return decode(cmd, h)
		}
		l.template = cmd.Template
	}
	*h = l.h
	for m := cmd.Changed; m != 0; m &= m - 1 {
		f := &cmd.Ext[bits.TrailingZeros64(m)]
		if len(f.Key) == 1 && !field(h, f) {
			return protocol.DecodeHeader(cmd.Ext, h) // for its error
		}
	}
	return nil
}

// field sets one field of h and reports whether its value is one.
func field(h *header.SendMessageRequestV2, f *protocol.Field) bool {
	ok := true
	switch f.Key[0] {
	case 'a':
		h.ProducerGroup = f.Value
	case 'b':
		h.Topic = f.Value
	case 'c':
		h.DefaultTopic = f.Value
	case 'd':
		h.DefaultTopicQueueNums, ok = int32Of(f.Value)
	case 'e':
		h.QueueID, ok = int32Of(f.Value)
	case 'f':
		h.SysFlag, ok = int32Of(f.Value)
	case 'g':
		h.BornTimestamp, ok = int64Of(f.Value)
	case 'h':
		h.Flag, ok = int32Of(f.Value)
	case 'i':
		h.Properties = f.Value
	case 'j':
		h.ReconsumeTimes, ok = int32Of(f.Value)
	case 'k':
		h.UnitMode = f.Value == "true"
	case 'l':
		// Only retry topics look at it; those go by the lane, where the pointer may cost.
		if n, good := int32Of(f.Value); !good {
			ok = false
		} else if n != 0 {
			m := n // n itself stays off the heap
			h.MaxReconsumeTimes = &m
		} else {
			h.MaxReconsumeTimes = &zero
		}
	case 'm':
		h.Batch = f.Value == "true"
	case 'n':
		h.BrokerName = f.Value
	}
	return ok
}

// zero is what the common "maxReconsumeTimes":"0" points to. It is never written.
var zero int32

func int32Of(s string) (int32, bool) {
	n, ok := int64Of(s)
	return int32(n), ok && n == int64(int32(n))
}

func int64Of(s string) (int64, bool) {
	neg := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	if neg {
		n = -n
	}
	return n, true
}
