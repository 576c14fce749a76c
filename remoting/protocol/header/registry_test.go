package header

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

type javaHeader struct {
	Code   int32
	Fields []javaField
}

type javaField struct {
	Name, Type string
	NotNull    bool
	From       string
	Default    *string
}

// inherited are the fields a struct of each base leaves out.
var inherited = map[Base][]string{
	BaseNone:  nil,
	BaseRPC:   {"ns", "nsd", "bname", "oway"},
	BaseTopic: {"lo", "ns", "nsd", "bname", "oway"},
}

// kept names the inherited fields that a struct has nevertheless.
var kept = map[string]string{"SendMessageRequestHeader": "bname", "CheckTransactionStateRequestHeader": "bname"}

// valueThoughNullable lists boxed Java fields without an initialiser that are values here, because the
// Java handler reads null as zero: "(x == null) ? 0 : x", Boolean.TRUE.equals and the like.
var valueThoughNullable = map[string]string{
	"SendMessageRequestHeader":   "reconsumeTimes unitMode batch",
	"SendMessageRequestHeaderV2": "j k m",
	"CreateTopicRequestHeader":   "topicSysFlag",
	"GetRouteInfoRequestHeader":  "acceptStandardJsonOnly",
}

func schema(t *testing.T) map[string]javaHeader {
	t.Helper()
	b, err := os.ReadFile("../testdata/headers.json")
	require.NoError(t, err)
	var raw map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(b, &raw))
	delete(raw, "source")
	out := map[string]javaHeader{}
	for name, r := range raw {
		var h javaHeader
		require.NoError(t, json.Unmarshal(r, &h))
		out[name] = h
	}
	return out
}

func types(rows []Row) map[string]Type {
	out := map[string]Type{}
	for _, r := range rows {
		for _, ty := range []Type{r.Request, r.Response} {
			if ty.Go != nil {
				out[ty.Java] = ty
			}
		}
	}
	return out
}

func TestEveryStructHasTheFieldsOfItsJavaClass(t *testing.T) {
	java := schema(t)
	for name, ty := range types(Table()) {
		want, ok := java[name]
		require.True(t, ok, "no Java class %s", name)
		if ty.Go != reflect.TypeFor[Empty]() {
			require.Equal(t, strings.ReplaceAll(name, "Header", ""), ty.Go.Name())
		}
		got := map[string]reflect.StructField{}
		for i := range ty.Go.NumField() {
			f := ty.Go.Field(i)
			wire, _, _ := strings.Cut(f.Tag.Get("rmq"), ",")
			require.NotEmpty(t, wire, "%s.%s has no tag", name, f.Name)
			require.NotContains(t, got, wire)
			got[wire] = f
		}
		omitted := map[string]bool{}
		for _, n := range inherited[ty.Base] {
			omitted[n] = n != kept[name]
		}
		for _, jf := range want.Fields {
			if omitted[jf.Name] {
				require.NotContains(t, got, jf.Name, name)
				delete(omitted, jf.Name)
				continue
			}
			f, ok := got[jf.Name]
			require.True(t, ok, "%s lacks %s", name, jf.Name)
			checkField(t, name, jf, f)
			delete(got, jf.Name)
			delete(omitted, jf.Name)
		}
		require.Empty(t, got, "%s has fields Java lacks", name)
		require.Empty(t, omitted, "%s: base %q does not fit", name, ty.Base)
	}
}

func checkField(t *testing.T, class string, jf javaField, f reflect.StructField) {
	t.Helper()
	at := class + "." + jf.Name
	_, option, _ := strings.Cut(f.Tag.Get("rmq"), ",")
	require.Equal(t, jf.NotNull, option == "required", at)
	kinds := map[string]reflect.Kind{"String": reflect.String, "BoundaryType": reflect.String, "Integer": reflect.Int32, "int": reflect.Int32,
		"Long": reflect.Int64, "long": reflect.Int64, "Boolean": reflect.Bool, "boolean": reflect.Bool, "Double": reflect.Float64, "double": reflect.Float64}
	kind, ok := kinds[jf.Type]
	require.True(t, ok, "%s: type %s", at, jf.Type)
	pointer := f.Type.Kind() == reflect.Pointer
	if pointer {
		require.Equal(t, kind, f.Type.Elem().Kind(), at)
	} else {
		require.Equal(t, kind, f.Type.Kind(), at)
	}
	if kind == reflect.String {
		require.False(t, pointer, at)
		return
	}
	wantPointer := !jf.NotNull && jf.Default == nil && !contains(valueThoughNullable[class], jf.Name)
	if jf.Default != nil && *jf.Default != "0" && *jf.Default != "false" {
		wantPointer = true // absent means Java's initialiser
	}
	require.Equal(t, wantPointer, pointer, "%s: pointer", at)
}

func contains(words, word string) bool {
	for _, w := range strings.Fields(words) {
		if w == word {
			return true
		}
	}
	return false
}

func TestCodesMatchTheJavaAnnotations(t *testing.T) {
	java := schema(t)
	// Codes that share the header class of another code.
	shared := map[int32]int32{protocol.SendBatchMessage: protocol.SendMessageV2, protocol.LitePullMessage: protocol.PullMessage}
	byCode := map[int32]string{}
	for name, h := range java {
		if h.Code != 0 && !strings.HasSuffix(name, "ResponseHeader") {
			byCode[h.Code] = name
		}
	}
	seen := map[int32]bool{}
	for _, r := range Table() {
		require.False(t, seen[r.Code], "code %d stands twice", r.Code)
		seen[r.Code] = true
		code := r.Code
		if s, ok := shared[code]; ok {
			code = s
		}
		require.Equal(t, byCode[code], r.Request.Java, "code %d", r.Code)
	}
}

func TestEveryStructOfThePackageIsInTheTable(t *testing.T) {
	known := map[string]bool{"RPC": true, "Type": true, "Row": true}
	for _, ty := range types(Table()) {
		known[ty.Go.Name()] = true
	}
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range files {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if ts, ok := n.(*ast.TypeSpec); ok {
				if _, ok := ts.Type.(*ast.StructType); ok {
					require.True(t, known[ts.Name.Name], "%s is in no row", ts.Name.Name)
				}
			}
			return true
		})
	}
}

func TestEveryStructSurvivesTheCodec(t *testing.T) {
	for name, ty := range types(Table()) {
		h := reflect.New(ty.Go)
		for i := range ty.Go.NumField() {
			fill(h.Elem().Field(i), i+1)
		}
		ext := protocol.AppendHeader(nil, h.Interface())
		require.Len(t, ext, ty.Go.NumField(), name)
		back := reflect.New(ty.Go)
		require.NoError(t, protocol.DecodeHeader(ext, back.Interface()), name)
		require.Equal(t, h.Interface(), back.Interface(), name)
	}
}

func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(strings.Repeat("s", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	}
}

func TestSendHeadersConvertToEachOther(t *testing.T) {
	v1 := SendMessageRequest{ProducerGroup: "g", Topic: "t", QueueID: 3, Batch: true, BrokerName: "b"}
	v2 := SendMessageRequestV2(v1)
	require.Equal(t, v1, SendMessageRequest(v2))
	require.Equal(t, protocol.Field{Key: "a", Value: "g"}, protocol.AppendHeader(nil, v2)[0])
}

func TestCommonFieldsAreDecodedApart(t *testing.T) {
	yes := true
	ext := protocol.Ext{{Key: "topic", Value: "t"}, {Key: "bname", Value: "b"}, {Key: "lo", Value: "true"}}
	var rpc RPC
	require.NoError(t, protocol.DecodeHeader(ext, &rpc))
	require.Equal(t, RPC{BrokerName: "b", Local: &yes}, rpc)
	var h GetTopicConfigRequest
	require.NoError(t, protocol.DecodeHeader(ext, &h))
	require.Equal(t, "t", h.Topic)
}
