// Package dynamic is what UPDATE_BROKER_CONFIG and UPDATE_NAMESRV_CONFIG have in common: a request names keys and
// values as a .properties file does, and changes all of them or nothing. Only keys of an allow-list may be changed
// so; Java has a black list, through which code was run (CVE-2023-33246, CVE-2023-37582).
//
// What was changed is kept in a file of its own, the overrides, which a server applies behind its configuration
// file at the next start. Java rewrites the user's file with all keys instead.
package dynamic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/skylarkmq/skylark/remoting/properties"
	"github.com/skylarkmq/skylark/remoting/protocol"
)

// File is the name of the file of overrides: in the folder skylark of a broker's store, and beside a name
// server's kvConfigPath.
const File = "skylarkOverrides.properties"

// Bounds of a request. The largest that makes sense, every key with its value, is a tenth of it.
const (
	maxBody  = 64 << 10
	maxValue = 4 << 10
)

// Allowed is which keys may change, each with what is wrong with a value, "" for nothing. Values come trimmed.
type Allowed map[string]func(value string) string

// Java's answers. Java: AdminBrokerProcessor.updateBrokerConfig, DefaultRequestProcessor.updateConfig.
const (
	remarkBlackList  = "Can not update config in black list."
	remarkUnreadable = "string2Properties error"
)

// Parse returns the changes that the body of a request asks for, trimmed; none for an empty body. When any of them
// cannot be, none is, and the error is a *protocol.Error: NO_PERMISSION with Java's remark for a key of blackList,
// which is configBlackList's text, NO_PERMISSION for other keys that are not allowed, INVALID_PARAMETER for values.
// known are the names of all keys there are, for naming the one that was meant.
func (a Allowed) Parse(body []byte, blackList string, known properties.Keys) (*properties.Properties, error) {
	if len(body) > maxBody {
		return nil, protocol.Errorf(protocol.InvalidParameter, "Can not update config: %d bytes are more than the %d that a request may have", len(body), maxBody)
	}
	asked, err := properties.Parse(body)
	if err != nil {
		return nil, protocol.Errorf(protocol.SystemError, "%s: %v", remarkUnreadable, err)
	}
	black := strings.Split(blackList, ";")
	for key := range asked.All() {
		if slices.Contains(black, key) {
			return nil, protocol.Errorf(protocol.NoPermission, remarkBlackList)
		}
	}
	changes := &properties.Properties{}
	for key, value := range asked.All() {
		value = strings.TrimSpace(value)
		check, ok := a[key]
		if !ok {
			return nil, protocol.Errorf(protocol.NoPermission, "Can not update config: %s", whyNot(key, known))
		}
		why := wrongText(value)
		if why == "" {
			why = check(value)
		}
		if why != "" {
			return nil, protocol.Errorf(protocol.InvalidParameter, "Can not update config: %s=%.80q: %s", key, value, why)
		}
		changes.Set(key, value)
	}
	return changes, nil
}

// whyNot says why a key cannot be changed.
func whyNot(key string, known properties.Keys) string {
	if slices.Contains(known, key) {
		return fmt.Sprintf("%s cannot change while the server runs; set it in the configuration file and restart", key)
	}
	if near := properties.Nearest(key, known); near != "" {
		return fmt.Sprintf("there is no key %.40q, did you mean %s?", key, near)
	}
	return fmt.Sprintf("there is no key %.40q", key)
}

// wrongText refuses what no value has, and what would not come back from GET_BROKER_CONFIG as it was: that escapes
// nothing.
func wrongText(value string) string {
	if len(value) > maxValue {
		return fmt.Sprintf("it is longer than %d bytes", maxValue)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == 0xfffd }) {
		return "it has a control character or a backslash in it"
	}
	return ""
}

// Load gives target the values of overrides that are allowed and returns them; the others are left out and told of.
// text is the file's.
func (a Allowed) Load(text []byte, targets ...any) (loaded *properties.Properties, warnings []string, err error) {
	p, err := properties.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	loaded = &properties.Properties{}
	for key, value := range p.All() {
		why := "it cannot change while the server runs, it belongs into the configuration file"
		if check, ok := a[key]; ok {
			if why = wrongText(value); why == "" {
				why = check(value)
			}
		}
		if why != "" {
			warnings = append(warnings, fmt.Sprintf("override %.40s is left out: %s", key, why))
			continue
		}
		loaded.Set(key, value)
	}
	return loaded, append(warnings, properties.Bind(loaded, targets...)...), nil
}

// Restore is Load of the file of overrides, which read (fsys.ReadConfig) finds at path. It logs what it found; without
// a file the overrides are empty.
func (a Allowed) Restore(path string, log zerolog.Logger, read func(string, zerolog.Logger, func([]byte) error) (bool, error), targets ...any) (*properties.Properties, error) {
	loaded, warnings := &properties.Properties{}, []string(nil)
	_, err := read(path, log, func(text []byte) (err error) {
		loaded, warnings, err = a.Load(text, targets...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot load what was changed at run time: %w", err)
	}
	for _, w := range warnings {
		log.Warn().Str("file", path).Msg(w)
	}
	for key, value := range loaded.All() {
		log.Info().Str("file", File).Msgf("changed at run time: %s=%s", key, value)
	}
	return loaded, nil
}

// Request is a change of the configuration that is asked for, and where it is kept.
type Request struct {
	Body      []byte
	BlackList string
	Known     properties.Keys
	Overrides *properties.Properties // those that there are
	Path      string                 // of their file
	Write     func(path string, text []byte) error
	Log       zerolog.Logger
}

// Update gives targets, which are copies of what is in use, the changes that the body of a request asks for, by the
// rules of Parse, and has write keep overrides, with the changes, at path. It logs why a request is refused; targets
// are of no use then. Without changes, merged is nil. Java: AdminBrokerProcessor.updateBrokerConfig.
func (a Allowed) Update(r Request, targets ...any) (changes, merged *properties.Properties, err error) {
	if changes, err = a.Parse(r.Body, r.BlackList, r.Known); err != nil {
		r.Log.Warn().Err(err).Msg("a change of the configuration is refused")
		return nil, nil, err
	}
	if changes.Len() == 0 {
		return changes, nil, nil
	}
	if wrong := properties.Bind(changes, targets...); len(wrong) > 0 {
		r.Log.Warn().Strs("why", wrong).Msg("a change of the configuration is refused")
		return nil, nil, protocol.Errorf(protocol.InvalidParameter, "Can not update config: %s", wrong[0])
	}
	merged = merge(r.Overrides, changes)
	if err = r.Write(r.Path, fileText(merged)); err != nil {
		r.Log.Error().Err(err).Msg("cannot store a change of the configuration, nothing is changed")
		return nil, nil, fmt.Errorf("can not update config, it cannot be stored: %w", err)
	}
	return changes, merged, nil
}

// merge returns overrides with changes, which go before.
func merge(overrides, changes *properties.Properties) *properties.Properties {
	out := &properties.Properties{}
	for _, p := range []*properties.Properties{overrides, changes} {
		for key, value := range p.All() {
			out.Set(key, value)
		}
	}
	return out
}

const header = `# Set at run time (mqadmin updateBrokerConfig, updateNamesrvConfig). Written by the server; it goes before
# the configuration file, which stays as it is. To take a setting back, remove its line while the server is
# stopped.
`

// fileText returns the file of overrides.
func fileText(overrides *properties.Properties) []byte {
	return []byte(header + properties.Escape(overrides))
}
