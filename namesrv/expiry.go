package namesrv

import "time"

// silent tells whether a broker has been silent for too long. The caller holds mu.
func (t *topology) silent(l *liveBroker) bool {
	return t.since()-l.seen.Load() > int64(l.timeout)
}

// scan looks for silent brokers. Java: RouteInfoManager.scanNotActiveBroker.
func (s *Server) scan() {
	every := func() time.Duration {
		return time.Duration(s.topology.current.Load().ScanNotActiveBrokerInterval) * time.Millisecond
	}
	tick := time.NewTicker(every())
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.retimed:
			tick.Reset(every())
		case <-tick.C:
			s.expire()
		}
	}
}

// expire removes the brokers that have been silent for too long, and closes the connections on which
// nobody else has registered.
func (s *Server) expire() {
	t := s.topology
	alive := map[uint64]bool{}
	lost := map[brokerAddr]*liveBroker{}
	t.mu.RLock()
	for a, l := range t.live {
		if t.silent(l) {
			lost[a] = l
		} else {
			alive[l.conn.ID()] = true
		}
	}
	t.mu.RUnlock()
	var removed []<-chan struct{}
	for a, l := range lost {
		s.o.Logger.Warn().Str("cluster", a.cluster).Str("addr", a.addr).Dur("silence", l.timeout).Msg("broker has been silent for too long")
		if done := s.remover.add(departure{addr: a, silent: true}); done != nil {
			removed = append(removed, done)
		}
		if !alive[l.conn.ID()] {
			l.conn.Close("its broker has been silent for too long")
		}
	}
	for _, done := range removed {
		<-done
	}
}
