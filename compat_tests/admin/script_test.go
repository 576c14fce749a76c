package admin_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// step is a command of the script with its directives and what it must write.
//
// Directives, which shape the output before it is compared: "sort" sorts its lines; "blocks" sorts its blocks,
// which end with a line of dashes; "nums" masks numbers; "keys" masks what stands behind = or :, but not for
// the keys of "key NAME" lines; "keep REGEXP" drops other lines, "drop REGEXP" those; "json" compares the meaning of JSON. "retry"
// repeats the command until the output is as expected, as what it shows comes about in the background;
// "endless N" ends a command that does not end when it has written N lines. "not WHO: WHY" leaves
// a command out: server (Skylark's), tool (skylark admin), stock (the stock tool).
//
// A line "tool| ..." or "tool! ..." is what skylark admin writes where it differs from Java's on purpose.
type step struct {
	line       int // of the script
	words      []string
	directives []directive
	want       []string
	tool       []string // what skylark admin writes where it differs on purpose
}

// wanted returns what the stock tool or skylark admin must write.
func (s *step) wanted(tool bool) []string {
	if tool && s.tool != nil {
		return s.tool
	}
	return s.want
}

type directive struct{ name, value string }

// has returns a directive's value.
func (s *step) has(name string) (string, bool) {
	for _, d := range s.directives {
		if d.name == name {
			return d.value, true
		}
	}
	return "", false
}

func (s *step) text() string { return strings.Join(s.words, " ") }

// script is the file in the order of its lines; lines that are not steps are kept for -update.
type script struct {
	path  string
	items []any // *step or string
}

func readScript(t *testing.T, path string) *script {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	s := &script{path: path}
	var last *step
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		switch {
		case strings.HasPrefix(line, "> "), strings.HasPrefix(line, "@"):
			last = &step{line: n, words: strings.Fields(strings.TrimPrefix(line, "> "))}
			s.items = append(s.items, last)
		case strings.HasPrefix(line, "% "):
			name, value, _ := strings.Cut(line[2:], " ")
			last.directives = append(last.directives, directive{name, value})
		case strings.HasPrefix(line, "tool"):
			last.tool = append(last.tool, strings.TrimPrefix(strings.TrimPrefix(line[4:], "|"), " "))
		case strings.HasPrefix(line, "|"):
			last.want = append(last.want, strings.TrimPrefix(line[1:], " "))
		case strings.HasPrefix(line, "!"):
			last.want = append(last.want, line)
		default:
			s.items = append(s.items, line)
		}
	}
	require.NoError(t, in.Err())
	return s
}

func (s *script) steps() []*step {
	var out []*step
	for _, i := range s.items {
		if st, ok := i.(*step); ok {
			out = append(out, st)
		}
	}
	return out
}

// write stores the script with the outputs that its steps now have.
func (s *script) write(t *testing.T) {
	t.Helper()
	var b strings.Builder
	for _, i := range s.items {
		st, ok := i.(*step)
		if !ok {
			b.WriteString(i.(string) + "\n")
			continue
		}
		if !strings.HasPrefix(st.words[0], "@") {
			b.WriteString("> ")
		}
		b.WriteString(st.text() + "\n")
		for _, d := range st.directives {
			b.WriteString(strings.TrimSpace("% "+d.name+" "+d.value) + "\n")
		}
		for _, l := range st.want {
			b.WriteString(scriptLine("", l))
		}
		for _, l := range st.tool {
			b.WriteString(scriptLine("tool", l))
		}
	}
	require.NoError(t, os.WriteFile(s.path, []byte(b.String()), 0o644))
}

// scriptLine is a line of output in the script.
func scriptLine(who, l string) string {
	if !strings.HasPrefix(l, "!") {
		l = "| " + l
	}
	return strings.TrimRight(who+l, " ") + "\n"
}
