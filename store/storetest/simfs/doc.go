// Package simfs is a disk in memory for tests: an fsys.FS that knows what a crash would leave of it.
//
// It keeps two states. The live one is what a running process sees. The durable one is what was made so:
// of a file, the sectors and the length that a Datasync covered; of a folder, the names that a SyncDir
// covered. Between the two stand, in order, all versions that each sector, length and name has had since.
// Crash makes a new disk from the durable state and a choice among these versions (Policy), by a seed.
//
// A sector (512 bytes) is never torn; anything larger may be. A rename happens whole or not at all, as in
// a file system with a journal. A file's Datasync says nothing about its name, as POSIX has it.
//
// Mount makes folders the roots of other file systems, which files are not renamed into or out of and which a
// crash leaves at other moments.
//
// SetHook puts a function in front of every call: it sees the call, numbered, and may make it fail, write
// only a part, lose what was written, or stop the disk.
package simfs
