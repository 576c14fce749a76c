package peer

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"
)

const (
	// lookupEvery is how often names are looked up. Java: BrokerController, 2 min.
	lookupEvery = 2 * time.Minute
	// lookupRetry is how soon a lookup that failed is repeated.
	lookupRetry   = 10 * time.Second
	lookupTimeout = 5 * time.Second
)

// lookup keeps the list of name servers equal to what the hosts of names resolve to. A host that cannot
// be looked up keeps the addresses it had, at first itself.
func (r *Registrar) lookup() {
	known := map[string][]string{}
	for {
		r.mu.Lock()
		addrs := r.names
		r.mu.Unlock()
		var list []string
		wait := lookupEvery
		for _, addr := range addrs {
			found, err := r.resolve(addr)
			switch {
			case err == nil:
				known[addr] = found
			case r.ctx.Err() != nil:
				return
			default:
				r.o.Logger.Warn().Err(err).Str("nameServer", addr).Msg("cannot look up name server, trying again")
				wait = lookupRetry
				if known[addr] == nil {
					known[addr] = []string{addr}
				}
			}
			for _, a := range known[addr] {
				if !slices.Contains(list, a) {
					list = append(list, a)
				}
			}
		}
		r.set(list)
		select {
		case <-r.ctx.Done():
			return
		case <-r.relook:
		case <-time.After(wait):
		}
	}
}

func (r *Registrar) resolve(addr string) ([]string, error) {
	i := strings.LastIndexByte(addr, ':')
	host, port := strings.Trim(addr[:i], "[]"), addr[i+1:]
	ctx, cancel := context.WithTimeout(r.ctx, lookupTimeout)
	defer cancel()
	find := r.o.Lookup
	if find == nil {
		find = net.DefaultResolver.LookupHost
	}
	ips, err := find(ctx, host)
	if err != nil {
		return nil, err
	}
	slices.Sort(ips)
	out := make([]string, len(ips))
	for i, ip := range ips {
		out[i] = net.JoinHostPort(ip, port)
	}
	return out, nil
}
