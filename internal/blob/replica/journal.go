package replica

import (
	"context"

	"holdfast/internal/escrow"
)

// What is remembered of objects and their copies.
type (
	Object = escrow.StoredObject
	Origin = escrow.ObjectOrigin
	Copy   = escrow.Copy
	Task   = escrow.CopyTask
	Result = escrow.CopyResult
)

// The states of a copy and of a location.
const (
	Due      = escrow.CopyDue
	Held     = escrow.CopyHeld
	Damaged  = escrow.CopyDamaged
	Missing  = escrow.CopyMissing
	Active   = escrow.LocationActive
	Draining = escrow.LocationDraining
	Retired  = escrow.LocationRetired
)

// Journal remembers durably where every object is and where it should be. The
// store's database is one.
type Journal interface {
	// Begin notes, before any location gets the object under its name, that it
	// is going to be at the named ones; copies that are held stay held. It
	// refuses with code Full what goes beyond the quota of the origin's party
	// for uploads that no deposit uses, and with Unavailable an object that is
	// being removed at this moment.
	Begin(ctx context.Context, o Object, from Origin, locations []string) error
	// Settle notes what became of copies: Held, or Due with the reason.
	Settle(ctx context.Context, name string, results []Result) error
	// Object returns an object and its copies. One that is not known has no
	// name; one that is being removed counts as not known.
	Object(ctx context.Context, name string) (Object, []Copy, error)
	// Adopt notes an object, tags included, that lies at a location although
	// nothing is known of it, as it is with those of an older version.
	Adopt(ctx context.Context, o Object, location string) error
	// Claim returns copies that are due, damaged or missing at a location, at
	// most so many, and keeps other processes from getting the same ones for a
	// while. A location that has no row for an object owes nothing.
	Claim(ctx context.Context, location string, most int) ([]Task, error)
	// Removed notes that an object is gone from a location.
	Removed(ctx context.Context, name, location string) error
}
