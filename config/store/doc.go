// Package store keeps what operators made at run time: connections, customer gateways, networks added to connections, what
// was taken down, and for an hour what was deleted (R9).
//
//	Update(change) ──► Tx: a copy of the State, and what to write ──► one bbolt transaction, fsync ──► the next State
//	                   nothing is written when change refuses                                          readers have it from here on
//
// What it promises: when Update has returned nil, the change is there after a kill -9 and after a power cut, whole; when it has
// returned an error, nothing has changed. A State is a copy in memory that nobody changes, so that reading never waits and
// never touches the disk.
//
// The file is objects.db in the state folder: folder 0700, file 0600, ours or root's, no links (SEC-01, SEC-07). It is not made
// before there is something to keep. Each record has a checksum over its place and its text. A file that is damaged, cut
// short or written by a newer version is put aside with the ending .bad, Damage says so, and the store begins empty (hardening
// R35): a gateway starts with what its files say rather than not at all. A file that another process has open is an error that
// only waiting or ending that process helps against (ErrLocked). A folder that can only be read is read; changes are refused
// until it can be written (hardening R24).
//
// There are no keys in it, no SPIs and no counters (hardening 5.1): objects hold references to secrets, and config refuses any
// other in them.
//
// Deleted objects are listed for exactly one hour. While the process runs that is by the monotonic clock; over restarts by
// what was left at the last write and the wall clock since. A wall clock that was set back adds nothing to what was left, one
// that was set forward while the process was down takes away.
//
// Not done here: whether a change makes sense, which config.Sources finds, and a store for several gateways.
//
// Start reading at store.go, then state.go.
package store
