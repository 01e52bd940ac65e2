package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
	"holdfast/internal/release"
	"holdfast/internal/store"
	"holdfast/internal/web/api"
)

// objects moves sealed objects in and out for the API.
type objects struct {
	blobs    blob.Store
	db       *store.DB
	releases *release.Releases
	limit    int64 // bytes of one object
}

// Put implements api.Objects. The bytes count only when they are all there
// and hash to the name; until then nothing under that name exists.
func (o *objects) Put(ctx context.Context, actor escrow.Actor, arrangement, module, name string, body io.Reader) (int64, error) {
	if err := blob.CheckName(name); err != nil {
		return 0, err
	}
	if err := o.mayDeposit(ctx, actor, arrangement, module); err != nil {
		return 0, err
	}
	w, err := o.blobs.Create(ctx)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	sum := sha256.New()
	upload := &arriving{r: io.LimitReader(body, o.limit+1)}
	n, err := io.Copy(io.MultiWriter(w, sum), upload)
	switch {
	case upload.err != nil:
		return 0, escrow.Wrap(err, escrow.Invalid, "upload of %s ended after %d bytes", name, n).WithHint("send it again; nothing was stored")
	case err != nil:
		return 0, err
	case n > o.limit:
		return 0, escrow.Errorf(escrow.Full, "object %s is larger than the %d bytes that are taken here", name, o.limit)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != name {
		return 0, escrow.Errorf(escrow.Invalid, "the bytes sent for object %s hash to %s", name, got).WithHint("send it again; nothing was stored")
	}
	_, size, err := w.Commit(ctx)
	return size, err
}

func (o *objects) mayDeposit(ctx context.Context, actor escrow.Actor, arrangement, module string) error {
	return o.db.View(ctx, func(tx *store.Tx) error {
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil {
			return err
		}
		return escrow.MayDeposit(actor, m)
	})
}

// arriving remembers that it was the upload that failed, and not the store it
// was written to: only one of them is the depositor's to mend.
type arriving struct {
	r   io.Reader
	err error
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil && err != io.EOF {
		a.err = err
	}
	return n, err
}

// Stat implements api.Objects.
func (o *objects) Stat(ctx context.Context, actor escrow.Actor, arrangement, module, name string) (int64, error) {
	if err := blob.CheckName(name); err != nil {
		return 0, err
	}
	if err := o.mayDeposit(ctx, actor, arrangement, module); err != nil {
		return 0, err
	}
	return o.blobs.Stat(ctx, name)
}

// Fetch implements api.Objects.
func (o *objects) Fetch(ctx context.Context, actor escrow.Actor, arrangement, name string) (api.Content, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	if err := o.releases.MayFetch(ctx, actor, arrangement, name); err != nil {
		return nil, err
	}
	return o.blobs.Open(ctx, name)
}

// State implements api.Objects.
func (o *objects) State(ctx context.Context, actor escrow.Actor, arrangement, module string) (api.Content, error) {
	if err := o.mayDeposit(ctx, actor, arrangement, module); err != nil {
		return nil, err
	}
	var s escrow.SourceState
	err := o.db.View(ctx, func(tx *store.Tx) (err error) {
		s, err = tx.SourceState(ctx, arrangement, module)
		return err
	})
	if err != nil {
		return nil, err
	}
	return o.blobs.Open(ctx, s.State)
}
