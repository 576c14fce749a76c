package frame

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

func raw(header, body string) []byte {
	b := append(make([]byte, PrefixLength), header...)
	return Finish(append(b, body...), 0, len(header))
}

// taught returns a decoder that has header as its template, if header can be one.
func taught(header string) *Decoder {
	d := new(Decoder)
	var c protocol.Command
	for range missesToLearn {
		_ = d.Decode(raw(header, ""), &c)
	}
	return d
}

// requireSame decodes a frame both ways and returns the command.
func requireSame(t *testing.T, d *Decoder, header string) protocol.Command {
	t.Helper()
	var want, got protocol.Command
	wantErr := Decode(raw(header, "body"), &want)
	gotErr := d.Decode(raw(header, "body"), &got)
	if wantErr != nil {
		require.EqualError(t, gotErr, wantErr.Error(), header)
		return got
	}
	require.NoError(t, gotErr, header)
	if got.Template != nil {
		require.Len(t, got.Template.Ext, len(got.Ext))
		for i, f := range got.Ext {
			require.Equal(t, got.Template.Ext[i].Key, f.Key)
			if got.Changed&(1<<i) == 0 {
				require.Equal(t, got.Template.Ext[i].Value, f.Value, header)
			}
		}
	}
	bare := got
	bare.Template, bare.Changed = nil, 0
	require.Equal(t, want, bare, header)
	return got
}

const javaHeader = `{"code":310,"extFields":{"a":"group","b":"topic","d":"4","e":"1","g":"1700000000000","i":"TAGS\u0001tagA\u0002UNIQ_KEY\u0001AC11\u0002WAIT\u0001true","k":false,"j":7},"flag":0,"language":"JAVA","opaque":100,"serializeTypeCurrentRPC":"JSON","version":435}`

func TestHeadersLikeTheTemplateAreDecodedByIt(t *testing.T) {
	d := taught(javaHeader)
	for _, h := range []string{
		javaHeader,
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":-2147483648`, 1),
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":1`, 1),
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":1009`, 1),
		strings.Replace(javaHeader, `"topic"`, `""`, 1),
		strings.Replace(javaHeader, `"topic"`, `"topi"`, 1),
		strings.Replace(javaHeader, `"topic"`, `"topics\/\"中\ud83d\ude00"`, 1),
		strings.Replace(javaHeader, `AC11`, `AC12\u0002X\u0001y`, 1),
		strings.Replace(javaHeader, `"1700000000000"`, `"1"`, 1),
		strings.Replace(javaHeader, `"k":false`, `"k":true`, 1),
		strings.Replace(javaHeader, `"j":7`, `"j":-70.5`, 1),
		strings.NewReplacer(`"group"`, `"g2"`, `310`, `320`, `"flag":0`, `"flag":2`, `435`, `401`).Replace(javaHeader),
		javaHeader + "\n ",
	} {
		require.NotNil(t, requireSame(t, d, h).Template, h)
	}
}

func TestHeadersUnlikeTheTemplateAreParsed(t *testing.T) {
	d := taught(javaHeader)
	for _, h := range []string{
		"", "{", javaHeader[:len(javaHeader)-1], javaHeader[:60], "[" + javaHeader[1:],
		strings.Replace(javaHeader, `"a":`, `"z":`, 1),
		strings.Replace(javaHeader, `"a":"group",`, ``, 1),
		strings.Replace(javaHeader, `"b":`, `"extra":"x","b":`, 1),
		strings.Replace(javaHeader, `"b":`, ` "b":`, 1),
		strings.Replace(javaHeader, `"topic"`, `null`, 1),
		strings.Replace(javaHeader, `"topic"`, `"topic`, 1),
		strings.Replace(javaHeader, `"topic"`, `"to\pic"`, 1),
		strings.Replace(javaHeader, `AC11`, `AC\u12`, 1),
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":"100"`, 1),
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":null`, 1),
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":2147483648`, 1),
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":1.5`, 1),
		strings.Replace(javaHeader, `"opaque":100`, `"opaque":-`, 1),
		strings.Replace(javaHeader, `"k":false`, `"k":null`, 1),
		strings.Replace(javaHeader, `"k":false`, `"k":{"false":1}`, 1),
		strings.Replace(javaHeader, `"k":false`, `"k":"x"`, 1),
		strings.Replace(javaHeader, `JAVA`, `GO`, 1),
		strings.Replace(javaHeader, `"JSON"`, `"JSON","remark":"r"`, 1),
		// Escapes are resolved in place by the parser: it must find them untouched.
		strings.NewReplacer(`AC11`, `\u0041C11`, `"JSON"`, `"JASON"`).Replace(javaHeader),
	} {
		require.Nil(t, requireSame(t, d, h).Template, h)
		require.NotNil(t, requireSame(t, d, javaHeader).Template)
	}
}

func TestWhatCannotBeATemplateIsNone(t *testing.T) {
	for _, h := range []string{
		`{"code":1,"opaque":5}`, `{"code":1,"extFields":{}}`, `{"code":1,"extFields":{"a":null}}`, `{"code":1,"extFields":{"a":{}}}`,
		`{"code":"1","extFields":{"a":"b"}}`, `{"code":1,"extFields":{"a":"b","a":"c"}}`, `{"code":1,"remark":"r","extFields":{"a":"b"}}`,
		`{"extFields":{"a":"b"},"extFields":{"c":"d"}}`,
		fmt.Sprintf(`{"code":1,"extFields":{"a":%q}}`, strings.Repeat("x", maxTemplate)),
	} {
		d := taught(h)
		require.Nil(t, d.t, h)
		requireSame(t, d, h)
	}
}

func TestTheTemplateFollowsThePeerButNotForEver(t *testing.T) {
	d := taught(javaHeader)
	other := `{"code":11,"extFields":{"topic":"x"},"opaque":1}`
	for range missesToLearn {
		requireSame(t, d, other)
	}
	require.NotNil(t, requireSame(t, d, other).Template)
	for i := range 2 * maxTemplates * missesToLearn {
		requireSame(t, d, fmt.Sprintf(`{"code":11,"extFields":{"topic%d":"x"},"opaque":1}`, i))
	}
	require.Equal(t, maxTemplates, d.learnt)
}

func TestACommandLeavesNothingToTheNext(t *testing.T) {
	d := taught(javaHeader)
	var c protocol.Command
	require.NoError(t, d.Decode(raw(strings.Replace(javaHeader, "group", "other", 1), "body"), &c))
	require.NoError(t, d.Decode(raw(javaHeader, ""), &c))
	require.Equal(t, "group", c.Ext[0].Value)
	require.Zero(t, c.Changed)
	require.Nil(t, c.Body)
}

func FuzzDecoder(f *testing.F) {
	f.Add(javaHeader, strings.Replace(javaHeader, "topic", `t\u0001`, 1))
	f.Add(javaHeader, javaHeader[:50])
	f.Add(`{"extFields":{"a":1,"b":true}}`, `{"extFields":{"a":-2,"b":"x"}}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		d := taught(first)
		requireSame(t, d, second)
		requireSame(t, d, first)
		requireSame(t, d, second)
	})
}

func BenchmarkDecoder(b *testing.B) {
	like := sendRequest()
	d := new(Decoder)
	var c protocol.Command
	for range missesToLearn {
		_ = d.Decode(Append(nil, like), &c)
	}
	like.Opaque, like.Ext[4].Value, like.Ext[6].Value = 100007001, "3", "1700000000777"
	like.Ext[8].Value = strings.Replace(like.Ext[8].Value, "0001\x02", "7770\x02", 1)
	one := Append(nil, like)
	buf := make([]byte, len(one))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, one)
		if err := d.Decode(buf, &c); err != nil {
			b.Fatal(err)
		}
	}
	if c.Template == nil {
		b.Fatal("the header was not decoded by the template")
	}
}
