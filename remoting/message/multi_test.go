package message

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func lightsOf(r *Record) (out []string) {
	r.EachLight(func(name string, offset int64) bool {
		out = append(out, fmt.Sprint(name, "@", offset))
		return true
	})
	return out
}

func TestLightQueuesOfARecord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		topic, names, offsets string
		want                  []string
	}{
		{"A", "%LMQ%x", "7", []string{"%LMQ%x@7"}},
		{"A", "%LMQ%x,%LMQ%y,", "7,0", []string{"%LMQ%x@7", "%LMQ%y@0"}},
		{"A", "%LMQ%x,%LMQ%y", "7", nil},
		{"A", "%LMQ%x", "", nil},
		{"A", "", "7", nil},
		{"A", "%LMQ%x,y,%LMQ%z", "1,2,3", []string{"%LMQ%x@1", "%LMQ%z@3"}},
		{"A", "%LMQ%x,%LMQ%y,%LMQ%z", "1,-2,z", []string{"%LMQ%x@1"}},
		{"A", "%LMQ%../x,%LMQ%" + strings.Repeat("y", 251), "1,2", nil},
		{"%RETRY%g", "%LMQ%x", "7", nil},
		{"%DLQ%g", "%LMQ%x", "7", nil},
		{"rmq_sys_wheel_timer", "%LMQ%x", "7", nil},
		{"SCHEDULE_TOPIC_XXXX", "%LMQ%x", "7", nil},
	} {
		r := Record{Message: Message{Topic: c.topic}, Properties: "a\x01b\x02INNER_MULTI_DISPATCH\x01" + c.names + "\x02INNER_MULTI_QUEUE_OFFSET\x01" + c.offsets + "\x02"}
		require.Equal(t, c.want, lightsOf(&r), "%+v", c)
	}
}

// FuzzLightQueues gives a record light queues as a client names them, and offsets, and reads them back.
func FuzzLightQueues(f *testing.F) {
	f.Add("%LMQ%x,%LMQ%y", "UNIQ_KEY\x01K\x02", int64(7))
	f.Add("%LMQ%x,%LMQ%x,%LMQ%A,", "INNER_MULTI_QUEUE_OFFSET\x011\x02", int64(1<<62))
	f.Add("%LMQ%,", "", int64(0))
	f.Add("x,,", "a\x01INNER_MULTI_QUEUE_OFFSET\x01\x02", int64(9))
	f.Fuzz(func(t *testing.T, value, properties string, first int64) {
		odd := Record{Message: Message{Topic: "A"}, Properties: properties + value}
		lightsOf(&odd)
		names, err := LightQueues(value, "%LMQ%A")
		if err != nil || len(names) == 0 || first < 0 || first > 1<<62 || strings.ContainsAny(value, "\x01\x02") {
			return
		}
		all := ParseProperties(properties)
		all.Set(PropertyMultiDispatch, value)
		all.SetMultiDispatch(names)
		rec, err := AppendRecord(nil, &Message{Topic: "A", Body: []byte(value)}, all.String())
		if err != nil {
			return
		}
		rec = rec[:SetMultiOffsets(rec, func(i int) int64 { return first + int64(i) }, len(names))]
		r, err := Parse(rec, true)
		require.NoError(t, err)
		var want []string
		for i, name := range names {
			want = append(want, fmt.Sprint(name, "@", first+int64(i)))
		}
		require.Equal(t, want, lightsOf(&r))
		for _, p := range all {
			if p.Name != PropertyMultiQueueOffset {
				require.Equal(t, p.Value, GetProperty(r.Properties, p.Name), p.Name)
			}
		}
	})
}
