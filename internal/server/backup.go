package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/backup"
	"holdfast/internal/blob"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
)

// BackupOptions say what a backup holds.
type BackupOptions struct {
	To         string // the file it becomes; it must not exist
	Recipients string // age recipients, one a line, that the keys are sealed to; "" leaves the keys out
	ListOnly   bool   // name the objects instead of copying them
	Progress   func(done, total int64)
}

// Backup writes an installation, which may be at work, to one file. The state
// in it is of one moment, and every object that it names is in the file, or on
// the list of those that are kept elsewhere. The file gets its name when it
// has been read again from end to end and its ledger, rows and objects hold.
func Backup(ctx context.Context, c config.Config, o Options, b BackupOptions) (_ *backup.Header, err error) {
	o = o.orDefault()
	if err := present(c); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(b.To); err == nil {
		return nil, escrow.Errorf(escrow.Conflict, "%s is there already", b.To).WithHint("choose a new name; a backup replaces nothing")
	}
	k, err := readKeys(c.KeysDir(), "")
	if err != nil {
		return nil, err
	}
	sealed, err := sealKeys(c.KeysDir(), b.Recipients)
	if err != nil {
		return nil, err
	}
	sc, err := storeConfig(c, k, o)
	if err != nil {
		return nil, err
	}
	db, err := store.OpenReader(ctx, sc)
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
	// Everything unfinished is in one directory beside the file, for its owner
	// alone, and goes with it.
	dir, err := os.MkdirTemp(filepath.Dir(b.To), ".holdfast-backup-")
	if err != nil {
		return nil, diskError(err, "backup %s", b.To)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	w := &backupWriter{dir: dir, db: db, blobs: blobs, options: b}
	h := backup.Header{Format: backup.Format, Origin: k.Ledger.Name(), LedgerKey: k.LedgerKey, Made: evidence.FormatTime(o.Now()),
		Engine: string(db.Engine()), Keys: sealed != nil, Copied: !b.ListOnly}
	file := filepath.Join(dir, "backup")
	if err := w.write(ctx, &h, file, sealed); err != nil {
		return nil, diskErrorIn(err, "backup %s", b.To)
	}
	if err := new(staged).check(ctx, file, filepath.Join(dir, "check"), o, nil); err != nil {
		return nil, fmt.Errorf("the backup was written and does not hold: %w", err)
	}
	if err := os.Link(file, b.To); err != nil { // where a rename would replace
		return nil, diskError(err, "backup %s", b.To)
	}
	return &h, syncDir(filepath.Dir(b.To))
}

// diskErrorIn gives a code to an error that has none.
func diskErrorIn(err error, format string, args ...any) error {
	if escrow.CodeOf(err) != escrow.Internal || errors.Is(err, context.Canceled) {
		return err
	}
	return diskError(err, format, args...)
}

type backupWriter struct {
	dir     string
	db      *store.DB
	blobs   blob.Store
	options BackupOptions
}

func (w *backupWriter) write(ctx context.Context, h *backup.Header, file string, sealed []byte) (err error) {
	state, err := os.OpenFile(filepath.Join(w.dir, "database"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer state.Close()
	objects, err := w.dump(ctx, h, state)
	if err != nil {
		return err
	}
	size, err := state.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = state.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	a := backup.NewWriter(out)
	if err := errors.Join(a.Header(*h), a.Database(state, size)); err != nil {
		return err
	}
	if sealed != nil {
		if err := a.Keys(sealed); err != nil {
			return err
		}
	}
	if err := a.List(objects); err != nil {
		return err
	}
	if h.Copied {
		if err := w.copy(ctx, a, h.Bytes, objects); err != nil {
			return err
		}
	}
	if err := a.Close(); err != nil {
		return err
	}
	return out.Sync()
}

// dump writes the state and lists the objects it names, of the same moment.
func (w *backupWriter) dump(ctx context.Context, h *backup.Header, out io.Writer) ([]backup.Object, error) {
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	at, err := w.db.Dump(ctx, z, func(tx *store.Tx) error {
		return tx.EachObject(ctx, func(name string, size int64) error {
			if old, seen := sizes[name]; !seen || old < 0 {
				sizes[name] = size
			}
			return nil
		})
	})
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, err
	}
	h.Size, h.Root = at.Size, at.Root.String()
	var list []backup.Object
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		o := backup.Object{Name: name, Size: sizes[name]}
		if o.Size < 0 {
			if o.Size, err = w.blobs.Stat(ctx, name); err != nil {
				return nil, err
			}
		}
		list = append(list, o)
		h.Objects++
		h.Bytes += o.Size
	}
	return list, nil
}

func (w *backupWriter) copy(ctx context.Context, a *backup.Writer, total int64, objects []backup.Object) error {
	var done int64
	for _, o := range objects {
		r, err := w.blobs.Open(ctx, o.Name)
		if err != nil {
			return err
		}
		err = a.Object(o, io.NewSectionReader(r, 0, r.Size()))
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		done += o.Size
		if w.options.Progress != nil {
			w.options.Progress(done, total)
		}
	}
	return nil
}

// sealKeys seals the key files to the operator's recipients.
func sealKeys(dir, recipients string) ([]byte, error) {
	if recipients == "" {
		return nil, nil
	}
	to, err := age.ParseRecipients(strings.NewReader(recipients))
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "the recipient of the keys cannot be read: %w", err).
			WithHint("give an age recipient, age1…, as 'age-keygen' or 'holdfast key new' shows it")
	}
	keys := map[string]string{}
	for _, name := range keyFiles() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, keyFileError(err, filepath.Join(dir, name))
		}
		keys[name] = string(data)
	}
	var out strings.Builder
	w, err := age.Encrypt(&out, to...)
	if err == nil {
		err = errors.Join(json.NewEncoder(w).Encode(keys), w.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("seal the keys: %w", err)
	}
	return []byte(out.String()), nil
}

// openKeys is the inverse of sealKeys.
func openKeys(sealed []byte, identities string) (map[string]string, error) {
	with, err := age.ParseIdentities(strings.NewReader(identities))
	if err != nil { // the parser may quote the line
		return nil, escrow.Errorf(escrow.Invalid, "the identity that opens the keys is not an age identity file")
	}
	r, err := age.Decrypt(strings.NewReader(string(sealed)), with...)
	if noMatch, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, escrow.Wrap(noMatch, escrow.WrongKey, "the keys in the backup are sealed to another recipient").
			WithHint("give the identity of the recipient that the backup was made for")
	}
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Damaged, "the keys in the backup cannot be opened")
	}
	keys := map[string]string{}
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&keys); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "the keys in the backup are not what a backup holds")
	}
	names := slices.Sorted(maps.Keys(keys))
	if want := slices.Sorted(slices.Values(keyFiles())); !slices.Equal(names, want) {
		return nil, escrow.Errorf(escrow.Invalid, "the keys in the backup are %s, want %s", strings.Join(names, ", "), strings.Join(want, ", "))
	}
	return keys, nil
}

// staged is a backup that was checked and put in a directory.
type staged struct {
	backup.Header
	sealed []byte // keys

	pins   []evidence.Pin            // that the ledger in it must contain, if it is long enough
	accept func(backup.Header) error // may refuse the backup by what it says it is
}

// check reads a backup from end to end and holds its state against the ledger
// in it. The state goes into a SQLite database in dir, which it makes, and each
// object to keep, if that is not nil.
func (s *staged) check(ctx context.Context, path, dir string, o Options, keep func(backup.Object, io.Reader) error) error {
	in, err := os.Open(path)
	if err != nil {
		return diskError(err, "backup %s", path)
	}
	defer in.Close()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return diskError(err, "%s", dir)
	}
	_, err = backup.Read(ctx, in, backup.Target{
		Header: func(h backup.Header) error {
			s.Header = h
			if s.accept != nil {
				return s.accept(h)
			}
			return nil
		},
		Database: func(r io.Reader) error {
			return s.load(ctx, store.Config{Path: filepath.Join(dir, filepath.Base(config.Config{}.SQLitePath())), Now: o.Now, Rand: o.Random}, r)
		},
		Keys:   func(sealed []byte) error { s.sealed = sealed; return nil },
		Object: keep,
	})
	return err
}

// load fills a database with the state in a backup, proved.
func (s *staged) load(ctx context.Context, sc store.Config, r io.Reader) error {
	policy, err := evidence.NewPolicy(s.LedgerKey, nil, 0)
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "the backup's ledger key cannot be read")
	}
	root, err := tlog.ParseHash(s.Root)
	if err != nil || policy.Log.Name() != s.Origin {
		return escrow.Errorf(escrow.Invalid, "the backup's root or origin cannot be read")
	}
	if sc.Signer == nil { // nothing is signed, so a key that nobody keeps will do
		private, _, err := note.GenerateKey(sc.Rand, s.Origin)
		if err == nil {
			sc.Signer, err = note.NewSigner(private)
		}
		if err != nil {
			return fmt.Errorf("open the state in the backup: %w", err)
		}
	}
	var pins []evidence.Pin
	for _, p := range s.pins {
		if p.Size <= s.Size {
			pins = append(pins, p)
		}
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	source := &reading{r: z}
	_, err = store.Load(ctx, sc, source, evidence.Checkpoint{Origin: s.Origin, Size: s.Size, Root: root}, ledger.VerifyOptions{Policy: policy, Pins: pins})
	if err != nil && ctx.Err() == nil && (source.err != nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		err = escrow.Wrap(err, escrow.Damaged, "the state in the backup is damaged").WithHint("take another backup")
	}
	return err
}
