package sql92

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/skylarkmq/skylark/remoting/message"
	"github.com/stretchr/testify/require"
)

// golden is one line of testdata/verdicts.golden, which Java wrote (scripts/golden/java/SqlGolden.java). To add
// an expression, append {"e":"..."} and run scripts/golden/golden.sh.
type golden struct {
	Expression string `json:"e"`
	Error      string `json:"error"`
	Verdicts   string `json:"v"`
}

func readGolden(t testing.TB) (messages []string, all []golden) {
	t.Helper()
	f, err := os.Open("testdata/verdicts.golden")
	require.NoError(t, err)
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	require.True(t, in.Scan())
	var head struct{ Messages [][]string }
	require.NoError(t, json.Unmarshal(in.Bytes(), &head))
	for _, pairs := range head.Messages {
		messages = append(messages, propertyString(pairs))
	}
	for in.Scan() {
		var g golden
		require.NoError(t, json.Unmarshal(in.Bytes(), &g))
		all = append(all, g)
	}
	require.NoError(t, in.Err())
	return messages, all
}

func propertyString(pairs []string) string {
	var b []byte
	for i := 0; i < len(pairs); i += 2 {
		b = message.AppendProperty(b, pairs[i], pairs[i+1])
	}
	return string(b)
}

// verdicts returns what Java's program would write for the expression.
func verdicts(text string, messages []string) golden {
	e, err := Compile(text)
	if err != nil {
		return golden{Expression: text, Error: err.Error()}
	}
	v := make([]byte, len(messages))
	for i, m := range messages {
		r, err := e.Evaluate(m)
		v[i] = "UFT"[r]
		if err != nil {
			v[i] = 'X'
		}
	}
	return golden{Expression: text, Verdicts: string(v)}
}

func TestVerdictsAreJavas(t *testing.T) {
	messages, all := readGolden(t)
	require.GreaterOrEqual(t, len(all), 500)
	for _, g := range all {
		got := verdicts(g.Expression, messages)
		if len(g.Expression) > 100 {
			g.Expression, got.Expression = g.Expression[:100], ""
			got.Expression = g.Expression
		}
		if g != got {
			t.Errorf("%q\nJava    %s%s\nSkylark %s%s", g.Expression, g.Verdicts, g.Error, got.Verdicts, got.Error)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("(", n) + "a = 5" + strings.Repeat(")", n) }
	for _, text := range []string{
		nested(MaxDepth - 1), strings.Repeat("NOT ", MaxDepth-1) + "a", "a IS NULL" + strings.Repeat(" IS NULL", MaxDepth-1),
		"a = 5" + strings.Repeat(" OR a = 5", 20000), "a IN ('x'" + strings.Repeat(",'x'", 60000) + ")", strings.Repeat("+", MaxDepth-1) + "a",
	} {
		e, err := Compile(text)
		require.NoError(t, err, text[:20])
		_, err = e.Evaluate("a\x015")
		require.NoError(t, err)
	}
	for _, text := range []string{
		nested(MaxDepth + 1), nested(MaxLength / 4), strings.Repeat("NOT ", MaxLength/5) + "a", strings.Repeat("- ", MaxLength/3) + "a",
		strings.Repeat("+", MaxLength/2) + "a", "a IS NULL" + strings.Repeat(" IS NULL", MaxDepth+1), strings.Repeat("(", MaxLength),
		"a" + strings.Repeat(" CONTAINS 'x'", MaxDepth+2), strings.Repeat("a AND ", MaxLength/6) + "abcdefg",
	} {
		_, err := Compile(text)
		require.Error(t, err, text[:20])
		require.Less(t, len(err.Error()), 200)
	}
}

func TestEvaluateAllocatesNothing(t *testing.T) {
	messages, all := readGolden(t)
	for _, g := range all {
		e, err := Compile(g.Expression)
		if err != nil {
			continue
		}
		for _, m := range messages[:len(messages)-1] { // the last has a number that is out of range, which strconv puts in words
			n := testing.AllocsPerRun(10, func() { _, _ = e.Evaluate(m) })
			require.Zero(t, n, "%.100s", g.Expression)
		}
	}
}

// TestManyProperties: an expression with more properties than an evaluation holds without allocating, and
// properties that stand twice.
func TestManyProperties(t *testing.T) {
	t.Parallel()
	var parts, pairs []string
	for i := range 40 {
		name := "p" + strings.Repeat("x", i)
		parts = append(parts, name+" = 'v"+name+"'")
		pairs = append(pairs, name, "old", name, "v"+name)
	}
	e, err := Compile(strings.Join(parts, " AND "))
	require.NoError(t, err)
	r, err := e.Evaluate(propertyString(pairs))
	require.NoError(t, err)
	require.Equal(t, True, r)
	r, err = e.Evaluate(propertyString(append(pairs, "p", "new")))
	require.NoError(t, err)
	require.Equal(t, False, r)
}

func FuzzCompile(f *testing.F) {
	messages, all := readGolden(f)
	for _, g := range all {
		if len(g.Expression) < 300 {
			f.Add(g.Expression, messages[len(g.Expression)%len(messages)])
		}
	}
	f.Fuzz(func(t *testing.T, text, properties string) {
		e, err := Compile(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NotEmpty(t, e.root.String())
		want, wantErr := e.Evaluate(properties)
		// Blanks around it, and what stands behind a whole expression, change nothing.
		again, err := Compile(" \n" + text + "\n) x #")
		if err != nil {
			return // the text ends within a comment or before something that goes on
		}
		r, err := again.Evaluate(properties)
		require.Equal(t, want, r)
		require.Equal(t, wantErr, err)
	})
}

func BenchmarkEvaluate(b *testing.B) {
	e, err := Compile("(region = 'hangzhou' OR region IN ('shanghai', 'beijing')) AND price BETWEEN 10 AND 500.5 AND name IS NOT NULL")
	require.NoError(b, err)
	m := propertyString([]string{"TAGS", "TagA", "KEYS", "k1 k2", "UNIQ_KEY", "7F0000010B6018B4AAC2130CB3C20000", "WAIT", "true", "region", "beijing", "price", "99", "name", "x"})
	b.ReportAllocs()
	for b.Loop() {
		if r, _ := e.Evaluate(m); r != True {
			b.Fatal(r)
		}
	}
}
