package send

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecallHandleIsJavas(t *testing.T) {
	b, err := os.ReadFile("testdata/recallhandle.json")
	require.NoError(t, err)
	var java map[string]string
	require.NoError(t, json.Unmarshal(b, &java))
	delete(java, "source")
	require.NotEmpty(t, java)
	for key, text := range java {
		h, ok := parseHandle(text)
		require.True(t, ok)
		require.Equal(t, recallHandle{"TopicTest", "broker-a", "1700000000001", key}, h)
	}
}

func FuzzParseHandle(f *testing.F) {
	f.Add("djEgVCBicm9rZXIgMSBr")
	f.Fuzz(func(_ *testing.T, s string) { parseHandle(s) })
}
