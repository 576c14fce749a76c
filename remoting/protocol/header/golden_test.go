package header

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// The ext fields Java wrote, through the struct and back, are the same fields; extra ones belong to no
// struct (inherited ones, or added by hand).
func TestExtFieldsOfJavaSurviveTheStruct(t *testing.T) {
	for _, c := range []struct {
		file  string
		h     any
		extra []string
	}{
		{"send_v2_request.json", &SendMessageRequestV2{}, nil},
		{"send_v2_request.rocketmq", &SendMessageRequestV2{}, nil},
		{"send_v1_request.json", &SendMessageRequest{}, nil},
		{"send_response.json", &SendMessageResponse{}, []string{"MSG_REGION", "TRACE_ON"}},
		{"pull_request.json", &PullMessageRequest{}, []string{"bname"}},
		{"pull_request.rocketmq", &PullMessageRequest{}, []string{"bname"}},
		{"pull_response.json", &PullMessageResponse{}, nil},
		{"oneway_request.json", &UpdateConsumerOffsetRequest{}, nil},
		{"search_offset_request.json", &SearchOffsetRequest{}, nil},
		{"boolean_request.json", &GetMaxOffsetRequest{}, []string{"lo"}},
	} {
		b, err := os.ReadFile("../../frame/testdata/" + c.file + ".json")
		require.NoError(t, err)
		var java struct{ Ext map[string]string }
		require.NoError(t, json.Unmarshal(b, &java))
		var ext protocol.Ext
		for k, v := range java.Ext {
			ext = append(ext, protocol.Field{Key: k, Value: v})
		}
		require.NoError(t, protocol.DecodeHeader(ext, c.h), c.file)
		got := map[string]string{}
		for _, f := range protocol.AppendHeader(nil, c.h) {
			got[f.Key] = f.Value
		}
		for _, k := range c.extra {
			require.Contains(t, java.Ext, k)
			delete(java.Ext, k)
		}
		require.Equal(t, java.Ext, got, "%s %s", c.file, reflect.TypeOf(c.h))
	}
}
