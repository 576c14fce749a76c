// Package protocol holds what two ends of a remoting connection must agree on: the command, its
// codes, its ext fields and the one codec between ext fields and typed headers.
// It knows nothing of sockets (package frame encodes commands to bytes) nor of disks.
package protocol

import "strings"

// Flag bits of a command. Java: RemotingCommand.RPC_TYPE and RPC_ONEWAY are bit positions 0 and 1.
const (
	FlagResponse int32 = 1 << 0
	FlagOneway   int32 = 1 << 1
)

// Version is the MQVersion ordinal Skylark reports, V5_5_0 (Java: MQVersion.CURRENT_VERSION of 5.5.0).
// Clients read it from the heartbeat reply and refuse features below it.
const Version int32 = 513

// Version ordinals that change what is on the wire (spec/protocol.md 1.6).
const (
	VersionV3_4_9 int32 = 121
	VersionV4_9_4 int32 = 401
	VersionV5_0_0 int32 = 413
	VersionV5_3_1 int32 = 475
)

// Language is the ordinal of Java's LanguageCode.
type Language uint8

// The languages Skylark tells apart. Java: LanguageCode.
const (
	LanguageJava  Language = 0
	LanguageCPP   Language = 1
	LanguageOther Language = 7
	LanguageGo    Language = 9
	// LanguageUnknown stands for a name that is in no table; Java decodes it to null.
	LanguageUnknown Language = 255
)

// languageNames is indexed by ordinal. Java: LanguageCode.
var languageNames = [...]string{"JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST", "NODE_JS"}

// String returns Java's enum name, or "UNKNOWN".
func (l Language) String() string {
	if int(l) < len(languageNames) {
		return languageNames[l]
	}
	return "UNKNOWN"
}

// ParseLanguage returns the language of an enum name, LanguageUnknown for any other text.
func ParseLanguage(name string) Language {
	for i, n := range languageNames {
		if n == name {
			return Language(i)
		}
	}
	return LanguageUnknown
}

// Field is one ext field as it stands on the wire: every value is a string.
type Field struct{ Key, Value string }

// Ext holds ext fields in wire order. Fields nobody knows survive in it.
type Ext []Field

// Get returns the value of the first field named key, and whether there is one.
func (e Ext) Get(key string) (string, bool) {
	for i := range e {
		if e[i].Key == key {
			return e[i].Value, true
		}
	}
	return "", false
}

// Command is one request or response. Java: RemotingCommand.
//
// A command decoded from a frame aliases that frame: its strings and its body are valid as long as the
// frame's bytes are. Whoever keeps one longer than the request clones it (strings.Clone).
type Command struct {
	Code     int32
	Language Language
	Version  int32
	Opaque   int32
	Flag     int32
	Remark   string // empty means none
	Ext      Ext
	Body     []byte

	// Template, when there is one, is what the ext fields are but for those whose bit is set in Changed: bit
	// n for Ext[n]. A handler of many commands may keep what it has made of a Template.
	Template *Template
	Changed  uint64
}

// Template are ext fields that many commands of a connection have in common. It never changes and stays
// valid.
type Template struct{ Ext Ext }

// IsResponse tells whether the command answers another one.
func (c *Command) IsResponse() bool { return c.Flag&FlagResponse != 0 }

// IsOneway tells whether the sender wants no answer.
func (c *Command) IsOneway() bool { return c.Flag&FlagOneway != 0 }

// NewRequest returns a request with the fields of header, a struct with rmq tags or nil.
func NewRequest(code int32, header any) *Command {
	c := &Command{Code: code, Version: Version}
	if header != nil {
		c.Ext = AppendHeader(nil, header)
	}
	return c
}

// NewResponse returns a response; the server fills in its opaque.
func NewResponse(code int32, remark string) *Command {
	return &Command{Code: code, Version: Version, Flag: FlagResponse, Remark: remark}
}

// Reply returns a success response that carries header, which may be nil, and body.
func Reply(header any, body []byte) *Command {
	c := NewResponse(Success, "")
	if header != nil {
		c.Ext = AppendHeader(nil, header)
	}
	c.Body = body
	return c
}

// Clone returns a deep copy that aliases nothing of the frame.
func (c *Command) Clone() *Command {
	out := *c
	out.Remark = strings.Clone(c.Remark)
	out.Ext = make(Ext, len(c.Ext))
	for i, f := range c.Ext {
		out.Ext[i] = Field{strings.Clone(f.Key), strings.Clone(f.Value)}
	}
	out.Body = append([]byte(nil), c.Body...)
	out.Template = nil
	return &out
}
