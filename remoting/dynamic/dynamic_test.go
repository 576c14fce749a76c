package dynamic

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

type options struct {
	Trace bool   `prop:"traceOn"`
	Level int32  `prop:"level"`
	Name  string `prop:"name"`
	Fixed string `prop:"fixed"`
}

func rules() Allowed {
	return Allowed{"traceOn": Bool, "level": Range(1, 9), "name": func(string) string { return "" }}
}

// FuzzParse: a request is refused with one of three codes, or its changes are what the file of overrides gives back.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "traceOn=true\nlevel = 3 ", "name=\\u4e2d a=b:c #!", "fixed=x", "level=99", "name=\\u12", "rocketmqHome=/", "# c\nname", "name=caf\xe9", "name=\xf0\x9f\x98\x80"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := rules().Parse(body, "rocketmqHome", properties.Keys{"fixed"})
		if err != nil {
			var refusal *protocol.Error
			require.True(t, errors.As(err, &refusal))
			require.Contains(t, []int32{protocol.NoPermission, protocol.InvalidParameter, protocol.SystemError}, refusal.Code)
			require.Less(t, len(refusal.Remark), 1000)
			return
		}
		var o options
		loaded, warnings, err := rules().Load(fileText(p), &o)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Equal(t, maps.Collect(p.All()), maps.Collect(loaded.All()))
	})
}

func TestOverridesAreMergedAndChecked(t *testing.T) {
	first, err := rules().Parse([]byte("level=3\nname= one\\u0020two # x"), "", nil)
	require.NoError(t, err)
	second, err := rules().Parse([]byte("level=4\ntraceOn=TRUE"), "", nil)
	require.NoError(t, err)
	text := fileText(merge(first, second))
	o := options{Fixed: "kept"}
	_, warnings, err := rules().Load(append(text, "fixed=changed\nlevle=5\n"...), &o)
	require.NoError(t, err)
	require.Equal(t, options{Trace: true, Level: 4, Name: "one two # x", Fixed: "kept"}, o)
	require.Len(t, warnings, 2)
	require.Equal(t, 2, strings.Count(strings.Join(warnings, "\n"), "is left out"))
	_, warnings, err = rules().Load([]byte("level=77\ntraceOn=yes\n"), &o)
	require.NoError(t, err)
	require.Len(t, warnings, 2)
	require.EqualValues(t, 4, o.Level)
	_, _, err = rules().Load([]byte(`name=\u12`), &o)
	require.Error(t, err)
}
