package replica

import (
	"context"

	"holdfast/internal/escrow"
)

// renewer is a driver whose locks end unless they are extended.
type renewer interface {
	Renew(ctx context.Context, name string) error
}

func (s *Store) inUse(id string) (*location, error) {
	l := s.location(id)
	if l == nil || l.State == Retired {
		return nil, escrow.Errorf(escrow.Unavailable, "location %s is not in use here", id)
	}
	return l, nil
}

// Verify reads the copy at a location to its end, at the location's bandwidth,
// and compares it with its name and size: Damaged and Missing are the copy's
// fault, every other error the location's. What was not known of the object's
// blocks is kept. A lock on it is extended where the location has locks.
func (s *Store) Verify(ctx context.Context, name, id string, size int64) error {
	l, err := s.inUse(id)
	if err != nil {
		return err
	}
	if err := l.request(ctx); err != nil {
		return err
	}
	b, err := l.Driver.Open(ctx, name)
	l.report(ctx, s.o.Now(), err)
	if err != nil {
		return l.at(err)
	}
	defer b.Close()
	if b.Size() != size {
		return l.at(escrow.Errorf(escrow.Damaged, "object %s has %d bytes instead of %d", name, b.Size(), size))
	}
	o, err := s.Inspect(ctx, id, b, name)
	l.report(ctx, s.o.Now(), err)
	if err != nil {
		return l.at(err)
	}
	known, _, err := s.o.Journal.Object(ctx, name)
	if err != nil {
		return err
	}
	if known.Name != "" && len(known.Tags) == 0 && size > 0 {
		if err := s.o.Journal.Adopt(ctx, o, id); err != nil {
			return err
		}
	}
	if r, ok := l.Driver.(renewer); ok {
		if err := r.Renew(ctx, name); err != nil {
			return l.at(err)
		}
	}
	return nil
}

// List walks what is at a location.
func (s *Store) List(ctx context.Context, id string, fn func(name string, size int64) error) error {
	l, err := s.inUse(id)
	if err != nil {
		return err
	}
	if err := l.request(ctx); err != nil {
		return err
	}
	err = l.Driver.List(ctx, fn)
	l.report(ctx, s.o.Now(), err)
	return l.at(err)
}
