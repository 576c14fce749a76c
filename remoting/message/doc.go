// Package message is the stored message record and what belongs to it: the same bytes stand in the
// CommitLog and in the body of a pull reply. It is a leaf: nothing here knows of commands or files.
//
// A record, V1 with IPv4 hosts, big-endian (spec/store.md 2.1):
//
//	 0 TOTALSIZE 4    4 MAGIC 4          8 BODYCRC 4      12 QUEUEID 4      16 FLAG 4
//	20 QUEUEOFFSET 8  28 PHYSICALOFFSET 8                 36 SYSFLAG 4      40 BORNTIMESTAMP 8
//	48 BORNHOST 8     56 STORETIMESTAMP 8                 64 STOREHOST 8    72 RECONSUMETIMES 4
//	76 PREPAREDTRANSACTIONOFFSET 8      84 BODYLEN 4, body; TOPICLEN 1 (V2: 2), topic; PROPLEN 2, properties
//
// IPv6 hosts take 20 bytes; bits 0x10 and 0x20 of SYSFLAG say so.
package message
