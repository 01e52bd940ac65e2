// Package restic lets stock restic write its repository into the vault: REST
// protocol, version 2, append-only. It may import evidence, escrow and blob.
//
// Protocol: https://restic.readthedocs.io/en/stable/REST_backend.html
//
// A file of a repository is ciphertext and named by the SHA-256 of its bytes,
// all but the config, so it is an object of the vault as it is. Nothing is
// ever overwritten, and nothing but a lock is deleted. A snapshot, which
// restic uploads last, asks for a deposit of everything that arrived.
package restic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"time"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

// Tx is the state that a repository is kept in.
type Tx interface {
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error)
	LastFull(ctx context.Context, arrangement, module string) (number, epoch int, err error)
	Setting(ctx context.Context, name string) (string, error)
	PutSetting(ctx context.Context, name, value string) error
	ObjectElsewhere(ctx context.Context, arrangement, module string, names []string) (string, error)
	DestroyedObject(ctx context.Context, names []string) (string, error)
	ResticUsage(ctx context.Context, arrangement, module string) (escrow.ResticUsage, error)
	ResticFile(ctx context.Context, arrangement, module string, kind escrow.ResticKind, name string) (escrow.ResticFile, error)
	ResticFiles(ctx context.Context, arrangement, module string, kind escrow.ResticKind, after string, limit int) ([]escrow.ResticFile, error)
	ResticSnapshotsWaiting(ctx context.Context, arrangement, module string, chain int) (int, error)
	PutResticFile(ctx context.Context, f escrow.ResticFile, quota int64) (fresh bool, err error)
	DropResticKeys(ctx context.Context, arrangement, module string) error
	ResticLocks(ctx context.Context, arrangement, module string) ([]escrow.ResticLock, error)
	PutResticLock(ctx context.Context, arrangement, module string, l escrow.ResticLock, limit int) error
	DeleteResticLock(ctx context.Context, arrangement, module, name string) error
}

// Config is what repositories work with.
type Config struct {
	DB escrow.Database[Tx]
	// Objects is where what an actor uploads for a module is kept.
	Objects func(m escrow.Module, by escrow.Actor) blob.Store
	// Arrived asks, inside the transaction that lists a snapshot, for a
	// deposit of what the module holds, and returns the act that says so.
	Arrived func(ctx context.Context, tx Tx, m escrow.Module, by escrow.Actor, snapshot string) (escrow.Act, error)
	Now     func() time.Time
	Quota   int64 // bytes of a module that has none of its own; 0 for none
	MaxFile int64 // bytes of one file
}

// Repositories keeps the restic repositories of an installation.
type Repositories struct{ Config }

// New returns the repositories over c.
func New(c Config) *Repositories { return &Repositories{c} }

// Locks are small and few, whatever a client does.
const (
	maxLock  = 64 << 10
	maxLocks = 1000
)

// configName is what restic calls the one file that is not named by its bytes.
const configName = "config"

// open refuses to take anything before the password is sealed to whoever may
// open the module: what nobody could ever read is no deposit.
func open(ctx context.Context, tx Tx, m escrow.Module) error {
	chain, epoch, err := tx.LastFull(ctx, m.Arrangement, m.ID)
	if err != nil {
		return err
	}
	epochs, err := tx.Epochs(ctx, m.Arrangement, m.Compartment)
	if err != nil {
		return err
	}
	active := 0
	for _, e := range epochs {
		if e.State == escrow.EpochActive {
			active = e.Number
		}
	}
	switch {
	case active == 0:
		return escrow.Errorf(escrow.Forbidden, "compartment %s has no active key: nothing is taken into module %s", m.Compartment, m.ID).
			WithHint("run a key ceremony first: holdfast ceremony deal")
	case chain == 0:
		return escrow.Errorf(escrow.Forbidden, "the password of the repository of module %s is not deposited yet", m.ID).
			WithHint("run 'holdfast deposit restic init' first")
	case epoch != active:
		return escrow.Errorf(escrow.Forbidden, "the password of the repository of module %s is sealed to epoch %d, but epoch %d is active", m.ID, epoch, active).
			WithHint("run 'holdfast deposit restic init' again with the same password file: it seals the password to the new key")
	}
	return nil
}

// Ready reports whether the module takes files now.
func (r *Repositories) Ready(ctx context.Context, m escrow.Module) error {
	return r.DB.View(ctx, func(tx Tx) error { return open(ctx, tx, m) })
}

// Put takes a file in. length is what the sender announced, −1 if nothing.
func (r *Repositories) Put(ctx context.Context, m escrow.Module, by escrow.Actor, kind escrow.ResticKind, name string, body io.Reader, length int64) error {
	var quota int64
	var old escrow.ResticFile
	err := r.DB.View(ctx, func(tx Tx) error {
		if err := open(ctx, tx, m); err != nil {
			return err
		}
		usage, err := r.usage(ctx, tx, m)
		if err != nil {
			return err
		}
		quota = usage.Quota
		if old, err = tx.ResticFile(ctx, m.Arrangement, m.ID, kind, name); err == nil || escrow.CodeOf(err) != escrow.NotFound {
			return err
		}
		if quota > 0 && usage.Bytes+max(length, 0) > quota {
			return overQuota(m, usage)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case length > r.MaxFile:
		return r.tooLarge(kind, name)
	case old.Name != "":
		return r.again(ctx, m, by, old, body)
	}
	size, object, err := r.store(ctx, m, by, kind, name, body)
	if err != nil {
		return err
	}
	f := escrow.ResticFile{Arrangement: m.Arrangement, Module: m.ID, Kind: kind, Name: name, Object: object, Size: size, ReceivedAt: r.Now().UTC().Truncate(time.Microsecond)}
	return r.list(ctx, m, by, f, quota)
}

func overQuota(m escrow.Module, u escrow.ResticUsage) error {
	return escrow.Errorf(escrow.Full, "module %s holds %d bytes, its quota is %d", m.ID, u.Bytes, u.Quota).
		WithHint("the administrator raises it with 'holdfast module restic --quota'")
}

func (r *Repositories) tooLarge(kind escrow.ResticKind, name string) error {
	return escrow.Errorf(escrow.Full, "%s/%s is larger than the %d bytes that are taken here", kind, name, r.MaxFile)
}

// again looks at a file that is there already. The same bytes are success,
// since an answer may have been lost; other bytes never take their place.
func (r *Repositories) again(ctx context.Context, m escrow.Module, by escrow.Actor, old escrow.ResticFile, body io.Reader) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(body, r.MaxFile)); err != nil {
		return brokeOff(err, old.Kind, old.Name)
	}
	if hex.EncodeToString(sum.Sum(nil)) != old.Object || old.Kind == escrow.ResticConfig {
		return escrow.Errorf(escrow.Forbidden, "%s/%s is there already and is not overwritten", old.Kind, old.Name)
	}
	if old.Kind != escrow.ResticSnapshots {
		return nil
	}
	return r.list(ctx, m, by, old, 0)
}

// store makes the bytes durable as an object. Bytes that do not hash to the
// name are refused before anything has that name.
func (r *Repositories) store(ctx context.Context, m escrow.Module, by escrow.Actor, kind escrow.ResticKind, name string, body io.Reader) (size int64, object string, err error) {
	w, err := r.Objects(m, by).Create(ctx)
	if err != nil {
		return 0, "", err
	}
	defer w.Abort()
	sum := sha256.New()
	upload := &arriving{r: io.LimitReader(body, r.MaxFile+1)}
	n, err := io.Copy(io.MultiWriter(w, sum), upload)
	got := hex.EncodeToString(sum.Sum(nil))
	switch {
	case upload.err != nil:
		return 0, "", brokeOff(err, kind, name)
	case err != nil:
		return 0, "", err
	case n > r.MaxFile:
		return 0, "", r.tooLarge(kind, name)
	case n == 0:
		return 0, "", escrow.Errorf(escrow.Invalid, "%s/%s is empty", kind, name)
	case name != got && kind != escrow.ResticConfig:
		return 0, "", escrow.Errorf(escrow.Invalid, "the bytes sent for %s/%s hash to %s", kind, name, got).WithHint("send it again; nothing was stored")
	}
	object, size, err = w.Commit(ctx)
	return size, object, err
}

func brokeOff(err error, kind escrow.ResticKind, name string) error {
	return escrow.Wrap(err, escrow.Invalid, "upload of %s/%s broke off", kind, name).WithHint("send it again; nothing was stored")
}

// arriving remembers that it was the upload that failed, and not the store.
type arriving struct {
	r   io.Reader
	err error
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		a.err = err
	}
	return n, err
}

// list makes a durable file part of the repository. The whole rule is looked
// at once more: the module may have moved on while the bytes came.
func (r *Repositories) list(ctx context.Context, m escrow.Module, by escrow.Actor, f escrow.ResticFile, quota int64) error {
	_, err := r.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if err := open(ctx, tx, m); err != nil {
			return nil, err
		}
		elsewhere, err := tx.ObjectElsewhere(ctx, m.Arrangement, m.ID, []string{f.Object})
		if err != nil {
			return nil, err
		}
		if elsewhere != "" {
			return nil, escrow.Errorf(escrow.Forbidden, "%s/%s cannot be taken into module %s: its bytes are somebody else's", f.Kind, f.Name, m.ID)
		}
		if gone, err := tx.DestroyedObject(ctx, []string{f.Object}); err != nil {
			return nil, err
		} else if gone != "" {
			return nil, destroyed(f.Kind, f.Name, escrow.Forbidden).
				WithHint("it does not come back: run restic against a new module, or 'restic repair' and deposit again")
		}
		if f.Kind == escrow.ResticKeys {
			// What a broken-off init left would answer to the same password
			// with another master key: every later error would look like damage.
			if err := tx.DropResticKeys(ctx, m.Arrangement, m.ID); err != nil {
				return nil, err
			}
		}
		fresh, err := tx.PutResticFile(ctx, f, quota)
		if escrow.CodeOf(err) == escrow.Conflict {
			err = escrow.Errorf(escrow.Forbidden, "%w", err)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case f.Kind == escrow.ResticConfig && fresh:
			return []escrow.Act{{Kind: "restic.created", At: f.ReceivedAt, Actor: by.String(), Arrangement: m.Arrangement, Subject: m.ID,
				Data: map[string]string{"config": f.Object}}}, nil
		case f.Kind != escrow.ResticSnapshots:
			return nil, nil
		}
		if !fresh { // its answer was lost; is it in a deposit?
			chain, _, err := tx.LastFull(ctx, m.Arrangement, m.ID)
			if err != nil {
				return nil, err
			}
			if n, err := tx.ResticSnapshotsWaiting(ctx, m.Arrangement, m.ID, chain); err != nil || n == 0 {
				return nil, err
			}
		}
		act, err := r.Arrived(ctx, tx, m, by, f.Name)
		return []escrow.Act{act}, err
	})
	return err
}

// destroyed says that a file is not lost, but was given up on purpose.
func destroyed(kind escrow.ResticKind, name string, code escrow.Code) *escrow.Error {
	return escrow.Errorf(code, "%s/%s was destroyed by the decision of two people", kind, name)
}

// File opens the bytes of a file.
func (r *Repositories) File(ctx context.Context, m escrow.Module, by escrow.Actor, kind escrow.ResticKind, name string) (blob.Reader, error) {
	var f escrow.ResticFile
	err := r.DB.View(ctx, func(tx Tx) (err error) {
		f, err = tx.ResticFile(ctx, m.Arrangement, m.ID, kind, name)
		if escrow.CodeOf(err) != escrow.NotFound || kind == escrow.ResticConfig {
			return err
		}
		switch gone, gerr := tx.DestroyedObject(ctx, []string{name}); {
		case gerr != nil:
			return gerr
		case gone != "":
			return destroyed(kind, name, escrow.NotFound).
				WithHint("'holdfast destroy list' says which decision; snapshots that need it went with it")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.Objects(m, by).Open(ctx, f.Object)
}

// listAtOnce bounds how many rows are read at a time.
const listAtOnce = 5000

// List calls fn for each file of a kind in the order of their names.
func (r *Repositories) List(ctx context.Context, m escrow.Module, kind escrow.ResticKind, fn func(name string, size int64) error) error {
	for after := ""; ; {
		var page []escrow.ResticFile
		err := r.DB.View(ctx, func(tx Tx) (err error) {
			page, err = tx.ResticFiles(ctx, m.Arrangement, m.ID, kind, after, listAtOnce)
			return err
		})
		if err != nil {
			return err
		}
		for _, f := range page {
			if err := fn(f.Name, f.Size); err != nil {
				return err
			}
			after = f.Name
		}
		if len(page) < listAtOnce {
			return nil
		}
	}
}

// PutLock takes a lock. It needs no key: a reader locks too.
func (r *Repositories) PutLock(ctx context.Context, m escrow.Module, name string, body io.Reader) error {
	content, err := io.ReadAll(io.LimitReader(body, maxLock+1))
	if err != nil {
		return brokeOff(err, "locks", name)
	}
	sum := sha256.Sum256(content)
	switch got := hex.EncodeToString(sum[:]); {
	case len(content) > maxLock:
		return escrow.Errorf(escrow.Full, "a lock has at most %d bytes", maxLock)
	case len(content) == 0, got != name:
		return escrow.Errorf(escrow.Invalid, "the bytes sent for locks/%s hash to %s", name, got)
	}
	_, err = r.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		return nil, tx.PutResticLock(ctx, m.Arrangement, m.ID, escrow.ResticLock{Name: name, Content: content, ReceivedAt: r.Now()}, maxLocks)
	})
	return err
}

// Locks returns the locks that are held.
func (r *Repositories) Locks(ctx context.Context, m escrow.Module) ([]escrow.ResticLock, error) {
	var list []escrow.ResticLock
	err := r.DB.View(ctx, func(tx Tx) (err error) {
		list, err = tx.ResticLocks(ctx, m.Arrangement, m.ID)
		return err
	})
	return list, err
}

// DeleteLock gives a lock up.
func (r *Repositories) DeleteLock(ctx context.Context, m escrow.Module, name string) error {
	_, err := r.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		return nil, tx.DeleteResticLock(ctx, m.Arrangement, m.ID, name)
	})
	return err
}

func quotaSetting(m escrow.Module) string { return "restic quota " + m.Arrangement + " " + m.ID }

func (r *Repositories) usage(ctx context.Context, tx Tx, m escrow.Module) (escrow.ResticUsage, error) {
	u, err := tx.ResticUsage(ctx, m.Arrangement, m.ID)
	if err != nil {
		return u, err
	}
	u.Quota = r.Quota
	text, err := tx.Setting(ctx, quotaSetting(m))
	if escrow.CodeOf(err) == escrow.NotFound {
		return u, nil
	}
	if err != nil {
		return u, err
	}
	u.Quota, err = strconv.ParseInt(text, 10, 64)
	return u, err
}

// Usage returns how much the module's repository holds, and its quota.
func (r *Repositories) Usage(ctx context.Context, m escrow.Module) (escrow.ResticUsage, error) {
	var u escrow.ResticUsage
	err := r.DB.View(ctx, func(tx Tx) (err error) {
		u, err = r.usage(ctx, tx, m)
		return err
	})
	return u, err
}

// SetQuota bounds the bytes of the module's repository; 0 lifts the bound.
func (r *Repositories) SetQuota(ctx context.Context, by escrow.Actor, m escrow.Module, bytes int64) error {
	if bytes < 0 {
		return escrow.Errorf(escrow.Invalid, "a quota of %d bytes", bytes)
	}
	_, err := r.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if err := tx.PutSetting(ctx, quotaSetting(m), strconv.FormatInt(bytes, 10)); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "restic.quota", Actor: by.String(), Arrangement: m.Arrangement, Subject: m.ID, Data: map[string]int64{"bytes": bytes}}}, nil
	})
	return err
}
