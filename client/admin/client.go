// Package admin is the library for those who operate RocketMQ: it asks name servers and brokers, Skylark's or
// Java's, what they know, and changes their topics, groups, offsets and settings. One method stands for one
// request code, or for one question that takes several requests; `skylark admin` is built on it.
//
// Requests that any name server can answer go to the first that does; those that change one go to each of
// them. A refusal is a *protocol.Error with code and remark of the server. Addresses are "host:port".
package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/client/internal/call"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// ErrNoNamesrv means that a request needs a name server and Options.Namesrv is empty.
var ErrNoNamesrv = client.ErrNoNamesrv

// Options of a client.
type Options struct {
	// Namesrv are the addresses of the name servers. Requests to a broker's address do without.
	Namesrv []string
	// Timeout bounds one request; 0: 5 s. Java: DefaultMQAdminExt.timeoutMillis.
	Timeout     time.Duration
	Credentials Credentials
	Logger      zerolog.Logger
}

// Credentials sign the requests; without an AccessKey they are not signed.
type Credentials = client.Credentials

// Client asks the servers of one cluster or several. All methods are safe from any goroutine.
type Client struct {
	o     Options
	calls call.Caller
}

// New returns a client; it connects when it is used.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	return &Client{o: o, calls: call.Caller{RPC: rpc.New(rpc.Options{Logger: o.Logger, DialTimeout: o.Timeout}), Credentials: o.Credentials}}
}

// Close ends all connections. Closing twice is fine.
func (c *Client) Close() error { return c.calls.RPC.Close() }

// Namesrv returns the addresses of the name servers.
func (c *Client) Namesrv() []string { return slices.Clone(c.o.Namesrv) }

// Call sends one request to addr and returns its answer. header is a struct of package header or nil. A code
// other than SUCCESS is returned as a *protocol.Error beside the answer.
func (c *Client) Call(ctx context.Context, addr string, code int32, header any, text []byte) (*protocol.Command, error) {
	return c.ask(ctx, addr, code, header, text)
}

func (c *Client) send(ctx context.Context, addr string, cmd *protocol.Command) (*protocol.Command, error) {
	return c.calls.Send(ctx, c.o.Timeout, addr, cmd)
}

// do sends a request whose answer has nothing in it. in is the body: bytes, a value that becomes JSON, or nil.
func (c *Client) do(ctx context.Context, addr string, code int32, header, in any) error {
	_, err := c.ask(ctx, addr, code, header, in)
	return err
}

func (c *Client) ask(ctx context.Context, addr string, code int32, header, in any) (*protocol.Command, error) {
	return c.calls.Call(ctx, c.o.Timeout, addr, code, header, in)
}

// get sends a request and reads the answer's body.
func get[T any](ctx context.Context, c *Client, addr string, code int32, header, in any) (*T, error) {
	resp, err := c.ask(ctx, addr, code, header, in)
	if err != nil {
		return nil, err
	}
	return decode[T](addr, code, resp)
}

// decode reads a body, which Java leaves out of some answers that say nothing.
func decode[T any](addr string, code int32, resp *protocol.Command) (*T, error) {
	if len(resp.Body) == 0 {
		return new(T), nil
	}
	return call.Body[T](addr, code, resp)
}

// fields sends a request and reads the answer's header.
func fields[T any](ctx context.Context, c *Client, addr string, code int32, header any) (*T, error) {
	resp, err := c.ask(ctx, addr, code, header, nil)
	if err != nil {
		return nil, err
	}
	return call.Fields[T](addr, code, resp)
}

// anyNamesrv sends a request to one name server after the other until one answers, whatever it says.
func (c *Client) anyNamesrv(ctx context.Context, code int32, header any) (*protocol.Command, error) {
	err := ErrNoNamesrv
	for _, addr := range c.o.Namesrv {
		var resp *protocol.Command
		if resp, err = c.ask(ctx, addr, code, header, nil); resp != nil {
			return resp, err
		}
	}
	return nil, err
}

// fromNamesrv is get of any name server.
func fromNamesrv[T any](ctx context.Context, c *Client, code int32, header any) (*T, error) {
	resp, err := c.anyNamesrv(ctx, code, header)
	if err != nil {
		return nil, err
	}
	return decode[T]("a name server", code, resp)
}

// eachNamesrv calls fn with each name server's address and returns the first error.
func (c *Client) eachNamesrv(fn func(addr string) error) error {
	if len(c.o.Namesrv) == 0 {
		return ErrNoNamesrv
	}
	for _, addr := range c.o.Namesrv {
		if err := fn(addr); err != nil {
			return fmt.Errorf("name server %s: %w", addr, err)
		}
	}
	return nil
}

// Code returns the code of a server's refusal, and -1 for another error.
func Code(err error) int32 { return client.Code(err) }
