package properties

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type role string

func (r *role) UnmarshalText(text []byte) error {
	*r = role(text)
	if *r != "ASYNC_MASTER" && *r != "SLAVE" {
		return fmt.Errorf("%q is no broker role", text)
	}
	return nil
}

type flush string

type listen struct {
	ListenPort int `prop:"listenPort"`
}

type broker struct {
	listen
	Name     string  `prop:"brokerName"`
	ID       int64   `prop:"brokerId"`
	Namesrv  string  `prop:"namesrvAddr,omitempty"`
	LongPoll bool    `prop:"longPollingEnable"`
	Ratio    float64 `prop:"logicalDiskSpaceCleanForciblyThreshold"`
	Role     role    `prop:"brokerRole"`
	Flush    flush   `prop:"flushDiskType"`
	Internal int
}

func defaults() broker {
	return broker{listen: listen{10911}, Name: "n", LongPoll: true, Ratio: 0.8, Role: "ASYNC_MASTER", Flush: "ASYNC_FLUSH"}
}

func parse(t *testing.T, lines ...string) *Properties {
	t.Helper()
	p, err := Parse([]byte(strings.Join(lines, "\n")))
	require.NoError(t, err)
	return p
}

func TestBindSetsEveryTarget(t *testing.T) {
	b, other := defaults(), listen{}
	warnings := Bind(parse(t, "listenPort=20911", "brokerName = broker-a  ", "brokerId=-9223372036854775808",
		"namesrvAddr=127.0.0.1:9876", "longPollingEnable=FALSE", "logicalDiskSpaceCleanForciblyThreshold= 0.5d ",
		"brokerRole=SLAVE ", "flushDiskType=SYNC_FLUSH"), &b, &other)
	require.Empty(t, warnings)
	require.Equal(t, broker{listen: listen{20911}, Name: "broker-a", ID: math.MinInt64, Namesrv: "127.0.0.1:9876",
		Ratio: 0.5, Role: "SLAVE", Flush: "SYNC_FLUSH"}, b)
	require.Equal(t, 20911, other.ListenPort)
}

func TestBindKeepsWhatItCannotRead(t *testing.T) {
	for line, warning := range map[string]string{
		"listenPort=109x1":                           `listenPort="109x1" is not a 32-bit integer, keeping 10911`,
		"listenPort=":                                `listenPort="" is not a 32-bit integer, keeping 10911`,
		"listenPort=20911 ":                          `listenPort="20911 " is not a 32-bit integer (remove the blanks around it), keeping 10911`,
		"listenPort=2147483648":                      `listenPort="2147483648" is not a 32-bit integer, keeping 10911`,
		"listenPort=1_000":                           `listenPort="1_000" is not a 32-bit integer, keeping 10911`,
		"listenPort=0x10":                            `listenPort="0x10" is not a 32-bit integer, keeping 10911`,
		"brokerId=9223372036854775808":               `brokerId="9223372036854775808" is not a 64-bit integer, keeping 0`,
		"logicalDiskSpaceCleanForciblyThreshold=80%": `logicalDiskSpaceCleanForciblyThreshold="80%" is not a number, keeping 0.8`,
		"logicalDiskSpaceCleanForciblyThreshold=inf": `logicalDiskSpaceCleanForciblyThreshold="inf" is not a number, keeping 0.8`,
		"brokerRole=MASTER":                          `cannot set brokerRole: "MASTER" is no broker role, keeping ASYNC_MASTER`,
	} {
		b, other := defaults(), listen{10911}
		require.Equal(t, []string{warning}, Bind(parse(t, line), &b, &other), line)
		require.Equal(t, defaults(), b, line)
	}
}

func TestBindReadsTruthLikeJava(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "TRUE": true, "True": true, "true ": false, "yes": false, "1": false, "": false, "false": false} {
		b := defaults()
		warnings := Bind(parse(t, "longPollingEnable="+value), &b)
		require.Equal(t, want, b.LongPoll, value)
		require.Equal(t, want || value == "false", len(warnings) == 0, "%q %v", value, warnings)
	}
}

func TestBindReportsUnknownKeys(t *testing.T) {
	b := defaults()
	warnings := Bind(parse(t, "mapedFileSizeCommitLog=1", "brokerrole=SLAVE", "useEpollNativeSelector=true", "<!--", "Licensed to the ASF", "-->"),
		&b, Keys{"useEpollNativeSelector", "mappedFileSizeCommitLog"})
	require.Equal(t, []string{
		`unknown option "mapedFileSizeCommitLog" is ignored, did you mean mappedFileSizeCommitLog?`,
		`unknown option "brokerrole" is ignored, did you mean brokerRole?`,
		`unknown options are ignored: "<!--", "Licensed", "-->"`,
	}, warnings)
	require.Equal(t, defaults(), b)
}

func TestBindCutsLongListsOfUnknownKeys(t *testing.T) {
	p := &Properties{}
	p.Set(strings.Repeat("x", 1<<20), "")
	for i := range 11 {
		p.Set(fmt.Sprint("#", i), "")
	}
	b := defaults()
	warnings := Bind(p, &b)
	require.Len(t, warnings, 1)
	require.Less(t, len(warnings[0]), 200)
	require.Contains(t, warnings[0], "and 4 more")
}

func TestListSpellsLikeJava(t *testing.T) {
	b := defaults()
	require.Equal(t, "brokerId=0\nbrokerName=n\nbrokerRole=ASYNC_MASTER\nflushDiskType=ASYNC_FLUSH\n"+
		"listenPort=30911\nlogicalDiskSpaceCleanForciblyThreshold=0.8\nlongPollingEnable=true\n",
		Text(List(&b, &listen{30911}, Keys{"unused"})), "the last target wins, a null string is left out")
}

func TestHiddenFieldsAreSetAndNotListed(t *testing.T) {
	var secret struct {
		Password string `prop:"password,hidden"`
	}
	require.Empty(t, Bind(parse(t, "password=hush"), &secret))
	require.Equal(t, "hush", secret.Password)
	require.Empty(t, List(&secret))
	require.Equal(t, Keys{"password"}, Names(&secret))
}

func TestNamesAreThoseOfTagsAndKeys(t *testing.T) {
	require.Equal(t, Keys{"a", "listenPort", "z"}, Names(&listen{}, Keys{"z", "a", "listenPort"}))
	require.Contains(t, Names(&broker{}), "namesrvAddr")
}

// The expected spellings are those of Double.toString, Java 17.
func TestDoublesSpellLikeJava(t *testing.T) {
	for text, want := range map[string]string{
		"8000": "8000.0", "200000.0": "200000.0", "0.001": "0.001", "0.0001": "1.0E-4", "9999999": "9999999.0",
		"10000000": "1.0E7", "12345678.9": "1.23456789E7", "-0.5f": "-0.5", "1e-5": "1.0E-5", "NaN": "NaN",
		"-Infinity": "-Infinity", "1e999": "Infinity", "-0": "-0.0", ".5": "0.5", "5.": "5.0",
	} {
		n, err := parseJavaDouble(text)
		require.NoError(t, err, text)
		require.Equal(t, want, formatJavaDouble(n), text)
	}
	for _, text := range []string{"", "d", "1_0", "nan", "Inf", "1 2", "--1", "1dd"} {
		_, err := parseJavaDouble(text)
		require.Error(t, err, text)
	}
}

func TestBindRefusesTargetsItCannotServe(t *testing.T) {
	p := &Properties{}
	require.Panics(t, func() { Bind(p, broker{}) })
	require.Panics(t, func() { Bind(p, (*broker)(nil)) })
	require.Panics(t, func() {
		Bind(p, &struct {
			Wait time.Duration `prop:"wait"`
		}{})
	})
	require.Panics(t, func() {
		Bind(p, &struct {
			hidden int `prop:"hidden"`
		}{})
	})
}
