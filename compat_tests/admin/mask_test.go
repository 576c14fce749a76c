package admin_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Values that differ from run to run. Blanks around them go with them, because columns are padded by the length of
// what stands in them.
var (
	masks = []struct {
		re *regexp.Regexp
		to string
	}{
		{regexp.MustCompile(` *\b\d{4}-\d\d-\d\d[ T#]\d\d:\d\d:\d\d([.,:]\d+)? *`), " TIME "},
		{regexp.MustCompile(` *\b\d{14,17}\b *`), " TIME "}, // yyyyMMddHHmmss
		{regexp.MustCompile(` *\b1[789]\d{11}\b *`), " MS "},
		{regexp.MustCompile(` *\b[0-9A-F]{32}([0-9A-F]{24,26})?(_\d)?\b *`), " ID "},
		{regexp.MustCompile(` *\bV\d_\d+_\d+(_SNAPSHOT)?\b *`), " VERSION "},
		{regexp.MustCompile(`[0-9.]+@\d+#\d+|[0-9.]+@(consumers|producers)`), "CLIENT"},
		{regexp.MustCompile(`originalMsgId=[0-9A-F]{32}`), "originalMsgId= ID "},
		{regexp.MustCompile(`(?m)^(\t+)"(\d+)":`), "$1$2:"},                        // a number as a key: fastjson does not quote it
		{regexp.MustCompile(`(\$\$Lambda|[a-z]@)[0-9a-fx/@$]*[0-9a-f]{6,}`), "$1"}, // Java's name of an object
		{regexp.MustCompile(`/?127\.0\.0\.1:\d+`), "HOST:PORT"},
		{regexp.MustCompile(` *\b\d+ms\b *`), " Nms "},
	}
	numbers = regexp.MustCompile(` *-?\b\d+(\.\d+)?(E-?\d+)?\b%? *`)
	braces  = regexp.MustCompile(`\{[\w.+]+=[^{}\n]*\}`)        // a map of Java's, in the order of its hash codes
	inline  = regexp.MustCompile(`\[\s+(-?\d+,\s+)*-?\d+\s+\]`) // a list of numbers, one on each line
	value   = regexp.MustCompile(`^([^=:]+?)( *[=:]).*$`)
	code    = regexp.MustCompile(`CODE: (\d+) +DESC: (.*?)(\s*BROKER: .*|\s*For more information.*)?$`)
	cause   = regexp.MustCompile(`(?m)^(?:Caused by: |)[\w.$]+(?:Exception|Error)(?:: (.*))?$`)
)

// mask replaces what differs from run to run; named are addresses of servers with their names.
func mask(text string, named map[string]string) string {
	for addr, name := range named {
		text = strings.ReplaceAll(text, addr, name)
	}
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.to)
	}
	text = inline.ReplaceAllStringFunc(text, func(m string) string { return strings.Join(strings.Fields(m), "") })
	return braces.ReplaceAllStringFunc(text, func(m string) string {
		items := strings.Split(m[1:len(m)-1], ", ")
		slices.Sort(items)
		return "{" + strings.Join(items, ", ") + "}"
	})
}

// shape makes of a command's output the lines that are compared.
func (s *step) shape(out string, named map[string]string) []string {
	out = strings.ReplaceAll(mask(out, named), "\r", "")
	if _, ok := s.has("json"); ok {
		return []string{sortedJSON(out)}
	}
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	for i, l := range lines {
		lines[i] = s.line1(l)
	}
	if keep, ok := s.has("keep"); ok {
		re := regexp.MustCompile(keep)
		lines = slices.DeleteFunc(lines, func(l string) bool { return !re.MatchString(l) })
	}
	for _, d := range s.directives {
		if d.name == "drop" {
			re := regexp.MustCompile(d.value)
			lines = slices.DeleteFunc(lines, func(l string) bool { return re.MatchString(l) })
		}
	}
	if n, ok := s.has("endless"); ok {
		lines = lines[:min(len(lines), int(n[0]-'0'))]
	}
	if _, ok := s.has("blocks"); ok {
		lines = sortBlocks(lines)
	}
	if _, ok := s.has("sort"); ok {
		slices.Sort(lines)
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines
}

// line1 shapes one line.
func (s *step) line1(l string) string {
	if _, ok := s.has("keys"); ok {
		if m := value.FindStringSubmatch(l); m != nil && !slices.Contains(s.directives, directive{"key", strings.TrimSpace(m[1])}) {
			l = m[1] + m[2]
		}
	}
	if _, ok := s.has("nums"); ok {
		l = numbers.ReplaceAllString(l, " N ")
	}
	return strings.TrimRight(l, " \t")
}

func sortBlocks(lines []string) []string {
	var blocks [][]string
	begin := 0
	for i, l := range lines {
		if strings.HasPrefix(l, "-----") || strings.Contains(l, "print msg finished") || i == len(lines)-1 {
			blocks = append(blocks, lines[begin:i+1])
			begin = i + 1
		}
	}
	slices.SortFunc(blocks, slices.Compare[[]string])
	return slices.Concat(blocks...)
}

// sortedJSON returns JSON with sorted keys and what is no JSON as it is.
func sortedJSON(text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return text
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// maskJSON masks the numbers and the texts of a JSON document, and returns it with sorted keys, one line for
// each key.
func maskJSON(text string, named map[string]string) []string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return []string{"no JSON: " + text}
	}
	b, _ := json.MarshalIndent(maskValue(v, named), "", " ")
	return strings.Split(string(b), "\n")
}

func maskValue(v any, named map[string]string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[mask(k, named)] = maskValue(e, named)
		}
		return out
	case []any:
		for i, e := range v {
			v[i] = maskValue(e, named)
		}
	case float64:
		return 0
	case string:
		if _, err := strconv.ParseFloat(v, 64); err == nil {
			return "N" // its fraction may look like a time
		}
		return strings.TrimSpace(numbers.ReplaceAllString(mask(v, named), " N "))
	}
	return v
}

// failure makes of what a tool says of a failure the lines that are compared: code and remark of the server's
// answer or, without one, that it failed.
func failure(text string, failed bool, named map[string]string) []string {
	var out []string
	for _, l := range strings.Split(text, "\n") {
		if m := code.FindStringSubmatch(strings.TrimRight(l, "\r ")); m != nil {
			line := "! " + m[1] + " " + strings.Join(strings.Fields(mask(m[2], named)), " ")
			if !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	if out == nil && failed {
		out = []string{"! failed"}
	}
	return out
}
