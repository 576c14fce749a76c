package message

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// javaRecord is what Java's MessageDecoder.decode made of a record (scripts/golden/java/MessageGolden.java).
type javaRecord struct {
	Topic                                  string
	QueueID, Flag, SysFlag, ReconsumeTimes int32
	BodyCRC                                uint32
	QueueOffset, PhysicalOffset            int64
	BornTimestamp, StoreTimestamp          int64
	PreparedTransactionOffset              int64
	BornHost, StoreHost, MsgID, Body       string
	StoreSize                              int
	PropertiesString                       string
	Properties                             map[string]string
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

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, v), name)
}

func hostText(h Host) string {
	a := h.AddrPort()
	return fmt.Sprintf("%x:%d", a.Addr().AsSlice(), a.Port())
}

func requireJava(t *testing.T, want javaRecord, r *Record, at string) {
	t.Helper()
	got := javaRecord{Topic: r.Topic, QueueID: r.QueueID, Flag: r.Flag, SysFlag: r.SysFlag, ReconsumeTimes: r.ReconsumeTimes,
		BodyCRC: r.CRC, QueueOffset: r.QueueOffset, PhysicalOffset: r.PhysicalOffset, BornTimestamp: r.BornTimestamp,
		StoreTimestamp: r.StoreTimestamp, PreparedTransactionOffset: r.PreparedTransactionOffset,
		BornHost: hostText(r.BornHost), StoreHost: hostText(r.StoreHost),
		MsgID: string(AppendOffsetID(nil, r.StoreHost, r.PhysicalOffset)), Body: hex.EncodeToString(r.Body), StoreSize: r.Size,
		PropertiesString: r.Properties, Properties: map[string]string{}}
	for _, p := range ParseProperties(r.Properties) {
		got.Properties[p.Name] = p.Value
	}
	require.Equal(t, want, got, at)
}

func encode(t *testing.T, r *Record) []byte {
	t.Helper()
	b, err := AppendRecord(nil, &r.Message, r.Properties)
	require.NoError(t, err)
	Patch(b, r.QueueOffset, r.PhysicalOffset, r.StoreTimestamp)
	return b
}

func TestRecordsOfJavaAreReadAndWrittenAsJavaDoes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	seen := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".golden")
		if strings.HasPrefix(name, "batch_") {
			continue
		}
		seen++
		raw := readGolden(t, file)
		var want javaRecord
		readJSON(t, name+".json", &want)
		r, err := Parse(raw, true)
		require.NoError(t, err, name)
		requireJava(t, want, &r, name)
		require.Equal(t, want.PhysicalOffset, PhysicalOffset(raw))
		require.Equal(t, want.StoreTimestamp, StoreTimestamp(raw))
		require.Equal(t, raw, encode(t, &r), name)
	}
	require.Greater(t, seen, 10)
}

func TestBatchOfJavaBecomesTheRecordsJavaMakesOfIt(t *testing.T) {
	var items struct {
		Items []struct {
			Flag                   int32
			Body, PropertiesString string
		}
	}
	readJSON(t, "batch_body.json", &items)
	var records struct{ Items []javaRecord }
	readJSON(t, "batch_records.json", &records)
	body, stored := readGolden(t, "testdata/batch_body.golden"), readGolden(t, "testdata/batch_records.golden")
	var again []byte
	rest, left := body, stored
	for i, want := range items.Items {
		item, tail, err := NextBatchItem(rest)
		require.NoError(t, err)
		rest = tail
		require.Equal(t, want.Flag, item.Flag)
		require.Equal(t, want.Body, hex.EncodeToString(item.Body))
		require.Equal(t, want.PropertiesString, item.Properties)
		again = AppendBatchItem(again, item)

		r, err := Parse(left, true)
		require.NoError(t, err)
		requireJava(t, records.Items[i], &r, "batch record")
		m := r.Message
		m.Flag, m.Body = item.Flag, item.Body
		b, err := AppendRecord(nil, &m, item.Properties)
		require.NoError(t, err)
		Patch(b, 0, 0, r.StoreTimestamp)
		require.Equal(t, left[:r.Size], b)
		left = left[r.Size:]
	}
	require.Empty(t, rest)
	require.Empty(t, left)
	require.Equal(t, body, again)
}

func TestPropertyStringsAreThoseOfJava(t *testing.T) {
	var g struct {
		Parsed []struct {
			Text string
			Map  map[string]string
		} `json:"string2messageProperties"`
		Joined []struct {
			Pairs []*string
			Text  string
		} `json:"messageProperties2String"`
	}
	readJSON(t, "properties.json", &g)
	require.NotEmpty(t, g.Parsed)
	for _, c := range g.Parsed {
		got := map[string]string{}
		for _, p := range ParseProperties(c.Text) {
			require.NotContains(t, got, p.Name)
			got[p.Name] = p.Value
		}
		require.Equal(t, c.Map, got, "%q", c.Text)
		for n, v := range c.Map {
			require.Equal(t, v, GetProperty(c.Text, n), "%q", c.Text)
		}
	}
	require.NotEmpty(t, g.Joined)
	for _, c := range g.Joined {
		var p Properties
		for i := 0; i < len(c.Pairs); i += 2 {
			if c.Pairs[i+1] != nil { // Java passes over null values
				p.Set(*c.Pairs[i], *c.Pairs[i+1])
			}
		}
		require.Equal(t, c.Text, p.String())
	}
}

// Strings that are no UTF-8 (notUtf8 in the file) are left out: Java puts one replacement character for a
// whole cut-off sequence, Go one for each byte.
func TestHashesAreThoseOfJava(t *testing.T) {
	var g struct {
		Strings []struct {
			Text     string
			Hash     int32
			TagsCode int64
		}
	}
	readJSON(t, "hash.json", &g)
	require.NotEmpty(t, g.Strings)
	for _, c := range g.Strings {
		require.Equal(t, c.Hash, HashCode(c.Text), "%q", c.Text)
		require.Equal(t, c.TagsCode, TagsCode(c.Text), "%q", c.Text)
	}
}

func TestOffsetIDsAreThoseOfJava(t *testing.T) {
	var g struct {
		OffsetIDs []struct {
			ID, IP string
			Port   uint16
			Offset int64
		}
	}
	readJSON(t, "ids.json", &g)
	require.NotEmpty(t, g.OffsetIDs)
	for _, c := range g.OffsetIDs {
		addr := netip.AddrPortFrom(netip.MustParseAddr(c.IP), c.Port)
		require.Equal(t, c.ID, string(AppendOffsetID(nil, HostOf(addr), c.Offset)))
		got, offset, err := ParseOffsetID(c.ID)
		require.NoError(t, err)
		require.Equal(t, addr, got)
		require.Equal(t, c.Offset, offset)
	}
}
