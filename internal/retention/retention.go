// Package retention is the engine that decides over what was deposited: which
// versions stay, what a legal hold stops, what two people may destroy, and what
// is kept aside because it looks wrong. The rules are in escrow/retention; this
// package applies them to the state and writes the certificates.
//
// It may import evidence and escrow. State is reached through the interface it
// declares; the server supplies it.
package retention

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	rules "holdfast/internal/escrow/retention"
)

// Tx is the state that retention reads and writes.
type Tx interface {
	Reader
	PutHold(ctx context.Context, h escrow.Hold) error
	PutDestruction(ctx context.Context, d escrow.Destruction) error
	DestroyDeposit(ctx context.Context, d escrow.Destroyed) error
	PutMark(ctx context.Context, m escrow.Mark) error
	PutVerified(ctx context.Context, v escrow.Verified) error
	PutRunning(ctx context.Context, r escrow.Running) error
	DeleteRunning(ctx context.Context, arrangement, module, party string) error
}

// Reader is the state that retention reads.
type Reader interface {
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	Module(ctx context.Context, arrangement, id string) (escrow.Module, error)
	Contact(ctx context.Context, arrangement, party, person string) (escrow.Contact, error)
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error)
	DepositHeads(ctx context.Context, arrangement, module string) ([]escrow.Deposit, error)
	DepositObjects(ctx context.Context, arrangement, module string, number int) ([]escrow.Object, error)
	HeldObjects(ctx context.Context, names []string) (map[string]int, error)
	Hold(ctx context.Context, arrangement, id string) (escrow.Hold, error)
	Holds(ctx context.Context, arrangement string) ([]escrow.Hold, error)
	Destruction(ctx context.Context, arrangement, id string) (escrow.Destruction, error)
	Destructions(ctx context.Context, arrangement string) ([]escrow.Destruction, error)
	DestructionsIn(ctx context.Context, state escrow.DestructionState) ([]escrow.Destruction, error)
	Destroyed(ctx context.Context, arrangement, module string) ([]escrow.Destroyed, error)
	DestroyedBy(ctx context.Context, arrangement, destruction string) ([]escrow.Destroyed, error)
	Marks(ctx context.Context, arrangement, module string) ([]escrow.Mark, error)
	Verified(ctx context.Context, arrangement, module string) ([]escrow.Verified, error)
	Running(ctx context.Context, arrangement, module string) ([]escrow.Running, error)
	Leavings(ctx context.Context, arrangement string) ([]escrow.Leaving, error)
}

// Terms answers from the text of an agreement.
type Terms interface {
	// Retention returns how long the deposits of a module are kept.
	Retention(source []byte, module string) (rules.Policy, error)
	// Parties returns everybody with a role.
	Parties(source []byte) ([]escrow.Party, error)
	// Owner returns the party that a module's instance belongs to.
	Owner(source []byte, instance string) (string, error)
}

// Remover deletes objects for good.
type Remover interface {
	// Delete returns nil when the object is at no location any more, also when
	// it was at none before.
	Delete(ctx context.Context, name string) error
}

// Keeper is the engine.
type Keeper struct {
	db      escrow.Database[Tx]
	terms   Terms
	objects Remover
	signer  ssh.Signer // the server's own, for certificates
	now     func() time.Time
	random  io.Reader
}

// New returns a keeper. signer signs certificates as the server.
func New(db escrow.Database[Tx], terms Terms, objects Remover, signer ssh.Signer, now func() time.Time, random io.Reader) *Keeper {
	if random == nil {
		random = rand.Reader
	}
	return &Keeper{db: db, terms: terms, objects: objects, signer: signer, now: now, random: random}
}

// Standing is one deposit and what becomes of it.
type Standing struct {
	escrow.Deposit
	Verdict   rules.Verdict
	Level     int // highest verification it passed; what was accepted whole has 1
	Mark      *escrow.Mark
	Running   []string
	Destroyed *escrow.Destroyed
}

// Status tells of every deposit of a module whether it stays and why.
func (k *Keeper) Status(ctx context.Context, arrangement, module string) ([]Standing, error) {
	var out []Standing
	err := k.db.View(ctx, func(tx Tx) (err error) {
		out, _, err = k.standing(ctx, tx, arrangement, module)
		return err
	})
	return out, err
}

// standing reads everything about a module's deposits at one moment and
// decides.
func (k *Keeper) standing(ctx context.Context, tx Reader, arrangement, module string) ([]Standing, rules.Policy, error) {
	a, err := tx.Arrangement(ctx, arrangement)
	if err != nil {
		return nil, rules.Policy{}, err
	}
	policy, err := k.terms.Retention(a.Source, module)
	if err != nil {
		return nil, policy, err
	}
	if policy, err = left(ctx, tx, arrangement, module, policy); err != nil {
		return nil, policy, err
	}
	heads, err := tx.DepositHeads(ctx, arrangement, module)
	if err != nil {
		return nil, policy, err
	}
	now := k.now()
	list := make([]Standing, len(heads))
	for i, d := range heads {
		list[i].Deposit = d
		if d.Completeness == escrow.Complete {
			list[i].Level = 1
		}
	}
	at := func(number int) *Standing { // numbers have no gaps
		if number < 1 || number > len(list) {
			return &Standing{}
		}
		return &list[number-1]
	}
	marks, err := tx.Marks(ctx, arrangement, module)
	if err != nil {
		return nil, policy, err
	}
	for _, m := range marks {
		at(m.Deposit).Mark = &m
	}
	verified, err := tx.Verified(ctx, arrangement, module)
	if err != nil {
		return nil, policy, err
	}
	for _, v := range verified {
		s := at(v.Deposit)
		s.Level = max(s.Level, v.Level)
	}
	running, err := tx.Running(ctx, arrangement, module)
	if err != nil {
		return nil, policy, err
	}
	for _, r := range running {
		s := at(r.Deposit)
		s.Running = append(s.Running, r.Party)
	}
	destroyed, err := tx.Destroyed(ctx, arrangement, module)
	if err != nil {
		return nil, policy, err
	}
	for _, d := range destroyed {
		at(d.Deposit).Destroyed = &d
	}
	holds, err := tx.Holds(ctx, arrangement)
	if err != nil {
		return nil, policy, err
	}
	verdicts := rules.Decide(facts(list, module, holds, now), policy, now)
	for i, v := range verdicts {
		list[i].Verdict = v
	}
	return list, policy, nil
}

// facts is what the rules look at.
func facts(list []Standing, module string, holds []escrow.Hold, now time.Time) []rules.Deposit {
	out := make([]rules.Deposit, len(list))
	for i, s := range list {
		out[i] = rules.Deposit{Number: s.Number, Full: s.Kind == escrow.FullDeposit, At: s.AcceptedAt, Level: s.Level,
			Suspect: s.Mark != nil && !s.Mark.Released(), Destroyed: s.Destroyed != nil, Running: s.Running}
		for _, h := range holds {
			if h.Active(now) && h.Covers(module, s.Number) {
				out[i].Holds = append(out[i].Holds, h.ID+": "+h.Ground)
			}
		}
	}
	return out
}

// renewAhead is how long before personal data is over its term a fresh chain
// is begun, so that the old one can go in time.
const renewAhead = 7 * 24 * time.Hour

// FullNeeded reports whether the next deposit of a module has to stand alone:
// the chain has lost a deposit or is about to, or personal data in it nears
// the end of its term.
func FullNeeded(ctx context.Context, tx Reader, terms Terms, now time.Time, arrangement, module string) (bool, error) {
	k := &Keeper{terms: terms, now: func() time.Time { return now }}
	list, policy, err := k.standing(ctx, tx, arrangement, module)
	if err != nil || len(list) == 0 {
		return false, err
	}
	if !list[len(list)-1].Verdict.Restorable || rules.FullNeeded(facts(list, module, nil, now), policy, now, renewAhead) {
		return true, nil
	}
	requests, err := tx.Destructions(ctx, arrangement)
	if err != nil {
		return false, err
	}
	chain := chainOf(list, list[len(list)-1].Number)
	for _, r := range requests {
		if r.Module != module || r.At(now) != escrow.DestructionRequested {
			continue
		}
		d, err := evidence.ParseDestruction(r.Document)
		if err != nil {
			return false, fmt.Errorf("stored request %s: %w", r.ID, err)
		}
		if d.Ground == evidence.GroundWithdrawal && slices.ContainsFunc(d.Deposits, func(n evidence.NamedDeposit) bool { return n.Number >= chain }) {
			return true, nil
		}
	}
	return false, nil
}

// chainOf is the number of the FULL deposit that a deposit builds on.
func chainOf(list []Standing, number int) int {
	for i := number - 1; i > 0; i-- {
		if list[i].Kind == escrow.FullDeposit {
			return i + 1
		}
	}
	return 1
}

func (k *Keeper) id() (string, error) {
	b := make([]byte, 8)
	if _, err := io.ReadFull(k.random, b); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// told checks a text that stands in the ledger for ever.
func told(what, text string, limit int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return escrow.Errorf(escrow.Invalid, "no %s", what).WithHint("say it in a sentence; it stays in the ledger")
	case len(text) > limit:
		return escrow.Errorf(escrow.Invalid, "the %s is longer than %d bytes", what, limit)
	}
	return nil
}

const maxReason = 1000
