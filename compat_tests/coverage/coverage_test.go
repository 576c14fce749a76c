// Package coverage_test holds compat_tests/COVERAGE.md against the servers: each request code of Java's RequestCode is
// sent to the running binary, and what the table says of it must be what happens.
package coverage_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skylarkmq/skylark/compat_tests/cluster"
)

// notSupported is REQUEST_CODE_NOT_SUPPORTED. Java: RemotingSysResponseCode.
const notSupported = 3

// unknownCode is none of Java's request codes.
const unknownCode = 9999

// What a cell of the table says of one server.
const (
	handled  = "handled"
	slowOnly = "handled, not on the fast port"
	refused  = "refused"
)

// TestEveryRequestCode sends every request code, without fields and body, to the broker, its fast port and the
// NameServer. A code is handled when the answer is any but REQUEST_CODE_NOT_SUPPORTED. The table must have a row for each
// code and say of each server what it did; what is refused needs a reason. With COMPAT_PEER=java the
// table's column about Java is held against Java's servers.
func TestEveryRequestCode(t *testing.T) {
	cluster.SkipIfOff(t)
	doc := readTable(t)
	c := cluster.Standalone(t)
	fast := fmt.Sprintf("127.0.0.1:%d", c.Broker.Port()-2)
	for _, addr := range []string{c.Broker.Addr(), fast, c.Namesrv.Addr()} {
		require.False(t, answers(t, addr, unknownCode), "a code of nobody is handled at %s", addr)
	}
	rows := map[int]row{}
	for _, r := range doc.codes {
		require.NotContains(t, rows, r.code, "two rows of code %d", r.code)
		rows[r.code] = r
	}
	for _, known := range requestCodes(t) {
		broker, namesrv := refused, refused
		if answers(t, c.Broker.Addr(), known.code) {
			if broker = handled; !answers(t, fast, known.code) {
				broker = slowOnly
			}
		}
		if answers(t, c.Namesrv.Addr(), known.code) {
			namesrv = handled
		}
		r, ok := rows[known.code]
		delete(rows, known.code)
		if !assert.True(t, ok, "COVERAGE.md has no row for\n| %d | %s | %s | %s |", known.code, known.name, broker, namesrv) {
			continue
		}
		assert.Equal(t, known.name, r.name, "name of code %d", known.code)
		if cluster.PeerIsJava() {
			assert.Equal(t, r.javaWords(), []string{broker, namesrv}, "what Java does with %d %s", r.code, r.name)
			continue
		}
		assert.Equal(t, broker, r.broker, "broker and code %d %s", r.code, r.name)
		assert.Equal(t, namesrv, r.namesrv, "NameServer and code %d %s", r.code, r.name)
		r.checkReason(t, doc.reasons)
	}
	for code := range rows {
		t.Errorf("COVERAGE.md has a row for code %d, which is none", code)
	}
}

// answers tells whether a server takes a code: whether it answers it with anything but REQUEST_CODE_NOT_SUPPORTED.
func answers(t *testing.T, addr string, code int) bool {
	t.Helper()
	resp, err := cluster.Call(addr, code, nil, nil)
	require.NoError(t, err, "code %d", code)
	if resp.Code != notSupported {
		return true
	}
	require.Equal(t, fmt.Sprintf(" request type %d not supported", code), resp.Remark, "refused by the handler of %d, not for want of one", code)
	return false
}

// javaWords returns what the table says of Java's broker and NameServer, in the words of the columns about ours.
func (r row) javaWords() []string {
	out := []string{refused, refused}
	for word := range strings.SplitSeq(r.java, ", ") {
		switch word {
		case "broker":
			out[0] = handled
		case "broker's slow port":
			out[0] = slowOnly
		case "NameServer":
			out[1] = handled
		}
	}
	return out
}

// checkReason requires a reason of the list for what nobody handles, or we do otherwise than Java, and none else.
func (r row) checkReason(t *testing.T, reasons map[string]bool) {
	t.Helper()
	java := r.javaWords()
	if needed := r.broker == refused && r.namesrv == refused || r.broker != java[0] || r.namesrv != java[1]; !needed {
		assert.Empty(t, r.reason, "code %d is done as by Java, and has a reason why not", r.code)
		return
	}
	assert.True(t, reasons[r.reason], "code %d %s has no reason of the list above the table, but %q", r.code, r.name, r.reason)
}

// TestNamedTestsExist looks the tests up that COVERAGE.md names. A row of a code that is handled names one.
func TestNamedTestsExist(t *testing.T) {
	doc := readTable(t)
	for _, r := range doc.codes {
		if r.broker != refused || r.namesrv != refused {
			assert.NotEmpty(t, r.tests, "code %d names no test", r.code)
		}
		for _, name := range r.tests {
			assert.True(t, testExists(t, name), "code %d names %s, which does not exist", r.code, name)
		}
	}
	require.NotEmpty(t, doc.items)
	for _, i := range doc.items {
		assert.NotEmpty(t, i.tests, "%q names no test", i.name)
		for _, name := range i.tests {
			assert.True(t, testExists(t, name), "%q names %s, which does not exist", i.name, name)
		}
	}
}

func mustInt(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}
