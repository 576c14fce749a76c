package boot

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version is what --version prints first. Releases set it, and commit and date, by -ldflags -X.
var (
	Version = "0.1.0-dev"
	commit  string
	date    string // of the commit
)

// source returns the commit that the binary was built from, shortened to twelve digits, and its date, each "unknown"
// where neither a release nor the go command has set it. Changes that were not committed show as +dirty.
func source() (string, string) {
	id, at, dirty := commit, date, false
	if info, ok := debug.ReadBuildInfo(); ok && id == "" {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				id = s.Value
			case "vcs.time":
				at = s.Value
			case "vcs.modified":
				dirty = s.Value == "true"
			}
		}
	}
	if id == "" {
		return "unknown", "unknown"
	}
	id = id[:min(len(id), 12)]
	if dirty {
		id += "+dirty"
	}
	return id, at
}

// describe returns the version, the commit and its date, and what built it.
func describe() string {
	id, at := source()
	return fmt.Sprintf("%s, commit %s of %s, %s %s/%s", Version, id, at, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
