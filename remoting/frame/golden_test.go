package frame

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// javaCommand is what Java's RemotingCommand.decode made of a frame (scripts/golden/java/FrameGolden.java).
type javaCommand struct {
	Type                  string
	Code, Version, Opaque int32
	Flag                  int32
	Language, Remark      *string
	Ext                   map[string]*string
	Body                  *string
}

func readGolden(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	_, digits, _ := strings.Cut(string(b), "\n")
	raw, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
	require.NoError(t, err, file)
	return raw
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// requireJava compares c with what Java decoded. Java keeps apart null and empty, c does not.
func requireJava(t *testing.T, want javaCommand, c *protocol.Command, at string) {
	t.Helper()
	require.Equal(t, want.Code, c.Code, at)
	require.Equal(t, want.Version, c.Version, at)
	require.Equal(t, want.Opaque, c.Opaque, at)
	require.Equal(t, want.Flag, c.Flag, at)
	require.Equal(t, value(want.Remark), c.Remark, at)
	language := "UNKNOWN"
	if want.Language != nil {
		language = *want.Language
	}
	require.Equal(t, language, c.Language.String(), at)
	ext := map[string]string{}
	for k, v := range want.Ext {
		if v != nil {
			ext[k] = *v
		}
	}
	got := map[string]string{}
	for _, f := range c.Ext {
		got[f.Key] = f.Value
	}
	require.Equal(t, ext, got, at)
	require.Equal(t, value(want.Body), hex.EncodeToString(c.Body), at)
}

func TestFramesOfJavaDecodeAsJavaDecodesThem(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	require.Greater(t, len(files), 20)
	for _, file := range files {
		raw := readGolden(t, file)
		side, err := os.ReadFile(strings.TrimSuffix(file, ".golden") + ".json")
		require.NoError(t, err)
		var want javaCommand
		require.NoError(t, json.Unmarshal(side, &want))
		n, err := Length(raw)
		require.NoError(t, err)
		require.Equal(t, len(raw), n, file)
		var c protocol.Command
		require.NoError(t, Decode(append([]byte(nil), raw...), &c), file)
		requireJava(t, want, &c, file)
	}
}

// Encoding what was decoded must give Java's bytes back: the ext fields keep their order.
func TestFramesOfJavaAreEncodedToTheSameBytes(t *testing.T) {
	// Null and empty are one to us, so what only differs in that is lost.
	lossy := map[string]bool{
		"empty_values_response.json":     true, // "remark":"" is left out
		"empty_values_response.rocketmq": true, // an empty value decodes to nothing, in Java to null
		"empty_ext_response.json":        true, // "extFields":{} is left out
		"default_response.json":          true,
	}
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".golden")
		if lossy[name] {
			continue
		}
		raw := readGolden(t, file)
		var c protocol.Command
		require.NoError(t, Decode(append([]byte(nil), raw...), &c), file)
		if raw[4] == TypeBinary {
			require.Equal(t, raw, AppendBinary(nil, &c), name)
		} else {
			require.Equal(t, string(raw), string(Append(nil, &c)), name)
		}
	}
}

// An empty, non-nil Ext is Java's response whose header class has only nulls.
func TestEmptyExtIsWrittenAsJavaWritesIt(t *testing.T) {
	c := protocol.Command{Flag: protocol.FlagResponse, Version: protocol.Version, Opaque: 10, Ext: protocol.Ext{}}
	require.Equal(t, string(readGolden(t, "testdata/empty_ext_response.json.golden")), string(Append(nil, &c)))
}

func TestForeignHeadersDecodeAsJavaDecodesThem(t *testing.T) {
	// Headers no peer sends. Java's parser forgives what follows ...
	stricter := map[string]bool{
		`{"code":10,"remark":"a\x41b"}`: true, // hex escape
		`{'code':10,'remark':'single'}`: true,
		`{"code":10,}`:                  true,
		`{"code":10.0}`:                 true,
		`{"code":10.9}`:                 true,
		`{"code":1e1}`:                  true,
		`{"code":+10}`:                  true,
		`{"code":true}`:                 true, // 1
		`{"code":""}`:                   true, // 0
		`{"code":10 "flag":1}`:          true,
		`/* c */{"code":10}`:            true,
	}
	// ... and refuses this.
	other := map[string]string{`{"code":10,"language":"go"}`: "UNKNOWN"} // Java takes enum names in any case
	looser := map[string]bool{
		`{"code":10,"language":99}`: true,
		`{"code":10}trailing`:       true,
		`{"code":10}{"code":11}`:    true,
		`{"code":10,"oneway":true,"responseType":true,"type":"RESPONSE_COMMAND","body":"AQI="}`: true, // Java has a setter for body
	}
	b, err := os.ReadFile("testdata/foreign.json")
	require.NoError(t, err)
	var cases map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(b, &cases))
	delete(cases, "source")
	for _, raw := range cases {
		var one struct {
			Header string
			Java   *javaCommand
		}
		require.NoError(t, json.Unmarshal(raw, &one))
		c, err := decodeText(t, one.Header)
		switch {
		case stricter[one.Header]:
			require.ErrorIs(t, err, ErrMalformed, one.Header)
			require.NotNil(t, one.Java)
		case looser[one.Header]:
			require.NoError(t, err, one.Header)
			require.Nil(t, one.Java)
		case one.Java == nil:
			require.ErrorIs(t, err, ErrMalformed, one.Header)
		default:
			require.NoError(t, err, one.Header)
			if name, ok := other[one.Header]; ok {
				one.Java.Language = &name
			}
			requireJava(t, *one.Java, &c, one.Header)
		}
	}
}
