package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"holdfast/evidence"
	"holdfast/internal/backup"
	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// RestoreOptions say what is restored and what the operator knows about it.
type RestoreOptions struct {
	From       string // the backup
	Identities string // age identities that open its keys; "" when they are where the configuration says
	// Pins are states of the ledger that somebody saw. One that is later than
	// the backup is refused unless GoingBack says why it is right.
	Pins      []evidence.Pin
	GoingBack string
	Progress  func(done, total int64)
}

// Restored is what an installation was restored to.
type Restored struct {
	backup.Header
	Data   string `json:"data"`
	Behind int64  `json:"entries_lost"` // that somebody saw and the backup does not have
	Reason string `json:"reason,omitempty"`
}

// restoredFile tells the first start that the installation was restored, so
// that it can put this into the ledger.
const restoredFile = "restored.json"

// Restore makes an installation from a backup, in a data directory and a
// database that do not exist yet or are empty. Everything is read and proved
// before anything there is touched; on an error they are as they were.
func Restore(ctx context.Context, c config.Config, o Options, r RestoreOptions) (_ *Restored, err error) {
	o = o.orDefault()
	if c.Role.Shares() {
		c.Role = config.RoleAll
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := emptyDir(c.Data, "the data directory"); err != nil {
		return nil, err
	}
	c.Data, err = filepath.Abs(c.Data)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "data directory %s", c.Data)
	}
	if err := os.MkdirAll(filepath.Dir(c.Data), 0o700); err != nil {
		return nil, diskError(err, "%s", filepath.Dir(c.Data))
	}
	// On the file system it is to be on, so that it can come to its place whole.
	dir, err := os.MkdirTemp(filepath.Dir(c.Data), ".holdfast-restore-")
	if err != nil {
		return nil, diskError(err, "%s", filepath.Dir(c.Data))
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := c
	made.Data = filepath.Join(dir, "data")
	restored := &Restored{Data: c.Data, Reason: r.GoingBack}
	s := &staged{pins: r.Pins, accept: func(h backup.Header) error {
		restored.Header = h
		return restored.against(r.Pins)
	}}
	if err := s.check(ctx, r.From, made.Data, o, keepObjects(ctx, made, r.Progress)); err != nil {
		return nil, diskErrorIn(err, "restore to %s", c.Data)
	}
	// Where objects are kept is there even when the backup has none, so that
	// what is restored is an installation to whoever verifies it next.
	if _, err := file.Open(made.ObjectsDir()); err != nil {
		return nil, diskError(err, "%s", made.ObjectsDir())
	}
	k, err := s.keys(c, made, r.Identities)
	if err != nil {
		return nil, err
	}
	if err := proveKeys(ctx, made, k, o); err != nil {
		return nil, err
	}
	note, err := json.Marshal(restored)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(writeNew(filepath.Join(made.Data, restoredFile), append(note, '\n')), syncDir(made.Data)); err != nil {
		return nil, diskError(err, "restore to %s", c.Data)
	}
	if c.Database != "" {
		if err := s.toPostgres(ctx, c, made, k, o, r.From); err != nil {
			return nil, err
		}
	}
	return restored, s.place(c, made)
}

// emptyDir refuses a directory with anything in it.
func emptyDir(dir, what string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return diskError(err, "%s", dir)
	case len(entries) > 0:
		return escrow.Errorf(escrow.Conflict, "%s %s is not empty", what, dir).WithHint("restore to a new directory; what is there stays as it is")
	}
	return nil
}

// against compares the backup with what people saw of the ledger since.
func (r *Restored) against(pins []evidence.Pin) error {
	for _, p := range pins {
		r.Behind = max(r.Behind, p.Size-r.Size)
	}
	if r.Behind > 0 && r.Reason == "" {
		return escrow.Errorf(escrow.Conflict, "the backup has %d entries of the ledger, and somebody saw %d: restoring it takes back %d entries that others rely on", r.Size, r.Size+r.Behind, r.Behind).
			WithHint("look for a later backup. If there is none, say why with --going-back; everybody who saw the later entries will refuse this server until they are told, see docs/operate.md")
	}
	return nil
}

// keys puts the keys of the backup, or those that are there, to use.
func (s *staged) keys(c, made config.Config, identities string) (*Keys, error) {
	dir := filepath.Join(made.Data, "keys")
	there, err := os.ReadDir(c.KeysDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, diskError(err, "%s", c.KeysDir())
	}
	switch {
	case len(there) > 0:
		dir = c.KeysDir() // outside the data directory, which is empty
	case s.sealed == nil:
		return nil, escrow.Errorf(escrow.Missing, "the backup was made without keys, and %s has none", c.KeysDir()).
			WithHint("bring the keys directory from where its copy is kept, and name it in 'keys'")
	case identities == "":
		return nil, escrow.Errorf(escrow.Invalid, "the keys in the backup are sealed").WithHint("give the identity file that opens them with --identity")
	default:
		keys, err := openKeys(s.sealed, identities)
		if err != nil {
			return nil, err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, diskError(err, "%s", dir)
		}
		for _, name := range keyFiles() {
			if err := writeNew(filepath.Join(dir, name), []byte(keys[name])); err != nil {
				return nil, diskError(err, "%s", filepath.Join(dir, name))
			}
		}
		if err := syncDir(dir); err != nil {
			return nil, diskError(err, "%s", dir)
		}
	}
	k, err := readKeys(dir, s.Origin)
	if err != nil {
		return nil, err
	}
	if k.LedgerKey != s.LedgerKey {
		return nil, escrow.Errorf(escrow.WrongKey, "the keys belong to another ledger than the backup").WithHint("bring the keys of the same installation")
	}
	return k, nil
}

// proveKeys checks that the restored state names the keys as its own.
func proveKeys(ctx context.Context, made config.Config, k *Keys, o Options) error {
	made.Database = ""
	db, err := openStore(ctx, made, k, o)
	if err != nil {
		return err
	}
	tied, err := sameInstallation(ctx, made, k, db)
	return errors.Join(err, notTied(tied || err != nil), db.Close())
}

// toPostgres loads the state into the PostgreSQL of the configuration.
func (s *staged) toPostgres(ctx context.Context, c, made config.Config, k *Keys, o Options, from string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(made.SQLitePath() + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return diskError(err, "%s", made.SQLitePath())
		}
	}
	sc, err := storeConfig(c, k, o)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return diskError(err, "backup %s", from)
	}
	defer in.Close()
	loaded := errors.New("loaded")
	_, err = backup.Read(ctx, in, backup.Target{Database: func(r io.Reader) error {
		if err := s.load(ctx, sc, r); err != nil {
			return err
		}
		return loaded // the rest was read before
	}})
	if errors.Is(err, loaded) {
		return nil
	}
	return err
}

// place gives everything its name.
func (s *staged) place(c, made config.Config) error {
	if c.Keys != "" {
		if _, err := os.Stat(filepath.Join(made.Data, "keys")); err == nil {
			if err := errors.Join(os.MkdirAll(filepath.Dir(c.Keys), 0o700), os.Rename(filepath.Join(made.Data, "keys"), c.Keys)); err != nil {
				return diskError(err, "%s", c.Keys)
			}
		}
	}
	if err := os.Rename(made.Data, c.Data); err != nil { // replaces an empty directory and no other
		return diskError(err, "%s", c.Data)
	}
	return syncDir(filepath.Dir(c.Data))
}

// openObjects opens the objects of an installation.
func openObjects(ctx context.Context, c config.Config, db *store.DB) (blob.Store, error) {
	return readLocations(ctx, c, db, Options{})
}

// keepObjects returns what stores the objects of a backup. The archive's reader
// compares each with its name after it, so a wrong one ends the restore.
func keepObjects(ctx context.Context, made config.Config, progress func(done, total int64)) func(backup.Object, io.Reader) error {
	var blobs blob.Store
	var done int64
	return func(o backup.Object, r io.Reader) error {
		if blobs == nil { // not before the directory it is in has been made
			opened, err := file.Open(made.ObjectsDir())
			if err != nil {
				return err
			}
			blobs = opened
		}
		w, err := blobs.Create(ctx)
		if err != nil {
			return err
		}
		defer w.Abort()
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
		if _, _, err := w.Commit(ctx); err != nil {
			return err
		}
		if done += o.Size; progress != nil {
			progress(done, 0)
		}
		return nil
	}
}

// recordRestored puts a restore into the ledger, at the first start after it.
func (s *Server) recordRestored(ctx context.Context) error {
	path := filepath.Join(s.config.Data, restoredFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskError(err, "%s", path)
	}
	var r Restored
	if err := json.Unmarshal(data, &r); err != nil {
		return escrow.Errorf(escrow.Damaged, "%s cannot be read", path).WithHint("restore again")
	}
	_, err = s.db.Update(ctx, func(*store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: "installation.restored", At: s.options.Now(), Actor: "server",
			Data: map[string]any{"made": r.Made, "size": r.Size, "root": r.Root, "entries_lost": r.Behind, "reason": r.Reason}}}, nil
	})
	if err == nil {
		err = os.Remove(path)
	}
	return err
}

// Moved says where an installation went.
type Moved struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Entries int64  `json:"ledger_entries"`
	Root    string `json:"root"`
}

// moverName is that of the connections of a move.
const moverName = "holdfast-move"

// Move copies the state of a stopped installation to another, empty database
// and proves that both have the same ledger and the same rows; then the old
// one is closed for good. Keys, objects and data directory stay.
func Move(ctx context.Context, c, to config.Config, o Options) (_ *Moved, err error) {
	o = o.orDefault()
	if err := errors.Join(c.Validate(), to.Validate()); err != nil {
		return nil, err
	}
	if c.Database == to.Database {
		return nil, escrow.Errorf(escrow.Conflict, "the installation is there already")
	}
	if err := present(c); err != nil {
		return nil, err
	}
	lock, err := file.Lock(c.Data)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	k, err := readKeys(c.KeysDir(), c.Origin)
	if err != nil {
		return nil, err
	}
	source, target, err := moveEnds(c, to, k, o)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, source)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if tied, err := sameInstallation(ctx, c, k, db); err != nil || !tied {
		return nil, errors.Join(err, notTied(tied))
	}
	if n, err := db.Others(ctx, moverName); err != nil || n > 0 {
		return nil, errors.Join(err, inUse(n))
	}
	if to.Database == "" {
		if err := setAside(to.SQLitePath(), o); err != nil {
			return nil, err
		}
	}
	at, err := copyState(ctx, db, target, k)
	if err != nil {
		return nil, err
	}
	m := &Moved{From: place(c), To: place(to), Entries: at.Size, Root: at.Root.String()}
	return m, db.Retire(ctx, o.Now(), m.To, at.Size)
}

func notTied(tied bool) error {
	if tied {
		return nil
	}
	return escrow.Errorf(escrow.Missing, "there is no installation in this database")
}

func inUse(n int) error {
	if n == 0 {
		return nil
	}
	return escrow.Errorf(escrow.Conflict, "the database is in use: %d connections of other holdfast processes", n).WithHint("stop every process of the installation first")
}

// place names a database without its password.
func place(c config.Config) string {
	if c.Database != "" {
		return c.Database
	}
	return c.SQLitePath()
}

func moveEnds(c, to config.Config, k *Keys, o Options) (source, target store.Config, err error) {
	if source, err = storeConfig(c, k, o); err != nil {
		return source, target, err
	}
	target, err = storeConfig(to, k, o)
	source.Name, target.Name = moverName, moverName
	return source, target, err
}

// setAside moves a database that was moved from out of the way of one that
// comes back. Any other stays, and the move is refused by it.
func setAside(path string, o Options) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	retired, err := store.IsRetired(path)
	if err != nil || !retired {
		return err // one in use refuses the load, too
	}
	aside := fmt.Sprintf("%s.moved-%d", path, o.Now().Unix())
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return diskError(err, "%s", path)
		}
	}
	return nil
}

// copyState copies db to target, or finds that an earlier move that was cut
// off had done so.
func copyState(ctx context.Context, db *store.DB, target store.Config, k *Keys) (evidence.Checkpoint, error) {
	policy, err := evidence.NewPolicy(k.LedgerKey, nil, 0)
	if err != nil {
		return evidence.Checkpoint{}, err
	}
	return db.CopyTo(ctx, target, policy)
}
