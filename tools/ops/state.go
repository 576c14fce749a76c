package ops

import (
	"encoding/json"
	"net/http"
)

// States of a server, as /healthz and /readyz tell them.
const (
	stateStarting   = "starting"
	stateRecovering = "recovering"
	stateServing    = "serving"
	stateFailed     = "failed" // the store refuses writes until the next start
	stateStopping   = "stopping"
)

// answer is the JSON of /healthz and /readyz.
type answer struct {
	State string `json:"state"`
	// Reason is why it failed.
	Reason string `json:"reason,omitempty"`
	// Refusal is why no message is taken for now, consuming goes on.
	Refusal string `json:"refusal,omitempty"`
	*recovery
}

// recovery is how far the store has come; done and total are bytes of the commit log, in step "queues"
// queues, and both 0 when nobody knows.
type recovery struct {
	Step    string `json:"step"`
	Done    int64  `json:"done"`
	Total   int64  `json:"total"`
	Percent int    `json:"percent"` // of the step, -1: unknown
	Seconds int64  `json:"secondsLeft"`
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	a := s.state()
	status := http.StatusOK
	if a.State == stateFailed {
		status = http.StatusServiceUnavailable
	}
	reply(w, status, a)
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	a := s.state()
	status := http.StatusServiceUnavailable
	if a.State == stateServing {
		status = http.StatusOK
	}
	reply(w, status, a)
}

// state says how things are. A failed store is told of even while it stops: it is why it stops, perhaps.
func (s *Server) state() answer {
	var refusal string
	if b := s.broker.Load(); b != nil {
		f := b.Figures()
		if f.Failure != nil {
			return answer{State: stateFailed, Reason: f.Failure.Error()}
		}
		refusal = f.Store.Refusal
	}
	switch p := s.o.Progress.Now(); {
	case s.stopping.Load():
		return answer{State: stateStopping}
	case s.serving.Load():
		return answer{State: stateServing, Refusal: refusal}
	case p.Step != "":
		return answer{State: stateRecovering, recovery: &recovery{p.Step, p.Done, p.Total, p.Percent(), int64(p.Left.Seconds())}}
	}
	return answer{State: stateStarting}
}

func reply(w http.ResponseWriter, status int, a answer) {
	b, err := json.Marshal(a)
	if err != nil { // there is nothing in it that could fail
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
