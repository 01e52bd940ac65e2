package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/blob/file"
	"holdfast/internal/escrow"
)

// outbox is where sealed objects wait until the server has acknowledged the
// deposit they belong to. One that was named by the depositor survives an
// interruption: the next run hands in what waits there, as it was sealed and
// signed, before it makes anything new.
type outbox struct {
	*file.Store
	dir  string
	lock *file.DirLock // nil for a temporary one, which is removed at the end
}

func openOutbox(dir string) (*outbox, error) {
	o := &outbox{dir: dir}
	var err error
	if dir == "" {
		if o.dir, err = os.MkdirTemp("", "holdfast-outbox-"); err != nil {
			return nil, escrow.Errorf(escrow.Full, "an outbox for sealed objects: %w", err)
		}
	} else if o.lock, err = file.Lock(dir); err != nil {
		if escrow.CodeOf(err) == escrow.Conflict {
			return nil, escrow.Wrap(err, escrow.Conflict, "outbox").WithHint("another deposit is being made from it; wait for that, or name another --outbox")
		}
		return nil, err
	}
	if o.Store, err = file.Open(o.dir); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *outbox) close() {
	if o.lock == nil {
		_ = os.RemoveAll(o.dir) // ciphertext in the system's own temporary directory
		return
	}
	_ = o.lock.Unlock() // the process's end does the same
}

// waiting is a signed deposit whose objects lie in the outbox.
type waiting struct {
	Signed   client.Signed `json:"manifest"`
	manifest *evidence.DepositManifest
}

const waitingFiles = "waiting-*.json"

func (o *outbox) path(arrangement, module string) string {
	return filepath.Join(o.dir, "waiting-"+evidence.Digest([]byte(arrangement + "\n" + module))[:16]+".json")
}

// wait notes a deposit before its objects are uploaded.
func (o *outbox) wait(signed client.Signed, m *evidence.DepositManifest) error {
	if o.lock == nil {
		return nil
	}
	data, err := json.Marshal(waiting{Signed: signed})
	if err != nil {
		return err
	}
	return writeAtomically(o.path(m.Arrangement, m.Module), data)
}

// waits returns the deposit of a module that waits here with all its objects,
// nil when there is none.
func (o *outbox) waits(ctx context.Context, arrangement, module string) (*waiting, error) {
	path := o.path(arrangement, module)
	data, err := readFile(path, maxSigned)
	if escrow.CodeOf(err) == escrow.Missing {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w := &waiting{}
	if err := json.Unmarshal(data, w); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s is not what an interrupted deposit left: %w", path, err).WithHint("remove the file; the deposit is then made again")
	}
	if w.manifest, err = evidence.ParseDepositManifest([]byte(w.Signed.Document)); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s: %w", path, err).WithHint("remove the file; the deposit is then made again")
	}
	for _, name := range objectNames(w.manifest) {
		if _, err := o.Stat(ctx, name); escrow.CodeOf(err) == escrow.Missing {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	return w, nil
}

// objectNames lists everything a pushed deposit uploads.
func objectNames(m *evidence.DepositManifest) []string {
	var names []string
	for _, o := range m.Objects {
		names = append(names, o.Name)
	}
	if m.State != "" {
		names = append(names, m.State)
	}
	return names
}

// forget ends the waiting of a module's deposit.
func (o *outbox) forget(arrangement, module string) error {
	if err := os.Remove(o.path(arrangement, module)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	return nil
}

// sweep removes every object when no deposit waits for any.
func (o *outbox) sweep(ctx context.Context) error {
	waiting, err := filepath.Glob(filepath.Join(o.dir, waitingFiles))
	if err != nil || len(waiting) > 0 {
		return err
	}
	var names []string
	if err := o.List(ctx, func(name string, _ int64) error {
		names = append(names, name)
		return nil
	}); err != nil {
		return err
	}
	for _, name := range names {
		if err := o.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
