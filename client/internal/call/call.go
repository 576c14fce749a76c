// Package call sends requests of the client library, signed, and reads their answers.
package call

import (
	"context"
	"fmt"
	"time"

	"github.com/skylarkmq/skylark/client"
	"github.com/skylarkmq/skylark/remoting/protocol"
	"github.com/skylarkmq/skylark/remoting/protocol/body"
	"github.com/skylarkmq/skylark/remoting/rpc"
)

// Caller sends requests over RPC. All methods are safe from any goroutine.
type Caller struct {
	RPC         *rpc.Client
	Credentials client.Credentials
}

// Call sends one request and returns its answer. h is a struct of package header or nil, in the body: bytes, a value
// that becomes JSON, or nil. A code other than SUCCESS is returned as a *client.Error beside the answer. timeout: 0:
// none but that of ctx.
func (c Caller) Call(ctx context.Context, timeout time.Duration, addr string, code int32, h, in any) (*protocol.Command, error) {
	cmd, err := request(code, h, in)
	if err != nil {
		return nil, err
	}
	return c.Send(ctx, timeout, addr, cmd)
}

// Send is Call for a command that is made already.
func (c Caller) Send(ctx context.Context, timeout time.Duration, addr string, cmd *protocol.Command) (*protocol.Command, error) {
	c.Credentials.Sign(cmd)
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	resp, err := c.RPC.Invoke(ctx, addr, cmd)
	if err != nil {
		return nil, err
	}
	if resp.Code != protocol.Success {
		return resp, &client.Error{Code: resp.Code, Remark: resp.Remark}
	}
	return resp, nil
}

// Oneway sends a request that has no answer. No error means that it was queued.
func (c Caller) Oneway(addr string, code int32, h, in any) error {
	cmd, err := request(code, h, in)
	if err != nil {
		return err
	}
	c.Credentials.Sign(cmd)
	return c.RPC.Oneway(addr, cmd)
}

func request(code int32, h, in any) (*protocol.Command, error) {
	cmd := protocol.NewRequest(code, h)
	cmd.Language = protocol.LanguageGo
	text, ok := in.([]byte)
	if !ok && in != nil {
		var err error
		if text, err = body.Marshal(in); err != nil {
			return nil, err
		}
	}
	cmd.Body = text
	return cmd, nil
}

// Body reads the body of addr's answer to a request, which must have one.
func Body[T any](addr string, code int32, resp *protocol.Command) (*T, error) {
	out := new(T)
	return read(addr, code, out, body.Unmarshal(resp.Body, out))
}

// Fields reads the header of addr's answer to a request.
func Fields[T any](addr string, code int32, resp *protocol.Command) (*T, error) {
	out := new(T)
	return read(addr, code, out, protocol.DecodeHeader(resp.Ext, out))
}

func read[T any](addr string, code int32, out *T, err error) (*T, error) {
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s to request %d: %w", addr, code, err)
	}
	return out, nil
}
