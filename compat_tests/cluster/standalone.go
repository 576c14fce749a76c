package cluster

// Cluster is one NameServer and one broker.
type Cluster struct {
	Namesrv *Server
	Broker  *Server
}

// Standalone starts a NameServer and a broker under test on free ports with
// temp folders, and stops them when t ends. extraConf lines go into the
// broker's configuration.
func Standalone(t TB, extraConf ...string) *Cluster {
	t.Helper()
	ns := StartNamesrv(t, Options{})
	b := StartBroker(t, Options{Namesrv: []string{ns.Addr()}, ExtraConf: extraConf})
	return &Cluster{Namesrv: ns, Broker: b}
}

// Addr returns the NameServer address, in the form of a driver argument.
func (c *Cluster) Addr() string { return c.Namesrv.Addr() }

// Arg returns "namesrv=HOST:PORT", the first argument of nearly every driver call.
func (c *Cluster) Arg() string { return "namesrv=" + c.Namesrv.Addr() }
