// Package datadir is the directory of a gateway's local state: [Open] locks it for
// one process, [Files] writes files in it atomically, and it records which
// database it belongs to, so that a lost database is not taken for a new one.
package datadir
