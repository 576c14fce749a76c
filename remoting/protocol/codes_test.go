package protocol

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type javaCodes struct {
	Request, Response, Language, Version map[string]int32
	CurrentVersion                       int32
}

func readCodes(t *testing.T) javaCodes {
	t.Helper()
	b, err := os.ReadFile("testdata/codes.json")
	require.NoError(t, err)
	var c javaCodes
	require.NoError(t, json.Unmarshal(b, &c))
	return c
}

// constants reads the constants of a file: Java name, which stands behind each, to value.
func constants(t *testing.T, file string) map[string]int32 {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	require.NoError(t, err)
	out := map[string]int32{}
	ast.Inspect(f, func(n ast.Node) bool {
		vs, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		require.NotNil(t, vs.Comment, "%s has no Java name", vs.Names[0].Name)
		java := strings.TrimSpace(vs.Comment.Text())
		require.Equal(t, strings.ReplaceAll(java, "_", ""), strings.ToUpper(vs.Names[0].Name))
		text := ""
		switch v := vs.Values[0].(type) {
		case *ast.BasicLit:
			text = v.Value
		case *ast.UnaryExpr:
			text = v.Op.String() + v.X.(*ast.BasicLit).Value
		}
		n64, err := strconv.ParseInt(text, 10, 32)
		require.NoError(t, err, java)
		require.NotContains(t, out, java)
		out[java] = int32(n64)
		return true
	})
	return out
}

func TestCodesAreThoseOfJava(t *testing.T) {
	c := readCodes(t)
	require.NotEmpty(t, c.Request)
	require.Equal(t, c.Request, constants(t, "codes_request.go"))
	require.Equal(t, c.Response, constants(t, "codes_response.go"))
}

func TestLanguagesAndVersionsAreThoseOfJava(t *testing.T) {
	c := readCodes(t)
	require.Len(t, languageNames, len(c.Language))
	for name, ordinal := range c.Language {
		require.Equal(t, Language(ordinal), ParseLanguage(name))
		require.Equal(t, name, Language(ordinal).String())
	}
	require.Equal(t, c.CurrentVersion, Version)
	require.Equal(t, c.Version["V3_4_9"], VersionV3_4_9)
	require.Equal(t, c.Version["V4_9_4"], VersionV4_9_4)
	require.Equal(t, c.Version["V5_0_0"], VersionV5_0_0)
	require.Equal(t, c.Version["V5_3_1"], VersionV5_3_1)
}

func TestNamesAreThoseOfJava(t *testing.T) {
	c := readCodes(t)
	for name, code := range c.Request {
		require.Equal(t, strings.ToLower(name), RequestName(code))
	}
	for name, code := range c.Response {
		require.Equal(t, strings.ToLower(name), ResponseName(code))
	}
	for name, v := range c.Version {
		if v >= c.Version["V4_0_0"] {
			require.Equal(t, name, VersionName(v))
		}
	}
	for v, name := range map[int32]string{513: "V5_5_0", 512: "V5_5_0_SNAPSHOT", 409: "V4_9_8", 317: "V4_5_2", 213: "V4_0_0", 413: "V5_0_0", 700: "HIGHER_VERSION"} {
		require.Equal(t, name, VersionName(v))
	}
	require.Equal(t, "77777", RequestName(77777))
}
