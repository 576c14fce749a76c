package peer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Where the address server is when nothing says so. Java: MixAll.getWSAddr.
const (
	defaultDomain   = "jmenv.tbsite.net"
	defaultSubGroup = "nsaddr"
)

const (
	// fetchTimeout is how long the address server may take. Java: DefaultTopAddressing.fetchNSAddr.
	fetchTimeout = 3 * time.Second
	// leastFetch bounds FetchEvery.
	leastFetch = 100 * time.Millisecond
	// maxList bounds what is read of an answer, in bytes.
	maxList = 64 << 10
)

// AddressServer returns the URL at which the name servers of a subgroup are asked for; "" means Java's default. A
// domain that names no port is asked at 8080. Java: MixAll.getWSAddr.
func AddressServer(domain, subGroup string) string {
	if domain == "" {
		domain = defaultDomain
	}
	if subGroup == "" {
		subGroup = defaultSubGroup
	}
	if strings.IndexByte(domain, ':') <= 0 {
		domain += ":8080"
	}
	return "http://" + domain + "/rocketmq/" + subGroup
}

// fetch keeps the list of name servers equal to what the address server says, until SetNameServers says something
// else. What it cannot say changes nothing. Java: BrokerOuterAPI.fetchNameServerAddr.
func (r *Registrar) fetch() {
	client := &http.Client{Timeout: fetchTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	last, quiet := "", false
	for {
		list, err := r.askAddressServer(client)
		if err == nil && list != last {
			err = r.fetched(list, last)
		}
		switch {
		case r.ctx.Err() != nil || errors.Is(err, errTold):
			return
		case err != nil && !quiet:
			r.o.Logger.Warn().Err(err).Str("url", r.o.AddressServer).Msg("cannot fetch the name servers, trying again")
		case err == nil:
			last = list
		}
		quiet = err != nil
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(r.o.FetchEvery):
		}
	}
}

// errTold means that the list is no longer the address server's to say.
var errTold = errors.New("name servers were set")

// fetched makes list the name servers.
func (r *Registrar) fetched(list, last string) error {
	r.lists.Lock()
	defer r.lists.Unlock()
	if r.told {
		return errTold
	}
	addrs, err := ParseNameServers(list)
	if err != nil {
		return err
	}
	r.o.Logger.Info().Str("old", last).Str("new", list).Msg("name server address changed")
	r.replace(addrs)
	return nil
}

// askAddressServer returns the first line of the answer. Java: DefaultTopAddressing.fetchNSAddr.
func (r *Registrar) askAddressServer(client *http.Client) (string, error) {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.o.AddressServer, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the address server answers %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxList))
	if err != nil {
		return "", err
	}
	list, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if list = strings.TrimSpace(list); list == "" {
		return "", errors.New("the address server names no name server")
	}
	return list, nil
}
