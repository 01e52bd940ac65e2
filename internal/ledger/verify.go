package ledger

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Bounds of one page of [Verify], whichever is reached first.
const (
	pageRows  = 512
	pageBytes = 8 << 20
)

// VerifyOptions say what a stored ledger is held against.
type VerifyOptions struct {
	// Policy is whose signatures the stored checkpoints must carry. Its
	// Required does not apply to them: what a checkpoint lacks may still come.
	Policy evidence.Policy
	// Pins are states seen before and kept elsewhere. Without any, removing
	// the last entries together with every trace of them cannot be seen.
	Pins []evidence.Pin
}

// Report is what [Verify] found to hold.
type Report struct {
	Size        int64
	Root        tlog.Hash
	Erased      int64 // entries whose content was erased
	Tiles       int64
	Checkpoints int // stored ones
}

// Verify re-reads the whole ledger inside q, from the first entry to the
// last: every payload against its commitment, every commitment against its
// hash, every hash against the tiles, the head and the stored checkpoints,
// and those against the pins. It calls each, which may be nil, with every
// entry once that entry holds by itself; an error of each ends Verify.
//
// What does not hold is a Damaged error with an [*evidence.Fault] in its
// chain, which names the first entry concerned and what differs. q must see
// one state of the database throughout: a read transaction, on PostgreSQL a
// REPEATABLE READ one. The memory used does not grow with the ledger.
func Verify(ctx context.Context, q Tx, o VerifyOptions, each func(Entry) error) (*Report, error) {
	if o.Policy.Log == nil {
		return nil, escrow.Errorf(escrow.Internal, "ledger: verification without the ledger's key")
	}
	v := &verifier{tx: q, options: o}
	report, err := v.run(ctx, each)
	if fault, ok := errors.AsType[*evidence.Fault](err); ok {
		return nil, escrow.Errorf(escrow.Damaged, "%w", fault).
			WithHint("keep this database as it is, compare it with a backup, and look at who could write to it")
	}
	return report, err
}

type verifier struct {
	tx          Tx
	options     VerifyOptions
	audit       evidence.Audit
	want        []wanted                // ascending by size
	checkpoints int                     // stored ones
	badPoint    error                   // what the first bad checkpoint or pin is; entries are reported before it
	level       [tileLevels][]tlog.Hash // hashes of the tile being filled, per level
	tiles       [tileLevels]int64       // complete tiles per level
}

// tileLevels of height 8 reach every 63-bit size.
const tileLevels = 8

// wanted is a root the ledger must have had at a size, and who says so.
type wanted struct {
	evidence.Pin
	who string
}

func (v *verifier) run(ctx context.Context, each func(Entry) error) (*Report, error) {
	var size int64
	var edge []byte
	if err := v.tx.QueryRowContext(ctx, `SELECT size, edge FROM ledger_head WHERE id = 1`).Scan(&size, &edge); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, &evidence.Fault{Index: -1, What: "the head is not there"}
		}
		return nil, fmt.Errorf("ledger: read head: %w", err)
	}
	if err := v.readPoints(ctx); err != nil {
		return nil, err
	}
	if err := v.entries(ctx, each); err != nil {
		return nil, err
	}
	for _, check := range []func() error{
		func() error { return v.checkHead(size, edge) },
		v.checkErasures,
		v.checkWanted,
		func() error { return v.badPoint },
		func() error { return v.checkTileCount(ctx) },
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	r := &Report{Size: v.audit.Size(), Root: v.audit.Root(), Erased: v.audit.Erased(), Checkpoints: v.checkpoints}
	for _, n := range v.tiles {
		r.Tiles += n
	}
	return r, nil
}

// entries streams the leaves in pages, so that each may use the transaction.
func (v *verifier) entries(ctx context.Context, each func(Entry) error) error {
	if err := v.reached(); err != nil {
		return err
	}
	for {
		page, err := v.readPage(ctx, v.audit.Size())
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, row := range page {
			if err := v.checkLeaf(ctx, row); err != nil {
				return err
			}
			if each != nil {
				if err := each(row.Entry); err != nil {
					return err
				}
			}
		}
	}
}

// row is a row of ledger_leaf, as it is stored.
type row struct {
	Entry
	kind, arrangement sql.NullString
	atMicros          sql.NullInt64
	commitment, hash  []byte
}

func (v *verifier) readPage(ctx context.Context, from int64) ([]row, error) {
	rows, err := v.tx.QueryContext(ctx, `SELECT seq, kind, arrangement, at_us, payload, salt, commitment, hash
		FROM ledger_leaf WHERE seq >= $1 ORDER BY seq LIMIT $2`, from, pageRows)
	if err != nil {
		return nil, fmt.Errorf("ledger: read entries from %d: %w", from, err)
	}
	defer rows.Close()
	var page []row
	for size := 0; size < pageBytes && rows.Next(); {
		var r row
		if err := rows.Scan(&r.Index, &r.kind, &r.arrangement, &r.atMicros, &r.Payload, &r.Salt, &r.commitment, &r.hash); err != nil {
			return nil, fmt.Errorf("ledger: read entries from %d: %w", from, err)
		}
		page = append(page, r)
		size += len(r.Payload)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger: read entries from %d: %w", from, err)
	}
	return page, nil
}

func (v *verifier) checkLeaf(ctx context.Context, r row) error {
	index := v.audit.Size()
	fault := func(format string, args ...any) error {
		return &evidence.Fault{Index: index, What: fmt.Sprintf(format, args...)}
	}
	if r.Index != index {
		return fault("it is not there; the next entry in the database is %d", r.Index)
	}
	if len(r.commitment) != tlog.HashSize {
		return fault("the commitment has %d bytes, want %d", len(r.commitment), tlog.HashSize)
	}
	r.Commitment = [32]byte(r.commitment)
	hash := tlog.RecordHash(r.commitment)
	if !bytes.Equal(hash[:], r.hash) {
		return fault("the hash does not match the commitment")
	}
	act, err := v.audit.Add(r.Entry)
	if err != nil {
		return err
	}
	if err := r.checkColumns(act); err != nil {
		return fault("%v", err)
	}
	if err := v.fold(ctx, index, hash); err != nil {
		return err
	}
	return v.reached()
}

// checkColumns compares the columns drawn from the payload with it.
func (r row) checkColumns(a *evidence.Act) error {
	if a == nil {
		if r.kind.Valid || r.arrangement.Valid || r.atMicros.Valid {
			return errors.New("the content was erased and kind, arrangement or time were not")
		}
		return nil
	}
	switch {
	case r.kind.String != a.Kind || !r.kind.Valid:
		return fmt.Errorf("the kind column says %q and the payload %q", r.kind.String, a.Kind)
	case r.arrangement.String != a.Arrangement || !r.arrangement.Valid:
		return fmt.Errorf("the arrangement column says %q and the payload %q", r.arrangement.String, a.Arrangement)
	case !r.atMicros.Valid || evidence.FormatTime(time.UnixMicro(r.atMicros.Int64)) != a.At:
		return fmt.Errorf("the time column says %d and the payload %s", r.atMicros.Int64, a.At)
	}
	return nil
}

// fold collects the hashes of the tiles entry index is part of, and checks
// each tile it completes.
func (v *verifier) fold(ctx context.Context, index int64, hash tlog.Hash) error {
	for level := range v.level {
		v.level[level] = append(v.level[level], hash)
		if len(v.level[level]) < evidence.TileWidth {
			return nil
		}
		root, _ := v.audit.Frontier().Completed((level + 1) * evidence.TileHeight)
		n := index >> ((level + 1) * evidence.TileHeight)
		if err := v.checkTile(ctx, level, n, root); err != nil {
			return err
		}
		v.level[level] = v.level[level][:0]
		v.tiles[level]++
		hash = root
	}
	return nil
}

func (v *verifier) checkTile(ctx context.Context, level int, n int64, root tlog.Hash) error {
	t := tlog.Tile{H: evidence.TileHeight, L: level, N: n, W: evidence.TileWidth}
	span := int64(1) << (level * evidence.TileHeight) // entries under one hash
	first := n * evidence.TileWidth * span
	var hashes, stored []byte
	err := v.tx.QueryRowContext(ctx, `SELECT hashes, root FROM ledger_tile WHERE level = $1 AND n = $2`, level, n).Scan(&hashes, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return &evidence.Fault{Index: first, What: evidence.TilePath(t) + ", which begins with it, is not there"}
	}
	if err != nil {
		return fmt.Errorf("ledger: read %s: %w", evidence.TilePath(t), err)
	}
	for i, h := range v.level[level] {
		if at := i * tlog.HashSize; len(hashes) < at+tlog.HashSize || !bytes.Equal(hashes[at:at+tlog.HashSize], h[:]) {
			return &evidence.Fault{Index: first + int64(i)*span, What: evidence.TilePath(t) + " has another hash for it"}
		}
	}
	if len(hashes) != evidence.TileWidth*tlog.HashSize {
		return &evidence.Fault{Index: first, What: fmt.Sprintf("%s, which begins with it, has %d bytes", evidence.TilePath(t), len(hashes))}
	}
	if !bytes.Equal(stored, root[:]) {
		return &evidence.Fault{Index: first, What: evidence.TilePath(t) + ", which begins with it, has another root"}
	}
	return nil
}

// reached compares the root with every checkpoint and pin of this size.
func (v *verifier) reached() error {
	for len(v.want) > 0 && v.want[0].Size == v.audit.Size() {
		w := v.want[0]
		v.want = v.want[1:]
		if w.Size > 0 && w.Hash != v.audit.Root() {
			return &evidence.Fault{Index: -1, What: fmt.Sprintf("the first %d entries are each whole, but they are not the ones %s has: root %s, want %s",
				w.Size, w.who, v.audit.Root(), w.Hash)}
		}
	}
	return nil
}

func (v *verifier) checkHead(size int64, edge []byte) error {
	have := v.audit.Size()
	switch {
	case have < size:
		return &evidence.Fault{Index: have, What: fmt.Sprintf("it is not there; the head counts %d entries", size)}
	case have > size:
		return &evidence.Fault{Index: size, What: fmt.Sprintf("it follows the last entry; the head counts %d entries", size)}
	}
	want := v.audit.Frontier().Bytes()
	if bytes.Equal(edge, want) {
		return nil
	}
	if len(edge) != len(want) {
		return &evidence.Fault{Index: -1, What: fmt.Sprintf("the edge in the head has %d bytes, want %d", len(edge), len(want))}
	}
	// Each hash of the edge covers as many entries as the next bit of size.
	first := int64(0)
	for bit := 62; bit >= 0; bit-- {
		n := int64(1) << bit
		if size&n == 0 {
			continue
		}
		if !bytes.Equal(edge[:tlog.HashSize], want[:tlog.HashSize]) {
			return &evidence.Fault{Index: -1, What: fmt.Sprintf("the edge in the head has another hash for entries %d to %d", first, first+n-1)}
		}
		edge, want, first = edge[tlog.HashSize:], want[tlog.HashSize:], first+n
	}
	return nil
}

func (v *verifier) checkErasures() error {
	if gone := v.audit.Unexplained(); len(gone) > 0 {
		return &evidence.Fault{Index: gone[0], What: "its content is not there and no entry records its erasure"}
	}
	return nil
}

// checkWanted reports the checkpoints and pins beyond the last entry.
func (v *verifier) checkWanted() error {
	if len(v.want) == 0 {
		return nil
	}
	return &evidence.Fault{Index: v.audit.Size(), What: fmt.Sprintf("it is not there; %s has %d entries", v.want[0].who, v.want[0].Size)}
}

func (v *verifier) checkTileCount(ctx context.Context) error {
	rows, err := v.tx.QueryContext(ctx, `SELECT level, count(*) FROM ledger_tile GROUP BY level ORDER BY level`)
	if err != nil {
		return fmt.Errorf("ledger: count tiles: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var level int
		var n int64
		if err := rows.Scan(&level, &n); err != nil {
			return fmt.Errorf("ledger: count tiles: %w", err)
		}
		want := int64(0)
		if level >= 0 && level < tileLevels {
			want = v.tiles[level]
		}
		if n != want {
			return &evidence.Fault{Index: -1, What: fmt.Sprintf("level %d has %d tiles, the entries make up %d", level, n, want)}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: count tiles: %w", err)
	}
	return nil
}

// readPoints checks the stored checkpoints and the pins by themselves, and
// lists the roots to compare on the way. Of a checkpoint only its root is
// kept: every cosigned one is stored, so there may be many.
func (v *verifier) readPoints(ctx context.Context) error {
	rows, err := v.tx.QueryContext(ctx, `SELECT size, note, witnesses FROM ledger_checkpoint ORDER BY size`)
	if err != nil {
		return fmt.Errorf("ledger: read checkpoints: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var size, witnesses int64
		var signed []byte
		if err := rows.Scan(&size, &signed, &witnesses); err != nil {
			return fmt.Errorf("ledger: read checkpoints: %w", err)
		}
		who := fmt.Sprintf("the stored checkpoint of size %d", size)
		c, err := v.checkCheckpoint(size, signed, witnesses)
		if err != nil && v.badPoint == nil {
			v.badPoint = &evidence.Fault{Index: -1, What: who + ": " + err.Error()}
		}
		if err == nil {
			v.want = append(v.want, wanted{evidence.NewPin(c), who})
		}
		v.checkpoints++
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: read checkpoints: %w", err)
	}
	for _, p := range v.options.Pins {
		if origin := v.options.Policy.Log.Name(); p.Origin != origin && v.badPoint == nil {
			v.badPoint = &evidence.Fault{Index: -1, What: fmt.Sprintf("the pin of size %d is of another ledger, %s", p.Size, p.Origin)}
		}
		v.want = append(v.want, wanted{p, fmt.Sprintf("the pin of size %d", p.Size)})
	}
	slices.SortStableFunc(v.want, func(a, b wanted) int { return cmp.Compare(a.Size, b.Size) })
	return nil
}

func (v *verifier) checkCheckpoint(size int64, signed []byte, witnesses int64) (evidence.Checkpoint, error) {
	policy := v.options.Policy
	policy.Required = 0
	c, err := policy.Open(signed)
	if err != nil {
		return c, err
	}
	if c.Size != size {
		return c, fmt.Errorf("it states size %d", c.Size)
	}
	// Three lines of text, an empty one and the ledger's own signature.
	if n := int64(bytes.Count(signed, []byte("\n"))) - 5; n != witnesses {
		return c, fmt.Errorf("it has %d cosignatures, recorded are %d", n, witnesses)
	}
	return c, nil
}
