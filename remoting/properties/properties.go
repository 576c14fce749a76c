// Package properties reads Java's .properties text, binds it to tagged option structs and
// lists such structs back as key=value lines.
//
// It is a leaf: the name server, the broker and the tools all read their configuration
// through it, and GET_BROKER_CONFIG and UPDATE_BROKER_CONFIG carry its text on the wire.
//
// # Text
//
// The syntax is that of java.util.Properties.load of Java 17: '#' and '!' comments, '=',
// ':' or blanks between key and value, '\' at the end of a line to continue it, the
// escapes \t \n \r \f and \uXXXX, any other escaped character standing for itself. The
// last value of a key wins. A line that is nothing but a word is a key with an empty value.
//
// # Character set
//
// Java reads a file as ISO-8859-1. Users write UTF-8. Parse takes the whole text as UTF-8
// when all of its bytes are valid UTF-8 (a leading byte order mark is dropped) and as
// ISO-8859-1 otherwise. ASCII and \uXXXX mean the same in both, and ISO-8859-1 text with
// an accented letter is hardly ever valid UTF-8, so only files that Java would have
// misread change their meaning.
//
// # Binding
//
// Bind follows MixAll.properties2Object of 5.5.0 value by value, but tells what Java keeps
// silent: numbers that do not parse and keys that nobody knows.
//
// No type here is safe for concurrent writes and no goroutine is started.
package properties

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf16"
)

// KV is one configuration entry.
type KV struct {
	Key   string
	Value string
}

// Properties is an ordered set of entries: a key appears once, at the place where it was
// first seen, with the value it was last given. The zero value is empty and ready to use.
type Properties struct {
	entries []KV
	index   map[string]int
}

// Get returns the value of key and whether it is present. An empty value is a value.
func (p *Properties) Get(key string) (string, bool) {
	i, ok := p.index[key]
	if !ok {
		return "", false
	}
	return p.entries[i].Value, true
}

// Set gives key a value, appending it when it is new.
func (p *Properties) Set(key, value string) {
	if i, ok := p.index[key]; ok {
		p.entries[i].Value = value
		return
	}
	if p.index == nil {
		p.index = make(map[string]int)
	}
	p.index[key] = len(p.entries)
	p.entries = append(p.entries, KV{Key: key, Value: value})
}

// Len returns the number of keys.
func (p *Properties) Len() int { return len(p.entries) }

// All yields the entries in order of first appearance.
func (p *Properties) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, e := range p.entries {
			if !yield(e.Key, e.Value) {
				return
			}
		}
	}
}

// String returns the entries as Text does.
func (p *Properties) String() string { return Text(p.entries) }

// Escape writes one key=value line per entry, in their order, so that Parse, and Java, read them as they are: what
// could mean something goes out as \uXXXX.
func Escape(p *Properties) string {
	var b strings.Builder
	write := func(part string, meaning string) {
		for _, r := range part {
			switch {
			case r > 0xffff:
				hi, lo := utf16.EncodeRune(r)
				fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
			case strings.ContainsRune(meaning, r) || r < ' ' || r > '~':
				fmt.Fprintf(&b, `\u%04x`, r)
			default:
				b.WriteRune(r)
			}
		}
	}
	for key, value := range p.All() {
		write(key, "\\=: #!")
		b.WriteByte('=')
		if strings.HasPrefix(value, " ") {
			b.WriteByte('\\') // blanks behind the sign are no part of a value otherwise
		}
		write(value, "\\")
		b.WriteByte('\n')
	}
	return b.String()
}

// Text writes one key=value line per entry, sorted by key, each ended by '\n': the body of
// GET_BROKER_CONFIG and GET_NAMESRV_CONFIG (Java: MixAll.properties2String(p, true)).
// Like Java it escapes nothing, so a value with a line break or a backslash does not come
// back from Parse as it was. The argument is left as it is.
func Text(entries []KV) string {
	sorted := slices.SortedStableFunc(slices.Values(entries), func(a, b KV) int {
		return strings.Compare(a.Key, b.Key)
	})
	var b strings.Builder
	for _, e := range sorted {
		b.WriteString(e.Key)
		b.WriteByte('=')
		b.WriteString(e.Value)
		b.WriteByte('\n')
	}
	return b.String()
}
