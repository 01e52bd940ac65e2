package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"holdfast/internal/blob/file"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// An installation is a data directory with its keys and objects, and a
// database. Each can be lost or exchanged alone, and going on with the rest
// would start a second ledger under the same name, or sign the old one with a
// key that its clients do not know.

// ledgerKeySetting names the key that signs the ledger in the database.
const ledgerKeySetting = "ledger_key"

// refuseLost keeps a database in the data directory from going on with new
// keys, and keys from going on with a new database. It is asked before any of
// them is made.
func refuseLost(ctx context.Context, c config.Config) error {
	if c.Database != "" {
		return nil // see sameInstallation
	}
	_, dbErr := os.Stat(c.SQLitePath())
	keys, keyErr := os.ReadDir(c.KeysDir())
	switch {
	case dbErr == nil && len(keys) == 0 && (keyErr == nil || errors.Is(keyErr, os.ErrNotExist)):
		return escrow.Errorf(escrow.Missing, "%s has a database but no keys in %s", c.Data, c.KeysDir()).
			WithHint("restore the keys directory from a backup; new keys would start a second ledger")
	case errors.Is(dbErr, os.ErrNotExist):
		lost, err := hasPast(ctx, c)
		if err == nil && lost {
			err = lostDatabase(c)
		}
		return err
	}
	return nil
}

func lostDatabase(c config.Config) error {
	return escrow.Errorf(escrow.Missing, "%s belongs to an installation whose database is not there", c.Data).
		WithHint("restore the database from a backup; an empty one would start a second ledger")
}

// sameInstallation refuses a database that belongs to other keys, and an empty
// one where the data directory shows that there was another. tied says that
// the database names the key already; it does from the first start on.
func sameInstallation(ctx context.Context, c config.Config, k *Keys, db *store.DB) (tied bool, err error) {
	var recorded string
	err = db.View(ctx, func(tx *store.Tx) (err error) {
		recorded, err = tx.Setting(ctx, ledgerKeySetting)
		return err
	})
	switch {
	case err == nil && recorded == k.LedgerKey:
		return true, nil
	case err == nil:
		return true, escrow.Errorf(escrow.Missing, "the database belongs to the ledger with key %s, but %s holds %s", recorded, c.KeysDir(), k.LedgerKey).
			WithHint("name the database and the data directory of one installation, or restore the keys directory from a backup; with other keys this would be a second ledger")
	case escrow.CodeOf(err) != escrow.NotFound:
		return false, err
	}
	entries, err := db.Ledger().Entries(ctx, 0, 1)
	if err != nil || len(entries) > 0 {
		return false, err
	}
	lost, err := hasPast(ctx, c)
	if err == nil && lost {
		err = lostDatabase(c) // the one that was opened is empty
	}
	return false, err
}

// hasPast reports whether the data directory shows that a server has worked
// on it.
func hasPast(ctx context.Context, c config.Config) (bool, error) {
	if _, err := os.Stat(filepath.Join(c.Data, adminTokenFile)); err == nil {
		return true, nil
	}
	if _, err := os.Stat(c.ObjectsDir()); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	blobs, err := file.Open(c.ObjectsDir())
	if err != nil {
		return false, err
	}
	found := errors.New("found")
	err = blobs.List(ctx, func(string, int64) error { return found })
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}
