// Package index finds messages by key: hash index files, byte for byte Java's IndexFile, kept by a builder
// that nothing waits for.
//
// # A file
//
// Everything is big-endian; entry 0 does not exist, a file of Entries holds Entries-1.
//
//	0                    header, 40 bytes
//	40                   Slots x int32: number of the newest entry of the slot's chain, 0: none
//	40+4*Slots+20*n      entry n: int32 hash, int64 physical offset, int32 seconds behind the file's begin,
//	                     int32 the chain's next older entry
//
// Java computes the seconds of a rolled file's first entry from the end of the file before. So do we, but
// readers here take that entry's time from the header, where it is right.
//
// # The path of an entry
//
// Put appends it to a batch in memory, where Query sees it. The builder goroutine writes the batch when it is
// large or ten seconds old: the slots are read and the entries linked, then entries, slots, and the header
// last, are written. An entry leaves the batch in the moment the header's new count becomes visible to Query,
// so none is missed or found twice. When the batch is full Put only remembers how far the CommitLog is (the
// index is not live); the builder reads the rest from the CommitLog until it has caught up. The same happens
// at each start.
//
// # Crash rules
//
// The CommitLog is the truth; the index is derived from it and may be lost. After a crash, the entries of
// each file that was not durable are checked one by one, the file is cut in front of the first that cannot
// be, and its slots are made anew. A slot may point behind the header's count when a write did not come to
// its end; readers and the builder then follow the chain down to what counts. A write error is tried again; a
// sync error stops the index until the next start, which checks what is there.
//
// # Goroutines and locks
//
// The builder is the only writer of files. Index.dirMu orders removals of files and is taken before
// Index.mu, under which no disk is touched.
package index
