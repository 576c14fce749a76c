// Package header declares the ext fields of every request and response: one struct for each Java header
// class, named as the class without its "Header". protocol.DecodeHeader and protocol.AppendHeader are
// the only code that moves them between structs and ext fields.
//
// A field's tag is its wire name and, for Java's @CFNotNull, the word required:
//
//	Topic string `rmq:"topic,required"`
//
// Required fields and Java primitives are values. A boxed Java field is a pointer where null means
// something else than zero, and a value where Java's own handler treats both alike; a nullable String is
// a string, because no Java handler tells null from empty there. A primitive whose Java initialiser is
// not zero is a pointer too, and its comment names what absent means.
//
// Java's request classes inherit fields that any peer may send and only static topics read. The structs
// leave them out; who needs them decodes RPC from the same ext fields. Ext fields that belong to no class
// (TRACE_ON and the like) are set by hand.
//
// Table lists which structs belong to which code. A test compares every one of them with
// ../testdata/headers.json, which scripts/golden/golden.sh dumps from the Java 5.5.0 classes.
package header

// RPC holds the fields that Java's request classes inherit.
// Java: RpcRequestHeader and, for Local, TopicRequestHeader.
type RPC struct {
	Namespace  string `rmq:"ns"`
	Namespaced *bool  `rmq:"nsd"`
	BrokerName string `rmq:"bname"`
	Oneway     *bool  `rmq:"oway"`
	// Local says that queue ids and offsets are those of this broker: no static topic mapping applies.
	Local *bool `rmq:"lo"`
}

// Empty is the header of a class that has no fields of its own.
type Empty struct{}
