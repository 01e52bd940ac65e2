package server

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/blob/replica"
	"holdfast/internal/blob/s3"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
)

// driver opens a location when it is first needed and again when it has been
// away: a disk that is not mounted or a service that is down must not keep the
// server from starting.
type driver struct {
	open func(ctx context.Context) (replica.Driver, error)

	mu    sync.Mutex
	inner replica.Driver
}

var _ replica.Driver = (*driver)(nil)

func (d *driver) get(ctx context.Context) (replica.Driver, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inner == nil {
		opened, err := d.open(ctx)
		if err != nil {
			return nil, err
		}
		d.inner = opened
	}
	return d.inner, nil
}

func (d *driver) Open(ctx context.Context, name string) (blob.Reader, error) {
	in, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	return in.Open(ctx, name)
}

func (d *driver) Stat(ctx context.Context, name string) (int64, error) {
	in, err := d.get(ctx)
	if err != nil {
		return 0, err
	}
	return in.Stat(ctx, name)
}

func (d *driver) List(ctx context.Context, fn func(name string, size int64) error) error {
	in, err := d.get(ctx)
	if err != nil {
		return err
	}
	return in.List(ctx, fn)
}

func (d *driver) Delete(ctx context.Context, name string) error {
	in, err := d.get(ctx)
	if err != nil {
		return err
	}
	return in.Delete(ctx, name)
}

func (d *driver) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	in, err := d.get(ctx)
	if err != nil {
		return err
	}
	return in.Put(ctx, name, size, r)
}

func (d *driver) Replace(ctx context.Context, name string, size int64, r io.Reader) error {
	in, err := d.get(ctx)
	if err != nil {
		return err
	}
	return in.Replace(ctx, name, size, r)
}

func (d *driver) Probe(ctx context.Context) error {
	in, err := d.get(ctx)
	if err != nil {
		return err
	}
	return in.Probe(ctx)
}

// Renew extends the lock of an object where the location has locks.
func (d *driver) Renew(ctx context.Context, name string) error {
	in, err := d.get(ctx)
	if err != nil {
		return err
	}
	if r, ok := in.(interface {
		Renew(ctx context.Context, name string) error
	}); ok {
		return r.Renew(ctx, name)
	}
	return nil
}

// localDriver takes bytes while they arrive.
type localDriver struct{ driver }

func (d *localDriver) Stream(ctx context.Context) (blob.Stream, error) {
	in, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	local, ok := in.(blob.Streamer)
	if !ok {
		return nil, errors.New("a location that was local is not any more")
	}
	return local.Stream(ctx)
}

// marker names the directory by which a file location is known again. It is a
// directory, so that nothing but objects is a file there.
const marker = "location."

// directory is a file store that was found to be the location it should be.
type directory struct {
	*file.Store
	dir, id string
}

// Probe looks for the marker again: a disk can be unmounted at any time.
func (d directory) Probe(ctx context.Context) error {
	if err := sameDirectory(d.dir, d.id, true); err != nil {
		return err
	}
	return d.Store.Probe(ctx)
}

// Stream looks for the marker before bytes are written below it.
func (d directory) Stream(ctx context.Context) (blob.Stream, error) {
	if err := sameDirectory(d.dir, d.id, true); err != nil {
		return nil, err
	}
	return d.Store.Stream(ctx)
}

// openDirectory opens a file location. holds says that objects are known to
// be there: a directory without any is then not the location but the empty
// mount point of a disk that is missing.
func openDirectory(ctx context.Context, l config.Location, holds func(ctx context.Context) (bool, error)) (replica.Driver, error) {
	known, err := holds(ctx)
	if err != nil {
		return nil, err
	}
	if known {
		if err := sameDirectory(l.Path, l.ID, !hasShards(l.Path)); err != nil {
			return nil, err
		}
	} else if err := sameDirectory(l.Path, l.ID, false); err != nil {
		return nil, err
	}
	s, err := file.Open(l.Path)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(l.Path, marker+l.ID), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, diskError(err, "%s", l.Path)
	}
	return directory{s, l.Path, l.ID}, nil
}

// sameDirectory compares the marker in a directory with the location's id.
func sameDirectory(dir, id string, must bool) error {
	list, err := filepath.Glob(filepath.Join(dir, marker+"*"))
	if err != nil {
		return err
	}
	for _, path := range list {
		if got := strings.TrimPrefix(filepath.Base(path), marker); got != id {
			return escrow.Errorf(escrow.Unavailable, "%s is the directory of location %s, not of %s", dir, got, id).
				WithHint("check what is mounted where, and the paths of the locations")
		}
	}
	if len(list) == 0 && must {
		return escrow.Errorf(escrow.Unavailable, "%s is not the directory that it was: it has no objects, though some are known to be there", dir).
			WithHint("is its disk mounted? If the objects are lost for good, make the directory %s; they are then copied there again", filepath.Join(dir, marker+id))
	}
	return nil
}

// hasShards reports whether a directory looks like one with objects.
func hasShards(dir string) bool {
	list, err := filepath.Glob(filepath.Join(dir, "[0-9a-f][0-9a-f]"))
	return err == nil && len(list) > 0
}

// driverOf prepares the driver of a location.
func driverOf(l config.Location, spool blob.Streamer, getenv func(string) string, now func() time.Time, holds func(ctx context.Context) (bool, error)) replica.Driver {
	if l.Kind == config.FileLocation {
		return &localDriver{driver{open: func(ctx context.Context) (replica.Driver, error) { return openDirectory(ctx, l, holds) }}}
	}
	return &driver{open: func(ctx context.Context) (replica.Driver, error) {
		s, err := s3.Open(ctx, s3.Options{Bucket: l.Bucket, Endpoint: l.Endpoint, Region: l.Region, Prefix: l.Prefix, Retain: time.Duration(l.Retain), Spool: spool, Now: now,
			Credentials: func() (s3.Access, error) {
				id, secret, session, err := l.Access(getenv)
				return s3.Access{KeyID: id, Secret: secret, Session: session}, err
			}})
		if err != nil {
			return nil, err
		}
		return s, nil
	}}
}
