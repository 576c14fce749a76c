package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// event is one line of output.
type event map[string]any

// events writes lines whole, from any goroutine.
type events struct {
	mu sync.Mutex
	w  io.Writer
}

func (e *events) emit(ev event) {
	line, err := json.Marshal(ev)
	if err != nil {
		line = fmt.Appendf(nil, `{"event":"error","error":%q}`, err.Error())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _ = e.w.Write(append(line, '\n'))
}

// stderrLog is the client's logger: everything from warnings on goes to stderr.
type stderrLog struct{}

func silenceClient() { rlog.SetLogger(stderrLog{}) }

func (stderrLog) Debug(string, map[string]interface{}) {}

func (stderrLog) Info(msg string, fields map[string]interface{}) {
	if os.Getenv("ROCKETMQ_GO_LOG_LEVEL") == "info" {
		logLine("info", msg, fields)
	}
}

func (stderrLog) Warning(msg string, fields map[string]interface{}) { logLine("warn", msg, fields) }

func (stderrLog) Error(msg string, fields map[string]interface{}) { logLine("error", msg, fields) }

// Fatal only logs: the driver decides about its own end.
func (stderrLog) Fatal(msg string, fields map[string]interface{}) { logLine("fatal", msg, fields) }

func (stderrLog) Level(string) {}

func (stderrLog) OutputPath(string) error { return nil }

func logLine(level, msg string, fields map[string]interface{}) {
	fmt.Fprintf(os.Stderr, "%s: %s %v\n", level, msg, fields)
}
