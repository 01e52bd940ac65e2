package server

import (
	"context"
	"errors"
	"io"

	"holdfast/internal/blob"
	"holdfast/internal/blob/partial"
	"holdfast/internal/escrow"
	"holdfast/internal/release"
	"holdfast/internal/store"
	"holdfast/internal/web/api"
)

// objects moves sealed objects in and out for the API.
type objects struct {
	places   *locations
	db       *store.DB
	releases *release.Releases
	limit    int64 // bytes of one object
	uploads  *partial.Store
}

// Put implements api.Objects. The bytes count only when they are all there
// and hash to the name; until then nothing under that name exists. What has
// arrived of an upload that broke off is kept, so that it can go on.
func (o *objects) Put(ctx context.Context, actor escrow.Actor, arrangement, module, name string, part api.Part, body io.Reader) (api.Uploaded, error) {
	if err := blob.CheckName(name); err != nil {
		return api.Uploaded{}, err
	}
	if err := o.mayDeposit(ctx, actor, arrangement, module); err != nil {
		return api.Uploaded{}, err
	}
	if part.Total > o.limit {
		return api.Uploaded{}, o.tooLarge(name)
	}
	if part.Total > 0 {
		return o.putPart(ctx, actor.Party, arrangement, module, name, part, body)
	}
	w, err := o.places.forArrangement(arrangement, actor.Party).Receive(ctx, name)
	if err != nil {
		return api.Uploaded{}, err
	}
	defer w.Abort()
	upload := &reading{r: io.LimitReader(body, o.limit+1)}
	n, err := io.Copy(w, upload)
	switch {
	case upload.err != nil:
		o.keep(arrangement, module, name, io.NewSectionReader(w, 0, n))
		return api.Uploaded{}, endedEarly(upload.err, name, n)
	case err != nil:
		return api.Uploaded{}, err
	case n > o.limit:
		return api.Uploaded{}, o.tooLarge(name)
	}
	return commit(ctx, w)
}

func (o *objects) tooLarge(name string) error {
	return escrow.Errorf(escrow.Full, "object %s is larger than the %d bytes that are taken here", name, o.limit)
}

func endedEarly(err error, name string, n int64) error {
	return escrow.Wrap(err, escrow.Invalid, "upload of %s ended after %d bytes", name, n).
		WithHint("nothing was acknowledged; ask for the upload's offset and go on there, or send it again")
}

func commit(ctx context.Context, w blob.Writer) (api.Uploaded, error) {
	_, size, err := w.Commit(ctx)
	return api.Uploaded{Size: size, Offset: size, Done: true}, err
}

// keep saves what arrived of an upload. It is a kindness: whatever goes wrong
// here, the upload can start again.
func (o *objects) keep(arrangement, module, name string, arrived io.Reader) {
	up, err := o.uploads.Take(arrangement, module, name)
	if err != nil {
		return
	}
	defer up.Close()
	if up.Cut(0) == nil {
		_, _ = up.Append(arrived)
	}
}

// putPart adds a part to what has arrived of an object. The last part makes
// the object, if all of it hashes to its name.
func (o *objects) putPart(ctx context.Context, party, arrangement, module, name string, part api.Part, body io.Reader) (api.Uploaded, error) {
	if size, err := o.places.blobs.Stat(ctx, name); err == nil { // repeated after its answer was lost
		return api.Uploaded{Size: size, Offset: size, Done: true}, nil
	} else if escrow.CodeOf(err) != escrow.Missing {
		return api.Uploaded{}, err
	}
	up, err := o.uploads.Take(arrangement, module, name)
	if err != nil {
		return api.Uploaded{}, err
	}
	defer up.Close()
	if up.Size() != part.From {
		return api.Uploaded{}, escrow.Errorf(escrow.Conflict, "the upload of %s stands at byte %d, not %d", name, up.Size(), part.From).
			WithHint("go on at byte %d", up.Size())
	}
	upload := &reading{r: io.LimitReader(body, part.To-part.From+2)}
	n, err := up.Append(upload)
	switch {
	case upload.err != nil:
		return api.Uploaded{}, endedEarly(upload.err, name, up.Size())
	case err != nil:
		return api.Uploaded{}, escrow.Wrap(err, escrow.Full, "upload of %s", name).WithHint("the server's disk does not take it; nothing was acknowledged")
	case n > part.To-part.From+1:
		return api.Uploaded{}, errors.Join(escrow.Errorf(escrow.Invalid, "more bytes were sent for object %s than the range says", name), up.Cut(part.From))
	case up.Size() < part.Total:
		return api.Uploaded{Offset: up.Size()}, nil
	}
	w, err := o.places.forArrangement(arrangement, party).Receive(ctx, name)
	if err != nil {
		return api.Uploaded{}, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, up.Content()); err != nil {
		return api.Uploaded{}, err
	}
	out, err := commit(ctx, w)
	if err == nil || escrow.CodeOf(err) == escrow.Invalid { // whole, or of no use
		err = errors.Join(err, up.Drop())
	}
	return out, err
}

// Upload implements api.Objects.
func (o *objects) Upload(ctx context.Context, actor escrow.Actor, arrangement, module, name string) (api.Uploaded, error) {
	size, err := o.Stat(ctx, actor, arrangement, module, name)
	switch {
	case err == nil:
		return api.Uploaded{Size: size, Offset: size, Done: true}, nil
	case escrow.CodeOf(err) != escrow.Missing:
		return api.Uploaded{}, err
	}
	offset, err := o.uploads.Offset(arrangement, module, name)
	return api.Uploaded{Offset: offset}, err
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

// reading remembers that it was the source that failed, and not what its bytes
// were for: an upload, which is the depositor's to mend, or a backup, which is
// damaged.
type reading struct {
	r   io.Reader
	err error
}

func (a *reading) Read(p []byte) (int, error) {
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
	return o.places.blobs.Stat(ctx, name)
}

// Fetch implements api.Objects.
func (o *objects) Fetch(ctx context.Context, actor escrow.Actor, arrangement, name string) (api.Content, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	if err := o.releases.MayFetch(ctx, actor, arrangement, name); err != nil {
		return nil, err
	}
	return o.places.blobs.Open(ctx, name)
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
	return o.places.blobs.Open(ctx, s.State)
}
