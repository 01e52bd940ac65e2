// Package keyring looks after the epochs of compartments: a dealer publishes
// one, its trustees accept their shares, and only then does it become the one
// that deposits are sealed to. It never sees a share.
//
// It may import evidence, escrow, its agreement language and seal. State is
// reached through the interface it declares.
package keyring

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// Tx is the state the keyring works on.
type Tx interface {
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	Contact(ctx context.Context, arrangement, party, person string) (escrow.Contact, error)
	Contacts(ctx context.Context, arrangement string) ([]escrow.Contact, error)
	PutContact(ctx context.Context, c escrow.Contact) error
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error)
	PutEpoch(ctx context.Context, e escrow.Epoch) error
	SharePackage(ctx context.Context, arrangement, compartment string, epoch int, trustee, person string) (escrow.SharePackage, error)
	PutSharePackage(ctx context.Context, p escrow.SharePackage) error
	Acceptances(ctx context.Context, arrangement, compartment string, epoch int) ([]escrow.Acceptance, error)
	PutAcceptance(ctx context.Context, a escrow.Acceptance) error
}

// Terms tells what the agreement asks of a compartment's keys.
type Terms interface {
	// Compartment returns the terms of one compartment of an agreement's
	// source text, or an error with code NotFound.
	Compartment(source []byte, id string) (Compartment, error)
}

// Compartment is what an agreement asks of the keys of one compartment.
type Compartment struct {
	ID         string
	Holder     string         // party that holds the data itself; then there is no quorum
	Of         int            // shares needed
	From       []string       // organisations that hold a share
	AtLeast    map[string]int // class -> how many of its members must be among them
	Members    map[string][]string
	People     int      // people per organisation the agreement asks for, 0 if it does not say
	Recipients []string // parties that some stage may open it for
}

// Keyring is the engine.
type Keyring struct {
	db    escrow.Database[Tx]
	terms Terms
	now   func() time.Time
}

// New returns a keyring over db.
func New(db escrow.Database[Tx], terms Terms, now func() time.Time) *Keyring {
	return &Keyring{db: db, terms: terms, now: now}
}

// maxPeople bounds the cards of one party: a key manifest takes 16 people of
// it, and some leave.
const maxPeople = 200

// AddContact records the self-signed card of a person acting for the actor's
// own party, or for any party when the arrangement's agent brings it. A person
// whose card exists keeps the recipient and key that are pinned: a change is
// a new person, or it would be a way to redirect shares unseen.
func (k *Keyring) AddContact(ctx context.Context, actor escrow.Actor, arrangement string, document []byte) (escrow.Contact, error) {
	card, err := evidence.ParseContact(document)
	if err != nil {
		return escrow.Contact{}, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	if card.Party != actor.Party && actor.Role != escrow.Agent {
		return escrow.Contact{}, escrow.Errorf(escrow.Forbidden, "%s may not bring the card of %s/%s", actor, card.Party, card.Person)
	}
	c := escrow.Contact{Arrangement: arrangement, Party: card.Party, Person: card.Person, Recipient: card.Recipient,
		SigningKey: card.Key, Document: document, AddedAt: k.now()}
	_, err = k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		old, err := tx.Contact(ctx, arrangement, card.Party, card.Person)
		switch {
		case err == nil && (old.Recipient != c.Recipient || old.SigningKey != c.SigningKey):
			return nil, escrow.Errorf(escrow.Conflict, "%s/%s is pinned to key %s", c.Party, c.Person, evidence.Fingerprint(old.Recipient)).
				WithHint("a changed key needs a new person id and a new ceremony; compare fingerprints by another channel first")
		case err == nil:
			return nil, escrow.Errorf(escrow.Conflict, "the card of %s/%s is known already", c.Party, c.Person)
		case escrow.CodeOf(err) != escrow.NotFound:
			return nil, err
		}
		all, err := tx.Contacts(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		own := 0
		for _, other := range all {
			if other.Party == c.Party {
				own++
			}
		}
		if own >= maxPeople {
			return nil, escrow.Errorf(escrow.Conflict, "%s has %d cards here, which is as many as it can have", c.Party, own)
		}
		if err := tx.PutContact(ctx, c); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "contact.added", At: k.now(), Actor: actor.String(), Arrangement: arrangement, Subject: c.Party + "/" + c.Person,
			Data: map[string]string{"recipient": evidence.Fingerprint(c.Recipient), "ssh_key": c.SigningKey}}}, nil
	})
	return c, err
}

// Publish takes in what a dealer made: the signed key manifest and the sealed
// shares. Everything is checked against the agreement and the pinned
// contacts; nothing is kept unless all of it fits. Of each package only the
// trustee, the person and the sealed bytes are read.
func (k *Keyring) Publish(ctx context.Context, actor escrow.Actor, arrangement string, manifest, signature []byte, packages []escrow.SharePackage) (escrow.Epoch, error) {
	m, err := seal.OpenManifest(manifest, signature)
	if err != nil {
		return escrow.Epoch{}, err
	}
	if m.Arrangement != arrangement {
		return escrow.Epoch{}, escrow.Errorf(escrow.Invalid, "the key manifest is for arrangement %q, not %q", m.Arrangement, arrangement)
	}
	if m.Dealer.Party != actor.Party {
		return escrow.Epoch{}, escrow.Errorf(escrow.Forbidden, "%s may not publish what %s dealt", actor, m.Dealer.Party)
	}
	sealed, err := matchPackages(m, packages)
	if err != nil {
		return escrow.Epoch{}, err
	}
	now := k.now()
	epoch := escrow.Epoch{Arrangement: arrangement, Compartment: m.Compartment, Number: m.Epoch, Set: m.Set, Recipient: m.Recipient,
		Manifest: manifest, Signature: signature, Required: m.Required, State: escrow.EpochDealt, DealtAt: now}
	if m.Kind == evidence.DirectKind {
		epoch.State, epoch.ActivatedAt = escrow.EpochActive, now
	}
	_, err = k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		if m.Agreement != a.Digest {
			return nil, escrow.Errorf(escrow.Conflict, "the key manifest rests on agreement %s, but %s is in force", m.Agreement, a.Digest).
				WithHint("deal again with the agreement in force")
		}
		c, err := k.terms.Compartment(a.Source, m.Compartment)
		if err != nil {
			return nil, err
		}
		if err := fits(m, c); err != nil {
			return nil, err
		}
		if err := k.pinned(ctx, tx, m); err != nil {
			return nil, err
		}
		former, err := tx.Epochs(ctx, arrangement, m.Compartment)
		if err != nil {
			return nil, err
		}
		if err := continues(former, m); err != nil {
			return nil, err
		}
		acts, err := succeed(ctx, tx, former, epoch, now)
		if err != nil {
			return nil, err
		}
		if err := tx.PutEpoch(ctx, epoch); err != nil {
			return nil, err
		}
		for _, p := range sealed {
			if err := tx.PutSharePackage(ctx, p); err != nil {
				return nil, err
			}
		}
		dealt := escrow.Act{Kind: "epoch.dealt", At: now, Actor: actor.String(), Arrangement: arrangement, Subject: epochName(epoch),
			Data: map[string]any{"set": m.Set, "manifest": evidence.Digest(manifest), "kind": m.Kind, "required": m.Required}}
		return append([]escrow.Act{dealt}, acts...), nil
	})
	return epoch, err
}

// continues checks whose secret a new epoch lives by. A resharing hands on the
// very secret of the set it names: the recipient and the commitments stay the
// same. Only the active set can be handed on, for what ended may be known to
// whoever it was released to; and a fresh dealing has a fresh identity.
func continues(former []escrow.Epoch, m *evidence.KeyManifest) error {
	for _, f := range former {
		switch {
		case m.Previous == "" && f.Recipient != "" && f.Recipient == m.Recipient:
			return escrow.Errorf(escrow.Conflict, "the release identity is that of %s already", epochName(f)).WithHint("deal a fresh one")
		case m.Previous == "" || f.Set != m.Previous:
			continue
		case f.State != escrow.EpochActive:
			return escrow.Errorf(escrow.Conflict, "%s is %s, so its key cannot be handed on", epochName(f), f.State).
				WithHint("deal a fresh key and deposit again")
		}
		old, err := evidence.ParseKeyManifest(f.Manifest)
		if err != nil {
			return fmt.Errorf("stored key manifest of %s: %w", epochName(f), err)
		}
		return seal.CheckSuccessor(old, m)
	}
	if m.Previous == "" {
		return nil
	}
	return escrow.Errorf(escrow.Conflict, "compartment %s has no set %.16s… to reshare", m.Compartment, m.Previous)
}

// succeed checks that e follows the epochs there are, and ends what it
// replaces at once: a dealt epoch that was never activated is abandoned, and
// a direct epoch ends its predecessor, since nobody has to accept it.
func succeed(ctx context.Context, tx Tx, former []escrow.Epoch, e escrow.Epoch, now time.Time) ([]escrow.Act, error) {
	if want := len(former) + 1; e.Number != want {
		return nil, escrow.Errorf(escrow.Conflict, "compartment %s has %d epochs; the next is %d, not %d", e.Compartment, len(former), want, e.Number)
	}
	var acts []escrow.Act
	for _, f := range former {
		var ended []escrow.Act
		var err error
		switch {
		case f.State == escrow.EpochDealt:
			ended, err = end(ctx, tx, f, escrow.EpochAbandoned, "a later epoch was dealt", now)
		case f.State == escrow.EpochActive && e.State == escrow.EpochActive:
			ended, err = end(ctx, tx, f, escrow.EpochEnded, "rotated", now)
		}
		if err != nil {
			return nil, err
		}
		acts = append(acts, ended...)
	}
	return acts, nil
}

func end(ctx context.Context, tx Tx, e escrow.Epoch, state escrow.EpochState, reason string, now time.Time) ([]escrow.Act, error) {
	e.State, e.EndedAt, e.EndReason = state, now, reason
	if err := tx.PutEpoch(ctx, e); err != nil {
		return nil, err
	}
	return []escrow.Act{{Kind: "epoch.ended", At: now, Actor: "server", Arrangement: e.Arrangement, Subject: epochName(e),
		Data: map[string]string{"reason": reason}}}, nil
}

func epochName(e escrow.Epoch) string { return fmt.Sprintf("%s#%d", e.Compartment, e.Number) }

// matchPackages pairs every sealed share with its entry in the manifest by
// digest. A resharing carries no packages: new trustees make theirs.
func matchPackages(m *evidence.KeyManifest, packages []escrow.SharePackage) ([]escrow.SharePackage, error) {
	var out []escrow.SharePackage
	want := map[[2]string]string{}
	for _, t := range m.Trustees {
		for _, p := range t.People {
			if p.Package != "" {
				want[[2]string{t.Party, p.Person}] = p.Package
			}
		}
	}
	for _, p := range packages {
		who := [2]string{p.Trustee, p.Person}
		digest, ok := want[who]
		if !ok {
			return nil, escrow.Errorf(escrow.Invalid, "package for %s/%s: not in the key manifest, or given twice", p.Trustee, p.Person)
		}
		if got := evidence.Digest(p.Sealed); got != digest {
			return nil, escrow.Errorf(escrow.Invalid, "package for %s/%s has digest %s, the key manifest says %s", p.Trustee, p.Person, got, digest)
		}
		delete(want, who)
		out = append(out, escrow.SharePackage{Arrangement: m.Arrangement, Compartment: m.Compartment, Epoch: m.Epoch,
			Trustee: p.Trustee, Person: p.Person, Digest: digest, Sealed: p.Sealed})
	}
	for who := range want {
		return nil, escrow.Errorf(escrow.Invalid, "the package for %s/%s is missing", who[0], who[1])
	}
	return out, nil
}

// fits compares a ceremony with what the agreement asks.
func fits(m *evidence.KeyManifest, c Compartment) error {
	refuse := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Invalid, "compartment %s: %s", c.ID, fmt.Sprintf(format, args...)).
			WithHint("deal again as the agreement says")
	}
	if c.Holder != "" {
		if m.Kind != evidence.DirectKind {
			return refuse("the agreement gives it to %s alone, without a quorum", c.Holder)
		}
		if m.Recipients[0].Party != c.Holder {
			return refuse("sealed to %s, but the agreement gives it to %s", m.Recipients[0].Party, c.Holder)
		}
		return nil
	}
	if m.Kind != evidence.QuorumKind {
		return refuse("the agreement asks for a quorum of %d of %d", c.Of, len(c.From))
	}
	if all := m.Parts[0]; all.Threshold != c.Of || all.Holders != len(c.From) {
		return refuse("dealt as %d of %d, the agreement says %d of %d", all.Threshold, all.Holders, c.Of, len(c.From))
	}
	for _, t := range m.Trustees {
		if !slices.Contains(c.From, t.Party) {
			return refuse("%s holds a share, but is not among %v", t.Party, c.From)
		}
		if len(t.People) < c.People {
			return refuse("%s has %d people, the agreement asks for %d", t.Party, len(t.People), c.People)
		}
		for class, members := range c.Members {
			if holds := t.Index(class) > 0; holds != slices.Contains(members, t.Party) {
				return refuse("%s and the class %q do not go together as agreed", t.Party, class)
			}
		}
	}
	for _, r := range m.Recipients {
		if !slices.Contains(c.Recipients, r.Party) {
			return refuse("it pins %s/%s, for whom no stage opens it", r.Party, r.Person)
		}
	}
	if len(m.Parts) != 1+len(c.AtLeast) {
		return refuse("dealt with %d class rules, the agreement has %d", len(m.Parts)-1, len(c.AtLeast))
	}
	for class, least := range c.AtLeast {
		if p := m.Part(class); p == nil || p.Threshold != least {
			return refuse("the rule at_least %s: %d is not in the sharing", class, least)
		}
	}
	return nil
}

// pinned checks that every person of the manifest is known with exactly the
// keys that the manifest names.
func (k *Keyring) pinned(ctx context.Context, tx Tx, m *evidence.KeyManifest) error {
	check := func(party, person, recipient, key string) error {
		c, err := tx.Contact(ctx, m.Arrangement, party, person)
		if escrow.CodeOf(err) == escrow.NotFound {
			return escrow.Errorf(escrow.Invalid, "%s/%s has no contact card here", party, person).WithHint("bring the card first, then publish again")
		}
		if err != nil {
			return err
		}
		if recipient != "" && c.Recipient != recipient || key != "" && c.SigningKey != key {
			return escrow.Errorf(escrow.Invalid, "the key manifest has other keys for %s/%s than the card that is pinned here", party, person).
				WithHint("compare fingerprints with %s by another channel: one of the two is wrong", person)
		}
		return nil
	}
	if err := check(m.Dealer.Party, m.Dealer.Person, "", m.Dealer.Key); err != nil {
		return err
	}
	for _, t := range m.Trustees {
		for _, p := range t.People {
			if err := check(t.Party, p.Person, p.Recipient, p.Key); err != nil {
				return err
			}
		}
	}
	for _, r := range m.Recipients {
		if err := check(r.Party, r.Person, r.Recipient, ""); err != nil {
			return err
		}
	}
	return nil
}

// Accept records a trustee's signed word that its share is good. When the
// required number of organisations has accepted, the epoch becomes active and
// ends the one before it, in the same transaction.
func (k *Keyring) Accept(ctx context.Context, actor escrow.Actor, arrangement string, document, signature []byte) (escrow.Epoch, error) {
	doc, err := evidence.ParseAcceptance(document)
	if err != nil {
		return escrow.Epoch{}, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	if doc.Arrangement != arrangement || doc.Trustee != actor.Party || (actor.Person != "" && doc.Person != actor.Person) {
		return escrow.Epoch{}, escrow.Errorf(escrow.Forbidden, "%s may not accept for %s/%s", actor, doc.Trustee, doc.Person)
	}
	now := k.now()
	var result escrow.Epoch
	_, err = k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		all, err := tx.Epochs(ctx, arrangement, doc.Compartment)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(all, func(e escrow.Epoch) bool { return e.Number == doc.Epoch })
		if at < 0 {
			return nil, escrow.Errorf(escrow.NotFound, "compartment %s has no epoch %d", doc.Compartment, doc.Epoch)
		}
		e := all[at]
		if e.State != escrow.EpochDealt && e.State != escrow.EpochActive {
			return nil, escrow.Errorf(escrow.Conflict, "epoch %d of %s is %s", e.Number, e.Compartment, e.State)
		}
		m, err := evidence.ParseKeyManifest(e.Manifest)
		if err != nil {
			return nil, fmt.Errorf("stored key manifest of %s: %w", epochName(e), err)
		}
		if _, err := seal.CheckAcceptance(m, e.Manifest, seal.Signed{Document: document, Signature: signature, ReceivedAt: now}); err != nil {
			return nil, err
		}
		given, err := tx.Acceptances(ctx, arrangement, doc.Compartment, doc.Epoch)
		if err != nil {
			return nil, err
		}
		for _, g := range given {
			if g.Trustee != doc.Trustee || g.Person != doc.Person {
				continue
			}
			if bytes.Equal(g.Document, document) { // the answer was lost on the way: it is given again
				result = e
				return nil, nil
			}
			return nil, escrow.Errorf(escrow.Conflict, "%s/%s has accepted epoch %d already", doc.Trustee, doc.Person, doc.Epoch)
		}
		acceptance := escrow.Acceptance{Arrangement: arrangement, Compartment: doc.Compartment, Epoch: doc.Epoch,
			Trustee: doc.Trustee, Person: doc.Person, Document: document, Signature: signature, AcceptedAt: now}
		if err := tx.PutAcceptance(ctx, acceptance); err != nil {
			return nil, err
		}
		status := accepted(m, e.Manifest, append(given, acceptance))
		acts := []escrow.Act{{Kind: "share.accepted", At: now, Actor: actor.String(), Arrangement: arrangement, Subject: epochName(e),
			Data: map[string]any{"trustee": doc.Trustee, "person": doc.Person, "set": doc.Set, "status": status.String()}}}
		if e.State == escrow.EpochDealt && status.Reached {
			more, err := activate(ctx, tx, all, &e, now)
			if err != nil {
				return nil, err
			}
			acts = append(acts, more...)
		}
		result = e
		return acts, nil
	})
	return result, err
}

func accepted(m *evidence.KeyManifest, manifest []byte, list []escrow.Acceptance) seal.Status {
	signed := make([]seal.Signed, len(list))
	for i, a := range list {
		signed[i] = seal.Signed{Document: a.Document, Signature: a.Signature, ReceivedAt: a.AcceptedAt}
	}
	return seal.Accepted(m, manifest, signed)
}

func activate(ctx context.Context, tx Tx, all []escrow.Epoch, e *escrow.Epoch, now time.Time) ([]escrow.Act, error) {
	var acts []escrow.Act
	for _, f := range all {
		if f.State != escrow.EpochActive || f.Number == e.Number {
			continue
		}
		ended, err := end(ctx, tx, f, escrow.EpochEnded, "rotated", now)
		if err != nil {
			return nil, err
		}
		acts = append(acts, ended...)
	}
	e.State, e.ActivatedAt = escrow.EpochActive, now
	if err := tx.PutEpoch(ctx, *e); err != nil {
		return nil, err
	}
	return append(acts, escrow.Act{Kind: "epoch.activated", At: now, Actor: "server", Arrangement: e.Arrangement, Subject: epochName(*e),
		Data: map[string]string{"set": e.Set}}), nil
}

// Fetch hands a person the sealed share that is theirs, and records it. It is
// ciphertext, but that it was fetched belongs in the record.
func (k *Keyring) Fetch(ctx context.Context, actor escrow.Actor, arrangement, compartment string, epoch int) (escrow.SharePackage, error) {
	var p escrow.SharePackage
	_, err := k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		var err error
		if p, err = tx.SharePackage(ctx, arrangement, compartment, epoch, actor.Party, actor.Person); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "share.fetched", At: k.now(), Actor: actor.String(), Arrangement: arrangement,
			Subject: fmt.Sprintf("%s#%d", compartment, epoch), Data: map[string]string{"package": p.Digest}}}, nil
	})
	return p, err
}

// Epochs lists the epochs of a compartment with the organisations that have
// accepted each, by epoch number.
func (k *Keyring) Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, map[int][]string, error) {
	var list []escrow.Epoch
	accepted := map[int][]string{}
	err := k.db.View(ctx, func(tx Tx) error {
		var err error
		if list, err = tx.Epochs(ctx, arrangement, compartment); err != nil {
			return err
		}
		for _, e := range list {
			given, err := tx.Acceptances(ctx, arrangement, compartment, e.Number)
			if err != nil {
				return err
			}
			for _, g := range given {
				if !slices.Contains(accepted[e.Number], g.Trustee) {
					accepted[e.Number] = append(accepted[e.Number], g.Trustee)
				}
			}
		}
		return nil
	})
	return list, accepted, err
}

// Contacts lists the pinned cards of an arrangement.
func (k *Keyring) Contacts(ctx context.Context, arrangement string) ([]escrow.Contact, error) {
	var list []escrow.Contact
	err := k.db.View(ctx, func(tx Tx) error {
		var err error
		list, err = tx.Contacts(ctx, arrangement)
		return err
	})
	return list, err
}
