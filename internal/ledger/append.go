package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

const (
	// insertRows bounds the rows of one INSERT. SQLite looks every $N up in a
	// list of those before it, so its time grows with the square of the rows.
	insertRows = 32
	leafFields = 8
)

// Append writes acts as the next entries of the ledger, in order, inside tx,
// and returns them. Call it last in the transaction: from its first statement
// to the commit no other transaction can append. The entries count only when
// tx commits. On PostgreSQL tx must be READ COMMITTED, the default: a stricter
// transaction that began before another's append would be refused.
func (l *Log) Append(ctx context.Context, tx Tx, acts ...Act) ([]Entry, error) {
	if len(acts) == 0 {
		return nil, escrow.Errorf(escrow.Internal, "ledger: a transaction without an act")
	}
	// Salts are drawn before the lock is taken.
	salts := make([]byte, len(acts)*evidence.SaltSize)
	if _, err := io.ReadFull(l.rand, salts); err != nil {
		return nil, fmt.Errorf("ledger: draw salts: %w", err)
	}
	acts = slices.Clone(acts)
	rendered, err := l.render(acts)
	if err != nil {
		return nil, err
	}

	first, frontier, err := lockHead(ctx, tx, int64(len(acts)))
	if err != nil {
		return nil, err
	}
	leaves := make([]leaf, len(acts))
	for i := range rendered {
		rendered[i].Index = first + int64(i)
		payload, err := rendered[i].Payload()
		if err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
		leaves[i] = newLeaf(rendered[i], acts[i].At, payload, salts[i*evidence.SaltSize:(i+1)*evidence.SaltSize])
	}
	for batch := range slices.Chunk(leaves, insertRows) {
		if err := insertLeaves(ctx, tx, batch); err != nil {
			return nil, err
		}
	}
	if err := growTree(ctx, tx, frontier, leaves); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE ledger_head SET edge = $1 WHERE id = 1`, frontier.Bytes()); err != nil {
		return nil, fmt.Errorf("ledger: write head: %w", err)
	}
	entries := make([]Entry, len(leaves))
	for i, lf := range leaves {
		entries[i] = lf.Entry
	}
	return entries, nil
}

// render turns acts into their payload's form, all but the index, which is
// known only once the lock is held. It sets the times in acts.
func (l *Log) render(acts []Act) ([]evidence.Act, error) {
	out := make([]evidence.Act, len(acts))
	for i := range acts {
		a := &acts[i]
		if a.At.IsZero() {
			a.At = l.now()
		}
		a.At = a.At.UTC().Truncate(time.Microsecond)
		out[i] = evidence.Act{
			Kind:        a.Kind,
			At:          evidence.FormatTime(a.At),
			Actor:       a.Actor,
			Arrangement: a.Arrangement,
			Subject:     a.Subject,
			Rows:        a.Rows,
		}
		if a.Data != nil {
			data, err := json.Marshal(a.Data)
			if err != nil {
				return nil, fmt.Errorf("ledger: data of act %q: %w", a.Kind, err)
			}
			out[i].Data = data
		}
	}
	return out, nil
}

// leaf is a row of ledger_leaf.
type leaf struct {
	Entry
	kind        string
	arrangement string
	atMicros    int64
	hash        tlog.Hash
}

func newLeaf(a evidence.Act, at time.Time, payload, salt []byte) leaf {
	commitment := evidence.Commit(salt, payload)
	return leaf{
		Entry:       Entry{Index: a.Index, Payload: payload, Salt: salt, Commitment: commitment},
		kind:        a.Kind,
		arrangement: a.Arrangement,
		atMicros:    at.UnixMicro(),
		hash:        tlog.RecordHash(commitment[:]),
	}
}

// lockHead reserves n places, takes the lock that serialises appends until
// tx ends, and returns the first place and the edge before it.
func lockHead(ctx context.Context, tx Tx, n int64) (int64, *evidence.Frontier, error) {
	var first int64
	var edge []byte
	err := tx.QueryRowContext(ctx, `UPDATE ledger_head SET size = size + $1 WHERE id = 1 RETURNING size - $1, edge`, n).
		Scan(&first, &edge)
	if err != nil {
		return 0, nil, fmt.Errorf("ledger: lock head: %w", err)
	}
	frontier, err := evidence.ParseFrontier(first, edge)
	if err != nil {
		return 0, nil, escrow.Wrap(err, escrow.Damaged, "ledger: the head does not hold").
			WithHint("run holdfast verify; do not write to this database")
	}
	return first, frontier, nil
}

func insertLeaves(ctx context.Context, tx Tx, leaves []leaf) error {
	var q strings.Builder
	q.WriteString(`INSERT INTO ledger_leaf (seq, kind, arrangement, at_us, payload, salt, commitment, hash) VALUES `)
	args := make([]any, 0, len(leaves)*leafFields)
	for i, lf := range leaves {
		if i > 0 {
			q.WriteByte(',')
		}
		for j := range leafFields {
			q.WriteByte("(,,,,,,,"[j])
			q.WriteByte('$')
			q.WriteString(strconv.Itoa(i*leafFields + j + 1))
		}
		q.WriteByte(')')
		args = append(args, lf.Index, lf.kind, lf.arrangement, lf.atMicros, lf.Payload, lf.Salt, lf.Commitment[:], lf.hash[:])
	}
	if _, err := tx.ExecContext(ctx, q.String(), args...); err != nil {
		return fmt.Errorf("ledger: write entries %d to %d: %w", leaves[0].Index, leaves[len(leaves)-1].Index, err)
	}
	return nil
}

// growTree folds the new leaves into the edge and writes every tile they
// complete, at every level.
func growTree(ctx context.Context, tx Tx, frontier *evidence.Frontier, leaves []leaf) error {
	for _, lf := range leaves {
		frontier.Push(lf.hash)
		for level := 0; ; level++ {
			root, done := frontier.Completed((level + 1) * evidence.TileHeight)
			if !done {
				break
			}
			n := lf.Index >> ((level + 1) * evidence.TileHeight)
			if err := writeTile(ctx, tx, level, n, root); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeTile(ctx context.Context, tx Tx, level int, n int64, root tlog.Hash) error {
	hashes, err := readHashes(ctx, tx, level, n<<evidence.TileHeight, evidence.TileWidth)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO ledger_tile (level, n, root, hashes) VALUES ($1, $2, $3, $4)`, level, n, root[:], hashes)
	if err != nil {
		return fmt.Errorf("ledger: write tile %d/%d: %w", level, n, err)
	}
	return nil
}
