package deposit

import (
	"context"
	"io"
	"slices"
	"sync/atomic"

	"filippo.io/age"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
	"holdfast/internal/seal"
	"holdfast/internal/vault"
)

// memory is what a maker keeps between deposits, sealed to itself.
type memory struct {
	objects  blob.Store
	identity *age.HybridIdentity
	segments []*known.Segment // of the chain, once they were asked for
	open     []blob.Reader
	broken   atomic.Bool // something that was opened could not be read to its end
}

func (m *memory) close() {
	for _, r := range m.open {
		_ = r.Close() // only read from
	}
}

// plain opens a sealed object of the maker's own for reading at any offset.
func (m *memory) plain(ctx context.Context, name string) (io.ReaderAt, int64, error) {
	r, err := m.objects.Open(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	m.open = append(m.open, r)
	plain, size, err := seal.OpenAt(r, seal.OpenOptions{Name: "object " + name, Size: r.Size(), SealedTo: []string{m.identity.Recipient().String()}}, m.identity)
	return watched{plain, &m.broken}, size, err
}

// watched notes that a read failed, whoever asked and whatever becomes of the
// error on its way.
type watched struct {
	io.ReaderAt
	failed *atomic.Bool
}

func (w watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF {
		w.failed.Store(true)
	}
	return n, err
}

// state reads the last deposit's state. One that is gone or cannot be read
// makes the next deposit a full one: it costs a fetch, and loses nothing.
func (m *memory) state(ctx context.Context, base escrow.DepositBase) (*git.State, error) {
	r, size, err := m.plain(ctx, base.State.State)
	if lost(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, nil
	}
	s, err := git.ParseState(data)
	if err != nil {
		return nil, nil
	}
	return s, nil
}

// known opens the chain's sets of known ids, nil when one of them is lost. A
// chain without an object, of a source that was empty so far, has none.
func (m *memory) known(ctx context.Context, names []string, format object.Format) (git.Known, error) {
	for _, name := range names {
		r, size, err := m.plain(ctx, name)
		if lost(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		s, err := known.Open(r, size)
		if err != nil || s.Format() != format {
			return nil, nil
		}
		m.segments = append(m.segments, s)
	}
	return known.NewSet(m.segments...)
}

func lost(err error) bool {
	switch escrow.CodeOf(err) {
	case escrow.Missing, escrow.Damaged, escrow.WrongKey:
		return true
	}
	return false
}

// grow adds a deposit's ids to the chain's segments, merging small ones, and
// returns the names of all of them, the oldest first.
func (m *memory) grow(ctx context.Context, own *vault.Sealer, before []string, r *pack.Report) ([]string, error) {
	if r.IDs.Len() == 0 {
		return before, nil
	}
	var segments []*known.Segment
	if len(before) > 0 {
		segments = m.segments
	}
	sizes := make([]int, len(segments))
	for i, s := range segments {
		sizes[i] = s.Len()
	}
	keep := known.Keep(sizes, r.IDs.Len())
	ids, graph, err := known.Merge(segments[keep:], r.IDs, r.Graph)
	if err != nil {
		return nil, err
	}
	name, err := put(ctx, own, func(w io.Writer) error { return known.Write(w, ids, graph) })
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(before[:keep]), name), nil
}
