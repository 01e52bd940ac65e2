package pack

import (
	"context"
	"io"

	"holdfast/internal/escrow"
)

// Check reads the pack of size bytes that begins at off in r and proves it
// whole: all bytes hash to the pack's trailer, every entry inflates to the
// size it declares, every delta resolves inside the pack, every commit, tree
// and tag can be read, and every id they name, like every tip, is in the pack
// or known.
//
// An error is an [escrow.Error]: Damaged when bytes are not what a pack is
// made of, Missing when objects are left out (a [*MissingError] says which),
// Invalid when a limit is passed, and any other when r or Known fails.
func Check(ctx context.Context, r io.ReaderAt, off, size int64, opts Options) (*Report, error) {
	return nil, escrow.Errorf(escrow.Internal, "not built yet")
}
