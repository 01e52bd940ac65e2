package escrow

import "time"

// ResticKind is where a file lies in a restic repository.
type ResticKind string

// The kinds of file of a restic repository that are kept. Locks come and go
// and are no part of it.
const (
	ResticConfig    ResticKind = "config"
	ResticKeys      ResticKind = "keys"
	ResticData      ResticKind = "data"
	ResticIndex     ResticKind = "index"
	ResticSnapshots ResticKind = "snapshots"
)

// ResticKinds lists the kinds in the order in which a repository is of use: a
// snapshot is nothing without what comes before it. It returns a fresh slice.
func ResticKinds() []ResticKind {
	return []ResticKind{ResticConfig, ResticKeys, ResticData, ResticIndex, ResticSnapshots}
}

// ResticFile is one file of a restic repository that has arrived and is
// durable. It is ciphertext under the repository's own key.
type ResticFile struct {
	Arrangement string
	Module      string
	Kind        ResticKind
	Name        string // as restic calls it: the SHA-256 of the bytes, or "config"
	Object      string // the SHA-256 of the bytes, by which they are stored
	Size        int64
	ReceivedAt  time.Time // by the server's clock
}

// ResticUsage is how much a restic repository holds.
type ResticUsage struct {
	Files int64
	Bytes int64
	Quota int64 // bytes, 0 for none
}

// ResticLock is a lock that a running restic holds.
type ResticLock struct {
	Name       string
	Content    []byte
	ReceivedAt time.Time
}
