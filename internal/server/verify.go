package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
)

// VerifyReport counts what was read again and held.
type VerifyReport struct {
	Entries int64  `json:"ledger_entries"`
	Root    string `json:"root"`
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// Verify reads a stopped installation again from its first entry to its last
// object: the ledger's tree, checkpoints and tiles, every database row against
// the act that recorded it, every object of every deposit against its name.
// The first thing that does not hold is the error.
func Verify(ctx context.Context, c config.Config, o Options, pins []evidence.Pin, progress func(done, total int64)) (_ *VerifyReport, err error) {
	o = o.orDefault()
	if err := present(c); err != nil { // opening would make what is not there
		return nil, err
	}
	lock, err := file.Lock(c.Data)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	k, err := readKeys(c.KeysDir(), "")
	if err != nil {
		return nil, err
	}
	db, err := openStore(ctx, c, k, o)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := sameInstallation(ctx, c, k, db); err != nil {
		return nil, err
	}
	blobs, err := openObjects(ctx, c, db)
	if err != nil {
		return nil, err
	}
	policy, err := evidence.NewPolicy(k.LedgerKey, c.Witnesses, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(c.KeysDir(), ledgerPubFile), err)
	}
	state, err := db.Verify(ctx, ledger.VerifyOptions{Policy: policy, Pins: pins})
	if err != nil {
		return nil, err
	}
	if err := leavingsHold(ctx, db, k.SigningLine); err != nil {
		return nil, err
	}
	if err := certificatesHold(ctx, db, k.SigningLine); err != nil {
		return nil, err
	}
	r := &VerifyReport{Entries: state.Size, Root: state.Root.String()}
	return r, r.objects(ctx, db, blobs, progress)
}

// present refuses to verify what is not there.
func present(c config.Config) error {
	paths := []string{c.Data, c.KeysDir()}
	for _, l := range c.AllLocations() {
		if len(c.Locations) == 0 { // where there are several, one may be away
			paths = append(paths, l.Path)
		}
	}
	if c.Database == "" {
		paths = append(paths, c.SQLitePath())
	}
	for _, path := range paths {
		switch _, err := os.Stat(path); {
		case errors.Is(err, os.ErrNotExist):
			return escrow.Errorf(escrow.Missing, "%s is not there", path).WithHint("name the data directory of an installation, or restore it from a backup")
		case err != nil:
			return diskError(err, "%s", path)
		}
	}
	return nil
}

// objects reads every object that a deposit or a sync state names, once.
func (r *VerifyReport) objects(ctx context.Context, db *store.DB, blobs blob.Store, progress func(done, total int64)) error {
	return db.View(ctx, func(tx *store.Tx) error {
		sizes := map[string]int64{} // -1 where it is not recorded
		var total, done int64
		err := tx.EachObject(ctx, func(name string, size int64) error {
			if old, seen := sizes[name]; !seen || old < 0 {
				sizes[name] = size
				total += max(size, 0)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(sizes)) { // the first that does not hold is always the same
			size := sizes[name]
			if err := checkObject(ctx, blobs, name, size); err != nil {
				return namedDeposits(ctx, tx, name, err)
			}
			done += max(size, 0)
			r.Objects++
			r.Bytes += max(size, 0)
			if progress != nil {
				progress(done, total)
			}
		}
		return nil
	})
}

func checkObject(ctx context.Context, blobs blob.Store, name string, size int64) error {
	b, err := blobs.Open(ctx, name)
	if err != nil {
		return err
	}
	defer b.Close()
	if size >= 0 && b.Size() != size {
		return escrow.Errorf(escrow.Damaged, "object %s has %d bytes, recorded are %d", name, b.Size(), size)
	}
	err = blob.Check(ctx, b, name)
	if e, ok := errors.AsType[*escrow.Error](err); ok && e.Err != nil && strings.Contains(e.Err.Error(), name) {
		return escrow.Errorf(e.Code, "%w", e.Err) // it says which object it is and where, so that is said once
	}
	return err
}

// namedDeposits says which deposits a bad object hits.
func namedDeposits(ctx context.Context, tx *store.Tx, name string, cause error) error {
	arrangements, err := tx.Arrangements(ctx)
	if err != nil {
		return cause
	}
	var hit []string
	for _, a := range arrangements {
		list, err := tx.DepositsWithObject(ctx, a.ID, name)
		if err != nil {
			return cause
		}
		for _, d := range list {
			hit = append(hit, fmt.Sprintf("%s/%s deposit %d", d.Arrangement, d.Module, d.Number))
		}
	}
	if len(hit) == 0 {
		hit = append(hit, "the sync state of a module")
	}
	return escrow.Errorf(escrow.CodeOf(cause), "%w (hits %s)", cause, strings.Join(hit, ", ")).
		WithHint("bring the object back from another copy; the ledger proves which bytes are right")
}
