package attribute

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func rules() Rules {
	return Rules{
		"queue.type":   Enum(false, "SimpleCQ", "BatchCQ"),
		"message.type": Enum(true, "NORMAL", "FIFO"),
		"reserve.time": Range(true, -1, 100),
		"flag":         Boolean(true),
		"note":         Text(true),
	}
}

// The texts are those of a Java 5.5.0 broker, asked through UPDATE_AND_CREATE_TOPIC.
func TestParseAnswersAsJava(t *testing.T) {
	for text, want := range map[string]string{
		"message.type=FIFO":                  "add/alter attribute format is wrong: message.type",
		"-a=1":                               "add/alter attribute format is wrong: -a",
		"+queue.type=":                       "Index 1 out of bounds for length 1",
		"+x":                                 "delete attribute format is wrong: +x",
		"+message.type=A,+message.type=FIFO": "key duplication: +message.type",
	} {
		_, err := Parse(text)
		require.EqualError(t, err, want, text)
	}
	got, err := Parse("+a=1,+b=2=3,-c,")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"+a": "1", "+b": "2", "-c": ""}, got)
	got, err = Parse("")
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestAlterAnswersAsJava(t *testing.T) {
	current := map[string]string{"queue.type": "BatchCQ", "message.type": "NORMAL"}
	for _, c := range []struct {
		create bool
		change map[string]string
		want   string
	}{
		{true, map[string]string{"+nokey": "1"}, "unsupported key: nokey"},
		{true, map[string]string{"+queue.type": "X"}, "value is not in set: [SimpleCQ, BatchCQ]"},
		{true, map[string]string{"-message.type": ""}, "only add attribute is supported while creating topic. key: message.type"},
		{true, map[string]string{"+reserve.time": "x"}, `For input string: "x"`},
		{true, map[string]string{"+reserve.time": "101"}, "value is not in range(-1, 100)"},
		{true, map[string]string{"+flag": "maybe"}, "boolean attribute format is wrong."},
		{true, map[string]string{"x": "1"}, "kv string format wrong."},
		{true, map[string]string{"": "1"}, "kv string format wrong."},
		{true, map[string]string{"+a+b": "1"}, "kv string format wrong."},
		{false, map[string]string{"-note": ""}, "attempt to delete a nonexistent key: note"},
		{false, map[string]string{"note": ""}, "wrong format key: ote"},
		{false, map[string]string{"+queue.type": "SimpleCQ"}, "attempt to update an unchangeable attribute. key: queue.type"},
		{false, map[string]string{"-queue.type": ""}, "attempt to update an unchangeable attribute. key: queue.type"},
		{false, map[string]string{"+message.type": "FIFO", "-message.type": ""}, "alter duplication key. key: message.type"},
	} {
		cur := current
		if c.create {
			cur = nil
		}
		_, err := Alter(c.create, rules(), cur, c.change)
		require.EqualError(t, err, c.want)
	}
}

func TestAlterLeavesItsInputsAlone(t *testing.T) {
	current := map[string]string{"message.type": "NORMAL", "note": "n"}
	change := map[string]string{"+message.type": "FIFO", "-note": "", "+flag": "TRUE"}
	got, err := Alter(false, rules(), current, change)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"message.type": "FIFO", "flag": "TRUE"}, got)
	require.Equal(t, map[string]string{"message.type": "NORMAL", "note": "n"}, current)
	got, err = Alter(true, rules(), nil, nil)
	require.NoError(t, err)
	require.NotNil(t, got)
}
