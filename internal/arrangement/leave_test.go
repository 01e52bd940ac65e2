package arrangement_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/arrangement"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/accession"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

const portal = "belastingportaal"

// database shows the store to the engine, and fails a write where a test wants
// it to.
type database struct {
	*store.DB
	failAt *int // the write that fails, counted down; nil for none
}

func (d database) View(ctx context.Context, fn func(arrangement.Tx) error) error {
	return d.DB.View(ctx, func(tx *store.Tx) error { return fn(tx) })
}

func (d database) Update(ctx context.Context, fn func(arrangement.Tx) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	return d.DB.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) { return fn(failing{tx, d.failAt}) })
}

var errBroken = errors.New("the disk is gone")

// failing is a transaction that breaks at one of its writes.
type failing struct {
	*store.Tx
	at *int
}

func (f failing) now() error {
	if f.at == nil {
		return nil
	}
	if *f.at--; *f.at == 0 {
		return errBroken
	}
	return nil
}

func (f failing) PutAgreementVersion(ctx context.Context, v escrow.AgreementVersion) error {
	return errors.Join(f.now(), f.Tx.PutAgreementVersion(ctx, v))
}
func (f failing) PutArrangement(ctx context.Context, a escrow.Arrangement) error {
	return errors.Join(f.now(), f.Tx.PutArrangement(ctx, a))
}
func (f failing) PutModule(ctx context.Context, m escrow.Module) error {
	return errors.Join(f.now(), f.Tx.PutModule(ctx, m))
}
func (f failing) PutToken(ctx context.Context, t escrow.Token) error {
	return errors.Join(f.now(), f.Tx.PutToken(ctx, t))
}
func (f failing) PutEpoch(ctx context.Context, e escrow.Epoch) error {
	return errors.Join(f.now(), f.Tx.PutEpoch(ctx, e))
}
func (f failing) DeleteCredential(ctx context.Context, a, m string, k escrow.CredentialKind) error {
	return errors.Join(f.now(), f.Tx.DeleteCredential(ctx, a, m, k))
}
func (f failing) PutLeaving(ctx context.Context, l escrow.Leaving) error {
	return errors.Join(f.now(), f.Tx.PutLeaving(ctx, l))
}

type sealer struct{}

func (sealer) Seal(b []byte) ([]byte, error) { return append([]byte("sealed "), b...), nil }

// room is a registry over a database, with a clock that tests move.
type room struct {
	*arrangement.Registry
	t      *testing.T
	db     *storetest.Database
	now    time.Time
	failAt *int
}

func signer(seed byte) ssh.Signer {
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		panic(err)
	}
	return s
}

func hash(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }

func actor(party, person string) escrow.Actor {
	return escrow.Actor{Party: party, Person: person, Role: escrow.Beneficiary, Arrangement: portal}
}

// municipalities is the example in force, with what gem-b has here: a card, a
// key, two tokens, and a secret of its module.
func municipalities(t *testing.T, db *storetest.Database) *room {
	t.Helper()
	r := &room{t: t, db: db, now: time.Date(2028, 3, 1, 12, 0, 0, 0, time.UTC)}
	r.Registry = arrangement.New(roomDatabase{r}, sealer{}, func() time.Time { return r.now }, false)
	source, err := os.ReadFile("../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Register(t.Context(), escrow.Actor{Role: escrow.Administrator}, source); err != nil {
		t.Fatal(err)
	}
	a, _, err := r.Arrangement(t.Context(), portal)
	if err != nil {
		t.Fatal(err)
	}
	r.update(func(ctx context.Context, tx *store.Tx) error {
		for i, who := range []string{"gem-b/bea", "gem-c/cor", "gem-a/j-jansen"} {
			party, person, _ := strings.Cut(who, "/")
			c := escrow.Contact{Arrangement: portal, Party: party, Person: person, Recipient: "age1" + person, SigningKey: evidence.FormatPublicKey(signer(byte(i + 1)).PublicKey()), Document: []byte(who), AddedAt: r.now}
			if err := tx.PutContact(ctx, c); err != nil {
				return err
			}
			tok := escrow.Token{ID: "t-" + party, Hash: hash(who), Person: person, Party: party, Role: escrow.Beneficiary, Arrangement: portal, CreatedAt: r.now, ExpiresAt: r.now.AddDate(20, 0, 0)}
			if err := tx.PutToken(ctx, tok); err != nil {
				return err
			}
			tok.ID, tok.Hash, tok.Person, tok.Party, tok.Role, tok.Module = "m-"+party, hash("module of "+who), "lea", "leverancier", escrow.Supplier, "db/"+party
			if err := tx.PutToken(ctx, tok); err != nil {
				return err
			}
			e := escrow.Epoch{Arrangement: portal, Compartment: "data/" + party, Number: 1, Set: "set of " + party, Recipient: "age1" + party, Manifest: []byte("m"), Signature: []byte("s"), State: escrow.EpochActive, DealtAt: r.now, ActivatedAt: r.now}
			if err := tx.PutEpoch(ctx, e); err != nil {
				return err
			}
			if err := tx.PutCredential(ctx, escrow.Credential{Arrangement: portal, Module: "db/" + party, Kind: escrow.WebhookSecret, Sealed: []byte("x"), UpdatedAt: r.now}); err != nil {
				return err
			}
		}
		// It was signed: the text came into force by signatures.
		return tx.PutAgreementVersion(ctx, escrow.AgreementVersion{Arrangement: portal, Digest: a.Digest, Version: 1, Canonical: a.Canonical, Source: a.Source, State: escrow.VersionActive, DraftedBy: "agent", DraftedAt: r.now})
	})
	return r
}

// roomDatabase reads where to fail when it begins.
type roomDatabase struct{ r *room }

func (d roomDatabase) View(ctx context.Context, fn func(arrangement.Tx) error) error {
	return database{d.r.db.DB, nil}.View(ctx, fn)
}
func (d roomDatabase) Update(ctx context.Context, fn func(arrangement.Tx) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	return database{d.r.db.DB, d.r.failAt}.Update(ctx, fn)
}

func (r *room) update(fn func(context.Context, *store.Tx) error) {
	r.t.Helper()
	_, err := r.db.DB.Update(r.t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: "test.setup", At: r.now, Actor: "test", Arrangement: portal, Data: map[string]any{}}}, fn(r.t.Context(), tx)
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func view[T any](r *room, fn func(context.Context, *store.Tx) (T, error)) T {
	r.t.Helper()
	var out T
	err := r.db.DB.View(r.t.Context(), func(tx *store.Tx) (err error) {
		out, err = fn(r.t.Context(), tx)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *room) version() escrow.Arrangement {
	r.t.Helper()
	return view(r, func(ctx context.Context, tx *store.Tx) (escrow.Arrangement, error) {
		return tx.Arrangement(ctx, portal)
	})
}

func (r *room) leaving(party string) escrow.Leaving {
	r.t.Helper()
	return view(r, func(ctx context.Context, tx *store.Tx) (escrow.Leaving, error) { return tx.Leaving(ctx, portal, party) })
}

// notice signs a notice of the party as things stand.
func (r *room) notice(party, person string, key ssh.Signer, ends time.Time, change func(*evidence.LeaveNotice)) (document, signature []byte) {
	r.t.Helper()
	d, err := r.Departing(r.t.Context(), portal, party)
	if err != nil {
		r.t.Fatal(err)
	}
	n := evidence.LeaveNotice{Arrangement: portal, Agreement: d.Agreement, Version: d.Version, Party: party, Person: person, Parts: d.Parts, Ends: evidence.At(ends), Reason: "goes elsewhere", At: evidence.At(r.now)}
	if change != nil {
		change(&n)
	}
	if document, err = n.Bytes(); err != nil {
		r.t.Fatal(err)
	}
	if signature, err = evidence.Sign(key, evidence.NamespaceAgreement, document); err != nil {
		r.t.Fatal(err)
	}
	return document, signature
}

func (r *room) gives(party, person string, key ssh.Signer, ends time.Time) {
	r.t.Helper()
	document, signature := r.notice(party, person, key, ends, nil)
	if _, err := r.GiveNotice(r.t.Context(), actor(party, person), portal, document, signature); err != nil {
		r.t.Fatal(err)
	}
}

func amsterdam(t *testing.T, y int, m time.Month, d int) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}

// Who gives notice is bound until notice and term have run, and then everything
// of it ends at once: the version in force is without it, its keys have ended,
// its tokens and those for its modules are revoked, and its secrets are
// forgotten. Nothing of the others changes.
func TestLeave(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		r := municipalities(t, open(t))
		ctx := t.Context()
		document, signature := r.notice("gem-b", "bea", signer(1), amsterdam(t, 2030, 12, 31), nil)
		if _, err := r.GiveNotice(ctx, actor("gem-b", "bea"), portal, document, signature); escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "run until 2030-12-31T23:00:00") {
			t.Fatalf("a day early: %v", err)
		}
		r.gives("gem-b", "bea", signer(1), amsterdam(t, 2031, 1, 1))
		r.now = amsterdam(t, 2031, 1, 1).Add(-time.Second)
		if err := r.EndDue(ctx, true); err != nil || r.version().Version != 1 {
			t.Fatalf("a second early: version %d, %v", r.version().Version, err)
		}
		r.now = amsterdam(t, 2031, 1, 1)

		// Whatever breaks, it ends whole or not at all.
		writes := 0
		for at := 1; ; at += 3 {
			n := at
			r.failAt = &n
			err := r.EndDue(ctx, true)
			r.failAt = nil
			if err == nil {
				writes = at
				break
			}
			if !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			if l := r.leaving("gem-b"); r.version().Version != 1 || l.State != escrow.LeavingNoticed {
				t.Fatalf("broke at write %d: version %d, %s", at, r.version().Version, l.State)
			}
		}
		if writes < 7 {
			t.Errorf("%d writes only: something of it was not done", writes)
		}

		l := r.leaving("gem-b")
		a := r.version()
		if l.State != escrow.LeavingEnded || a.Version != 2 || bytes.Contains(a.Source, []byte("gem-b")) || l.Version != 2 || l.Agreement != a.Digest || !slices.Equal(l.Modules, []string{"db/gem-b"}) {
			t.Fatalf("%+v, version %d", l, a.Version)
		}
		for _, tok := range view(r, func(ctx context.Context, tx *store.Tx) ([]escrow.Token, error) { return tx.Tokens(ctx, portal) }) {
			if gone := !tok.RevokedAt.IsZero(); gone != strings.HasSuffix(tok.ID, "-gem-b") {
				t.Errorf("token %s: revoked %t", tok.ID, gone)
			}
		}
		for party, want := range map[string]escrow.EpochState{"gem-a": escrow.EpochActive, "gem-b": escrow.EpochEnded, "gem-c": escrow.EpochActive} {
			e := view(r, func(ctx context.Context, tx *store.Tx) ([]escrow.Epoch, error) {
				return tx.Epochs(ctx, portal, "data/"+party)
			})
			c := view(r, func(ctx context.Context, tx *store.Tx) ([]escrow.Credential, error) {
				return tx.Credentials(ctx, portal, "db/"+party)
			})
			if e[0].State != want || (len(c) == 0) != (party == "gem-b") {
				t.Errorf("%s: key %s, %d secrets", party, e[0].State, len(c))
			}
		}
		if v, err := r.Versions(ctx, portal); err != nil || v[0].State != escrow.VersionActive || v[0].Version != 2 {
			t.Errorf("versions %+v, %v", v, err)
		}

		// Again changes nothing; nothing was deposited, so it is certified.
		if err := r.EndDue(ctx, true); err != nil || r.version().Version != 2 {
			t.Errorf("again: version %d, %v", r.version().Version, err)
		}
		for range 2 {
			if err := r.CertifyLeft(ctx, signer(9)); err != nil {
				t.Fatal(err)
			}
		}
		l = r.leaving("gem-b")
		c, err := evidence.VerifyLeavingCertificate(evidence.FormatPublicKey(signer(9).PublicKey()), l.Certificate, l.CertificateSig)
		if err != nil || len(c.Modules) != 1 || c.Modules[0].Deposits != 0 || len(c.Epochs) != 1 {
			t.Errorf("certificate %+v, %v", c, err)
		}
		// Its id does not come back, by whatever way.
		back := bytes.Replace(a.Source, []byte("  - {id: gem-c,"), []byte("  - {id: gem-b, role: beneficiary, name: Gemeente B}\n  - {id: gem-c,"), 1)
		back = bytes.Replace(back, []byte("version: 2\n"), []byte("version: 3\n"), 1)
		former := view(r, func(ctx context.Context, tx *store.Tx) (escrow.Arrangement, error) {
			return tx.ArrangementVersion(ctx, portal, 1)
		})
		back = bytes.Replace(back, []byte("replaces: "+former.Digest), []byte("replaces: "+a.Digest), 1)
		for name, f := range map[string]func() error{
			"draft": func() error {
				_, err := r.Draft(ctx, escrow.Actor{Role: escrow.Administrator}, portal, back)
				return err
			},
			"register": func() error { _, err := r.Register(ctx, escrow.Actor{Role: escrow.Administrator}, back); return err },
			"join": func() error {
				_, err := r.Join(ctx, escrow.Actor{Role: escrow.Agent}, portal, accession.Joiner{ID: "gem-b", Name: "B"}, nil, r.now.Add(time.Hour), false)
				return err
			},
		} {
			if err := f(); escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "is that of a beneficiary who left") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Several whose notice has run leave one after the other, in one go.
func TestSeveralLeave(t *testing.T) {
	r := municipalities(t, storetest.SQLite(t))
	r.gives("gem-b", "bea", signer(1), amsterdam(t, 2031, 1, 1))
	r.gives("gem-c", "cor", signer(2), amsterdam(t, 2031, 1, 1))
	r.now = amsterdam(t, 2031, 2, 1)
	if err := r.EndDue(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if a := r.version(); a.Version != 3 || bytes.Contains(a.Source, []byte("gem-b")) || bytes.Contains(a.Source, []byte("gem-c")) {
		t.Errorf("version %d:\n%s", a.Version, a.Source)
	}
}

// A release in its favour is finished first, and what is offered meanwhile does
// not keep it.
func TestLeaveBlocked(t *testing.T) {
	r := municipalities(t, storetest.SQLite(t))
	ctx := t.Context()
	c := escrow.Case{Arrangement: portal, ID: "case-1", Event: "bankruptcy", Stage: "access", Claimant: "gem-b", Reason: "gone", Compartment: "data/gem-b", Epoch: 1, Recipients: []string{"standby"}, State: escrow.CaseOpened, OpenedAt: r.now}
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCase(ctx, c) })
	document, signature := r.notice("gem-b", "bea", signer(1), amsterdam(t, 2031, 1, 1), nil)
	if _, err := r.GiveNotice(ctx, actor("gem-b", "bea"), portal, document, signature); escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "case case-1") {
		t.Fatalf("with a case: %v", err)
	}
	c.State, c.EndedAt = escrow.CaseClosed, r.now
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCase(ctx, c) })
	r.gives("gem-b", "bea", signer(1), amsterdam(t, 2031, 1, 1))
	c.ID, c.State, c.EndedAt = "case-2", escrow.CaseOpened, time.Time{}
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCase(ctx, c) })
	r.now = amsterdam(t, 2031, 1, 2)
	for range 3 {
		if err := r.EndDue(ctx, true); err != nil {
			t.Fatal(err)
		}
	}
	if l := r.leaving("gem-b"); l.State != escrow.LeavingNoticed || !strings.Contains(l.Blocked, "case case-2") || r.version().Version != 1 {
		t.Fatalf("blocked: %+v", l)
	}
	if _, err := r.Join(ctx, escrow.Actor{Role: escrow.Agent}, portal, accession.Joiner{ID: "gem-f", Name: "Gemeente F"}, nil, r.now.AddDate(0, 1, 0), false); err != nil {
		t.Fatal(err)
	}
	c.State, c.EndedAt = escrow.CaseClosed, r.now
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCase(ctx, c) })
	if err := r.EndDue(ctx, true); err != nil {
		t.Fatal(err)
	}
	if l := r.leaving("gem-b"); l.State != escrow.LeavingEnded || l.Blocked != "" {
		t.Errorf("after the case: %+v", l)
	}
	list, err := r.Versions(ctx, portal)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		if v.Open(r.now) {
			t.Errorf("version %d is still %s", v.Version, v.State)
		}
		if strings.Contains(v.EndReason, "gem-b") {
			t.Errorf("the reason names who left: %q", v.EndReason)
		}
	}
}

func TestNoticeRefused(t *testing.T) {
	r := municipalities(t, storetest.SQLite(t))
	ctx := t.Context()
	ends := amsterdam(t, 2031, 1, 1)
	try := func(name string, want escrow.Code, words string, a escrow.Actor, document, signature []byte) {
		t.Helper()
		_, err := r.GiveNotice(ctx, a, portal, document, signature)
		if escrow.CodeOf(err) != want || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %s with %q", name, err, want, words)
		}
	}
	bea := actor("gem-b", "bea")
	d, s := r.notice("gem-b", "bea", signer(1), ends, nil)
	try("somebody else", escrow.Forbidden, "may not give notice for", actor("gem-c", "cor"), d, s)
	try("a machine", escrow.Forbidden, "names no person", actor("gem-b", ""), d, s)
	try("the supplier", escrow.Forbidden, "may not give notice for", escrow.Actor{Party: "leverancier", Person: "lea", Role: escrow.Supplier, Arrangement: portal}, d, s)
	_, other := r.notice("gem-b", "bea", signer(2), ends, nil)
	try("another key", escrow.Invalid, "signature does not hold", bea, d, other)
	try("no card", escrow.Forbidden, "has no contact card", actor("gem-b", "ben"), first(r.notice("gem-b", "ben", signer(1), ends, nil)), s)
	d2, s2 := r.notice("gem-b", "bea", signer(1), ends, func(n *evidence.LeaveNotice) { n.Agreement = evidence.Digest([]byte("other")) })
	try("another text", escrow.Conflict, "is in force", bea, d2, s2)
	d2, s2 = r.notice("gem-b", "bea", signer(1), ends, func(n *evidence.LeaveNotice) { n.Parts = n.Parts[1:] })
	try("not all parts", escrow.Conflict, "is in force", bea, d2, s2)
	d2, s2 = r.notice("gem-b", "bea", signer(1), ends, func(n *evidence.LeaveNotice) { n.At = evidence.At(r.now.AddDate(0, 0, -1)) })
	try("yesterday's", escrow.Invalid, "is dated", bea, d2, s2)
	d2, s2 = r.notice("gem-b", "bea", signer(1), r.now.AddDate(30, 0, 0), nil)
	try("in thirty years", escrow.Invalid, "the notice would end on", bea, d2, s2)
	d2, s2 = r.notice("gem-a", "j-jansen", signer(3), ends, nil)
	try("holds a share", escrow.Conflict, "holds a share of the key of materials", actor("gem-a", "j-jansen"), d2, s2)
	if _, err := r.Departing(ctx, portal, "leverancier"); escrow.CodeOf(err) != escrow.Forbidden {
		t.Errorf("the supplier leaves: %v", err)
	}

	// Whose authority ended, was never given, or is not hers while the party is insolvent.
	mandate := escrow.Mandate{Arrangement: portal, Warrant: escrow.Warrant{Party: "gem-b", Person: "ben", May: []escrow.Power{escrow.PowerSign}, From: r.now.Add(-time.Hour), Until: r.now.AddDate(1, 0, 0), Proof: "besluit"}}
	if _, err := r.RecordMandate(ctx, escrow.Actor{Role: escrow.Agent, Party: "agent", Person: "ans"}, mandate); err != nil {
		t.Fatal(err)
	}
	try("not among those named", escrow.Forbidden, "not named among those who may act for gem-b", bea, d, s)
	mandate.Person, mandate.CallBack = "bea", true
	if _, err := r.RecordMandate(ctx, escrow.Actor{Role: escrow.Agent, Party: "agent", Person: "ans"}, mandate); err != nil {
		t.Fatal(err)
	}
	try("after a call back only", escrow.Forbidden, "a notice is not called back", bea, d, s)
	mandate.CallBack, mandate.Proof = false, "besluit 2"
	if _, err := r.RecordMandate(ctx, escrow.Actor{Role: escrow.Agent, Party: "agent", Person: "ans"}, mandate); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RecordFact(ctx, escrow.Actor{Role: escrow.Agent, Party: "agent", Person: "ans"}, escrow.ActingFact{Arrangement: portal, Kind: escrow.FactInsolvent, About: "gem-b", From: r.now, Until: r.now.Add(time.Hour), Proof: "vonnis"}); err != nil {
		t.Fatal(err)
	}
	try("insolvent", escrow.Forbidden, "is insolvent", bea, d, s)
	r.now = r.now.Add(2 * time.Hour)
	d, s = r.notice("gem-b", "bea", signer(1), ends, nil)
	for range 2 { // the answer was lost on the way
		if l, err := r.GiveNotice(ctx, bea, portal, d, s); err != nil || l.Authority != "besluit 2" {
			t.Errorf("given: %+v, %v", l, err)
		}
	}
	d2, s2 = r.notice("gem-b", "bea", signer(1), ends.AddDate(1, 0, 0), nil)
	try("twice", escrow.Conflict, "gave notice on", bea, d2, s2)
	if _, err := r.TakeBack(ctx, actor("gem-c", "cor"), portal, "no"); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("another takes it back: %v", err)
	}
	if _, err := r.TakeBack(ctx, bea, portal, "we stay"); err != nil {
		t.Error(err)
	}
	r.now = ends.AddDate(1, 0, 0)
	if err := r.EndDue(ctx, true); err != nil || r.version().Version != 1 {
		t.Errorf("left although it was taken back: version %d, %v", r.version().Version, err)
	}
}

func first(a, _ []byte) []byte { return a }

// A rehearsal and a join that fails leave nothing behind.
func TestJoin(t *testing.T) {
	r := municipalities(t, storetest.SQLite(t))
	ctx := t.Context()
	agent := escrow.Actor{Role: escrow.Agent, Party: "agent", Person: "ans"}
	join := func(dry bool) (arrangement.Joining, error) {
		return r.Join(ctx, agent, portal, accession.Joiner{ID: "gem-f", Name: "Gemeente F"}, nil, r.now.AddDate(0, 1, 0), dry)
	}
	before := len(view(r, func(ctx context.Context, tx *store.Tx) ([]escrow.AgreementVersion, error) {
		return tx.AgreementVersions(ctx, portal)
	}))
	nothing := func(what string) {
		t.Helper()
		if n := len(view(r, func(ctx context.Context, tx *store.Tx) ([]escrow.AgreementVersion, error) {
			return tx.AgreementVersions(ctx, portal)
		})); n != before {
			t.Errorf("%s: %d versions, want %d", what, n, before)
		}
	}
	if j, err := join(true); err != nil || j.Version.Version != 2 || !slices.Contains(j.NoCard, "gem-f") || len(j.Parts) != 3 || len(j.Unchanged) != 17 {
		t.Errorf("rehearsed: %+v, %v", j, err)
	}
	nothing("rehearsed")
	for at := 1; at <= 2; at++ {
		n := at
		r.failAt = &n
		if _, err := join(false); !errors.Is(err, errBroken) {
			t.Errorf("broke at %d: %v", at, err)
		}
		r.failAt = nil
		nothing("broken")
	}
	j, err := join(false)
	if err != nil || j.Version.State != escrow.VersionOffered {
		t.Fatalf("%+v, %v", j.Version, err)
	}
	if _, err := join(false); escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "two texts are not open at once") {
		t.Errorf("a second while the first is open: %v", err)
	}
	if r.version().Version != 1 {
		t.Error("it is in force and nobody signed")
	}
	// The way back: somebody does not sign, and nothing has happened.
	if _, err := r.Withdraw(ctx, agent, portal, 2, "not now"); err != nil {
		t.Error(err)
	}
	if _, err := r.Join(ctx, agent, portal, accession.Joiner{ID: "gem-g", Name: "Gemeente G"}, nil, r.now.AddDate(0, 1, 0), false); err != nil {
		t.Errorf("after it was withdrawn: %v", err)
	}
}
