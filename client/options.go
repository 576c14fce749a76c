package client

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/protocol"
)

// ErrNoNamesrv means that Options.Namesrv is empty.
var ErrNoNamesrv = errors.New("no name server address is given")

// Options are what producers and consumers have in common. Zero values take the defaults named.
type Options struct {
	// Namesrv are the addresses of the name servers, "host:port"; one is asked until it fails. Required.
	Namesrv []string
	// Timeout bounds one request, and a send or a request for a reply whose context has no deadline; 0: 3 s.
	// Java: ClientConfig.mqClientApiTimeout, DefaultMQProducer.sendMsgTimeout.
	Timeout time.Duration
	// IP is this machine's address in client ids and message ids; empty: that of its first interface that has one.
	IP string
	// Instance tells clients of one machine apart: the client id is IP@Instance, and two consumers of one
	// group must not share it. Empty: one made of the process id, or DEFAULT for consumers of broadcasts, whose
	// offsets are kept under it. Java: ClientConfig.instanceName.
	Instance string
	// RouteInterval is how often name servers are asked where topics are; 0: 30 s. Java: pollNameServerInterval.
	RouteInterval time.Duration
	// HeartbeatInterval is how often brokers are told of this client; 0: 30 s. They forget one that is silent
	// for 2 min. Java: heartbeatBrokerInterval.
	HeartbeatInterval time.Duration
	// Credentials sign the requests.
	Credentials Credentials
	// Logger is told of what no caller hears of; the zero Logger is silent.
	Logger zerolog.Logger
}

// WithDefaults returns o with its zero values replaced.
func (o Options) WithDefaults() Options {
	for d, v := range map[*time.Duration]time.Duration{&o.Timeout: 3 * time.Second, &o.RouteInterval: 30 * time.Second, &o.HeartbeatInterval: 30 * time.Second} {
		if *d <= 0 {
			*d = v
		}
	}
	o.Namesrv = slices.Clone(o.Namesrv)
	return o
}

// Credentials sign requests; without an AccessKey they are not signed.
type Credentials struct {
	AccessKey, SecretKey, SecurityToken string
}

// Sign adds to cmd the fields of ACL 1.0, which 2.0 takes too: the access key and, under it, the HMAC-SHA1 of the
// values of all fields in the order of their names, and the body.
// Java: AclClientRPCHook, AclUtils.combineRequestContent.
func (c *Credentials) Sign(cmd *protocol.Command) {
	if c.AccessKey == "" {
		return
	}
	cmd.Ext = append(cmd.Ext, protocol.Field{Key: "AccessKey", Value: c.AccessKey})
	if c.SecurityToken != "" {
		cmd.Ext = append(cmd.Ext, protocol.Field{Key: "SecurityToken", Value: c.SecurityToken})
	}
	sorted := slices.SortedFunc(slices.Values(cmd.Ext), func(a, b protocol.Field) int { return strings.Compare(a.Key, b.Key) })
	mac := hmac.New(sha1.New, []byte(c.SecretKey))
	for _, f := range sorted {
		mac.Write([]byte(f.Value))
	}
	mac.Write(cmd.Body)
	cmd.Ext = append(cmd.Ext, protocol.Field{Key: "Signature", Value: base64.StdEncoding.EncodeToString(mac.Sum(nil))})
}

// Error is a server's refusal: its code, one of package protocol's, and its remark. Other errors are of the
// network, of a context, or say what is wrong with an argument.
type Error = protocol.Error

// Code returns the code of a server's refusal that err is or wraps, and -1 for any other error.
func Code(err error) int32 {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return -1
}
