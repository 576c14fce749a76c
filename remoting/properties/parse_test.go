package properties

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// TestParseAgreesWithJava replays testdata/load.golden, which was made by
// `java testdata/LoadGolden.java < inputs > testdata/load.golden` from hand-picked corner
// cases and random ones.
func TestParseAgreesWithJava(t *testing.T) {
	name := "testdata/load.golden"
	if other := os.Getenv("PROPERTIES_GOLDEN"); other != "" {
		name = other
	}
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	lines := bufio.NewScanner(bytes.NewReader(text))
	cases := 0
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var c struct {
			In    []byte            `json:"in"`
			Out   map[string]string `json:"out"`
			Error string            `json:"error"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		cases++
		p, err := Parse(c.In)
		if c.Error != "" {
			require.Error(t, err, "input %q", c.In)
			continue
		}
		require.NoError(t, err, "input %q", c.In)
		got := maps.Collect(p.All())
		if bytes.HasSuffix(bytes.TrimRight(c.In, " \t\f\r\n"), []byte(`\`)) && c.Out[""] == "" {
			// Java makes an empty key of a lone backslash that ends the text, depending
			// on the bytes behind it. No option has that name.
			delete(c.Out, "")
			delete(got, "")
		}
		require.Equal(t, c.Out, got, "input %q", c.In)
	}
	require.GreaterOrEqual(t, cases, 300)
}

func TestParseKeepsFirstPlaceAndLastValue(t *testing.T) {
	p, err := Parse([]byte("b=1\na=2\nb=3\nc=\n"))
	require.NoError(t, err)
	require.Equal(t, []KV{{"b", "3"}, {"a", "2"}, {"c", ""}}, p.entries)
	require.Equal(t, 3, p.Len())
	v, ok := p.Get("c")
	require.True(t, ok)
	require.Empty(t, v)
	_, ok = p.Get("d")
	require.False(t, ok)
}

func TestParseReadsUTF8AndLatin1(t *testing.T) {
	for _, text := range []string{
		"brokerName=caf\u00e9 \u4e2d",
		"\uFEFFbrokerName=caf\u00e9 \u4e2d",
		`brokerName=caf\u00e9 \u4e2d`,
	} {
		p, err := Parse([]byte(text))
		require.NoError(t, err)
		v, _ := p.Get("brokerName")
		require.Equal(t, "caf\u00e9 \u4e2d", v)
	}
	p, err := Parse([]byte("brokerName=caf\xe9"))
	require.NoError(t, err)
	v, _ := p.Get("brokerName")
	require.Equal(t, "caf\u00e9", v)
}

func TestParseNamesTheLineOfABrokenEscape(t *testing.T) {
	_, err := Parse([]byte("# comment\na=b \\\n  c\nstorePathRootDir=C:\\users\\x\n"))
	require.EqualError(t, err, `cannot parse properties line 4 (key "storePathRootDir"): malformed \u escape "\\users"`)
}

func TestTextIsSortedAndRaw(t *testing.T) {
	p := &Properties{}
	p.Set("b", `C:\x`)
	p.Set("a", "1")
	p.Set("B", "")
	require.Equal(t, "B=\na=1\nb=C:\\x\n", p.String())
	require.Empty(t, Text(nil))
	require.Equal(t, "b", p.entries[0].Key, "Text leaves the order of its argument alone")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# c\nlistenPort = 10911\nmessageDelayLevel=1s \\\n 5s\na\\ b:\\u00e9\n"))
	f.Add([]byte("a=\\ud83d\\ude00\r\nb\xe9 c"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		require.Equal(t, p.Len(), len(p.index))
		for key, value := range p.All() {
			require.True(t, utf8.ValidString(key) && utf8.ValidString(value))
		}
		again, err := Parse([]byte(Escape(p)))
		require.NoError(t, err)
		require.Equal(t, p.entries, again.entries)
	})
}
