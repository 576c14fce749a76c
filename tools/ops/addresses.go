package ops

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// defaultSubGroup is what clients ask for. Java: MixAll, rocketmq.namesrv.domain.subgroup.
const defaultSubGroup = "nsaddr"

// nameServers answers GET /rocketmq/nsaddr, or nsaddr-UNIT, with the list of name servers, by which clients and
// brokers find them (Java: DefaultTopAddressing): what skylarkNameServers says, else this name server, at the address
// at which the question came.
func (s *Server) nameServers(w http.ResponseWriter, r *http.Request) {
	n := s.namesrv.Load()
	if n == nil {
		http.Error(w, "there is no name server here", http.StatusNotFound)
		return
	}
	list, subGroup, port := n.AddressList()
	subGroup = cmp.Or(subGroup, defaultSubGroup)
	if group := r.PathValue("group"); group != subGroup && !strings.HasPrefix(group, subGroup+"-") {
		http.Error(w, "there is no such group of name servers here", http.StatusNotFound)
		return
	}
	if list == "" {
		local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if !ok {
			http.Error(w, "skylarkNameServers is not set", http.StatusNotFound)
			return
		}
		list = net.JoinHostPort(local.IP.String(), fmt.Sprint(port))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, list)
}
