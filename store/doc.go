// Package store keeps messages in Java's files and finds them again.
//
// # The path of a message
//
// The caller (an event loop) encodes records into a Group and gives it to Submit, which only queues it.
// The append goroutine takes all groups that are there, gives each record its queue offset, physical
// offset and store timestamp, writes the whole round by one pwritev, and publishes it: each record's unit
// is added to its ConsumeQueue in memory and the hashes of its keys to the index, where consumers see it,
// pulls that wait are woken, and the group's owner is told, which answers its producers. Nothing waits for
// more work: the running write is what lets the next round grow.
//
// In SYNC_FLUSH the round goes to the flush goroutine between write and publish; it makes all rounds it
// finds durable by one fdatasync. So a consumer never sees what a power cut could take back.
//
// # Goroutines
//
//   - append: the only writer of the CommitLog and of queue offsets;
//   - flush: fdatasync of the CommitLog, each FlushInterval or, in SYNC_FLUSH, at once;
//   - tidy: writes ConsumeQueue units from memory to their files, makes them durable, then the
//     checkpoint; gives idle cache memory back;
//   - retention: looks at the disks, removes the log's oldest files, then moves the queues' first offsets
//     and removes their files;
//   - index: its builder writes entries to files, or reads the log where it has fallen behind;
//   - commitlog prepares the next file in a goroutine of its own.
//
// # Light queues
//
// A message may go to light queues (LMQ) as well as to its own (light.go). The append goroutine gives it an offset in
// each, in the same step, and writes them into the record's properties; units and wake-ups follow as for its own queue.
// Recovery reads them from there, whether the feature is still on or not: a queue that has lost its units would give
// offsets twice. A light queue is no different from others otherwise; nothing of it needs a configured topic, and like
// others it keeps its last file until it is deleted.
//
// # Lock order
//
// Store.topicsMu, then Queue.mu. Store.inMu, flushMu and dirtyMu are leaves. No lock is held during
// a disk access or a call to an Owner or a Listener.
//
// # Crash rules
//
// The CommitLog alone is the truth; ConsumeQueues are derived. The checkpoint is written only when all
// that it names is durable: CommitLog first, then ConsumeQueues, then the checkpoint. Recovery scans the
// CommitLog from the checkpoint, cuts it at the first record that is not whole and zeroes what follows,
// and puts the missing units back. It changes nothing that a second run would not find and do again. Both walks
// use all cores, over parts of files that are put together in order (commitlog/verify.go, walk.go).
// Retention removes files from the front, one by one, and only what recovery would not read: records that
// are durable and that durable units point to. A log file is renamed into the trash, durably, before it is
// shortened and deleted there, when its last reader has left. What a crash leaves in the trash goes at the
// next start. A queue's last file is never removed: where its offsets go on is written nowhere else. What
// disks too full by the options mean is ErrDiskFull: writes are refused until there is space.
//
// The CommitLog's files may lie in several folders, on several disks (Options.CommitLogDirs). What one journal
// would keep in order two do not, so before anything is done to the names of one folder what was done to those
// of another is durable: a crash must leave no hole in the row of files, at which the next start would stop. A
// folder that is read only gets no new file; the last one, if it lies there, is closed by a blank record, and
// retention removes files there as anywhere. Disks stand in for each other: new files go where there is room,
// and the oldest ones go, or messages are refused, when no disk has any.
//
// A write or sync error is final (Store.Err): the store answers reads and refuses writes. A full disk is
// no such error: what it has no room for is taken back (round.go) and refused until there is space.
//
// Bytes that are no record in front of the watermark, or with newer whole records behind them, are damage
// (damage.go): recovery passes over them, queues get units there that reading passes over, and nothing is
// changed.
//
// # Files
//
// Java's (spec/store.md 1): lock, abort, checkpoint, commitlog/, consumequeue/, index/. Skylark's own state is
// under skylark/: prep/ for the next CommitLog file, trash/ for removed ones, watermark for how far the log
// was durable. Other folders of the CommitLog have prep/ and trash/ beside them as well, or inside when nothing
// beside them is on their disk (commitlog/folders.go).
package store
