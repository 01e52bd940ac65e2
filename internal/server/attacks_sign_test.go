package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

const signedText = `holdfast: agreement/v1
id: orchard
version: 1
title: Orchard
language: en
law: NL
time_zone: Europe/Amsterdam
calendar: nl
application:
  name: Orchard
  delivery: saas_shared
  components: [{id: web, criticality: critical}]
parties:
  - {id: supplier, role: supplier, name: Orchard Software B.V.}
  - {id: customer, role: beneficiary, name: Customer N.V.}
  - {id: agent, role: agent, name: Example Escrow B.V.}
  - {id: notary, role: trustee, name: Notary De Vries, people: [{id: notary-1, name: N. de Vries}]}
  - {id: accountant, role: trustee, name: Example Accountants B.V.}
authority:
  - {party: notary, person: notary-1, may: [sign], until: 2099-12-31, proof: appointment}
parts:
  - {id: frame, kind: frame, parties: [supplier, notary], signature: {with: [ssh]}}
  - {id: terms, kind: supplement, parties: [supplier, notary], rests_on: [frame], note: first, signature: {with: [ssh]}}
modules:
  - repository: {id: code, url: https://git.example/orchard.git, compartment: materials}
keys:
  - {compartment: materials, quorum: {of: 2, from: [agent, notary, accountant]}}
release:
  claims: {by: beneficiaries}
  stages: [{id: materials, opens: materials, to: claimant}]
  events:
    - {id: bankruptcy, when: 'insolvency("supplier").has("bankruptcy")', evidence: public_register, contest: 0d, stages: [materials]}
`

// signing is an agreement on its way into force over a real server, whose
// clock the test moves.
type signing struct {
	*installation
	ahead   atomic.Int64 // how far the clock is ahead
	clients map[string]*client.Client
}

func newSigning(t *testing.T, text string, edit func(*config.Config)) *signing {
	t.Helper()
	r := &signing{clients: map[string]*client.Client{}}
	c := config.Default()
	c.Data, c.Listen = t.TempDir()+"/data", "127.0.0.1:0"
	if edit != nil {
		edit(&c)
	}
	r.installation = &installation{t: t, dir: c.Data, config: c, log: &lockedBuffer{}, people: map[string]*person{}, options: server.Options{Now: r.now}}
	r.start()
	r.drafts(text)
	for _, party := range []string{"supplier", "notary"} {
		p := newPerson(t, party, party+"-1")
		issued, err := r.admin.IssueToken(t.Context(), "orchard", client.NewToken{Party: party, Person: p.name})
		if err != nil {
			t.Fatal(err)
		}
		r.people[party], r.clients[party] = p, r.client(issued.Token)
		if _, err := r.clients[party].AddContact(t.Context(), "orchard", p.card); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *signing) now() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }

func (r *signing) drafts(text string) client.AgreementVersion {
	r.t.Helper()
	v, err := r.admin.DraftAgreement(r.t.Context(), "orchard", []byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *signing) offers(version int, open time.Duration) {
	r.t.Helper()
	if _, err := r.admin.OfferAgreement(r.t.Context(), "orchard", version, r.now().Add(open).UTC().Format(time.RFC3339)); err != nil {
		r.t.Fatal(err)
	}
}

// states makes the party's signed statements that it signs these parts of a
// version as it is offered now.
func (r *signing) states(party string, version int, parts ...string) []client.GivenStatement {
	r.t.Helper()
	v, err := r.clients[party].AgreementVersion(r.t.Context(), "orchard", version)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []client.GivenStatement
	for _, id := range parts {
		p := v.Parts[slices.IndexFunc(v.Parts, func(p client.Part) bool { return p.ID == id })]
		offered := evidence.At(*v.OfferedAt)
		s := evidence.PartStatement{Arrangement: "orchard", Agreement: v.Digest, Version: v.Version, Offered: &offered, Part: p.ID, Digest: p.Digest,
			Party: party, Person: r.people[party].name, At: evidence.At(r.now()), States: evidence.PartSigned}
		for _, on := range p.RestsOn {
			s.RestsOn = append(s.RestsOn, evidence.NamedPart{Part: on.Part, Digest: on.Digest})
		}
		document, err := s.Bytes()
		if err != nil {
			r.t.Fatal(err)
		}
		signature, err := evidence.Sign(r.people[party].signer, evidence.NamespaceAgreement, document)
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, client.GivenStatement{Document: string(document), Signature: string(signature)})
	}
	return out
}

func (r *signing) signs(party string, version int, given ...client.GivenStatement) error {
	_, err := r.clients[party].SignParts(r.t.Context(), "orchard", version, given)
	return err
}

// refused says that the signatures are refused for a reason, and that nothing
// of them is left: no signature, nothing in force, nothing in the ledger.
func (r *signing) refused(what, party string, version int, want escrow.Code, words string, given ...client.GivenStatement) {
	r.t.Helper()
	before := r.state(party, version)
	err := r.signs(party, version, given...)
	if code(err) != want || !strings.Contains(err.Error(), words) {
		r.t.Errorf("%s: %v, want %s with %q", what, err, want, words)
	}
	if after := r.state(party, version); after != before {
		r.t.Errorf("%s left something behind:\n%s\nwas\n%s", what, after, before)
	}
}

// state is what signing can change, in one text.
func (r *signing) state(party string, version int) string {
	r.t.Helper()
	ctx := r.t.Context()
	v, err := r.clients[party].AgreementVersion(ctx, "orchard", version)
	if err != nil {
		r.t.Fatal(err)
	}
	var out strings.Builder
	fmt.Fprintln(&out, v.Version, v.State)
	for _, p := range v.Parts {
		for _, s := range p.Signatures {
			fmt.Fprintln(&out, p.ID, s.Party, s.SignedAt, s.Needs)
		}
	}
	a, err := r.admin.Arrangement(ctx, "orchard")
	if err != nil && code(err) != escrow.NotFound {
		r.t.Fatal(err)
	}
	fmt.Fprintln(&out, "in force", a.Version)
	entries, err := r.clients["supplier"].LedgerEntries(ctx, "orchard", 0, 1000) // it reads every part
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		var act struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal([]byte(e.Payload), &act); e.Payload != "" && err != nil {
			r.t.Fatal(err)
		}
		if strings.HasPrefix(act.Kind, "agreement.") {
			fmt.Fprintln(&out, e.Index, act.Kind)
		}
	}
	return out.String()
}

func (r *signing) inForce() int {
	r.t.Helper()
	a, err := r.admin.Arrangement(r.t.Context(), "orchard")
	if err != nil && code(err) != escrow.NotFound {
		r.t.Fatal(err)
	}
	return a.Version
}

// signedByAll offers version and lets both sign it.
func (r *signing) signedByAll(version int, parts ...string) {
	r.t.Helper()
	r.offers(version, time.Hour)
	for _, party := range []string{"supplier", "notary"} {
		if err := r.signs(party, version, r.states(party, version, parts...)...); err != nil {
			r.t.Fatal(err)
		}
	}
	if got := r.inForce(); got != version {
		r.t.Fatalf("version %d is in force, want %d", got, version)
	}
}

// An offer that has expired takes no signature, and what was signed under it
// does not count for the next.
func TestExpiredOfferIsNotSigned(t *testing.T) {
	r := newSigning(t, signedText, nil)
	r.offers(1, time.Hour)
	if err := r.signs("supplier", 1, r.states("supplier", 1, "frame", "terms")...); err != nil {
		t.Fatal(err)
	}
	late := r.states("notary", 1, "frame", "terms")
	old := r.states("supplier", 1, "frame", "terms")
	r.ahead.Add(int64(time.Hour))
	r.refused("after it expired", "notary", 1, escrow.Conflict, "expired on", late...)
	r.refused("made after it expired", "notary", 1, escrow.Conflict, "expired on", r.states("notary", 1, "frame", "terms")...)

	r.offers(1, time.Hour)
	r.refused("made for the offer before", "notary", 1, escrow.Conflict, "belongs to an offer of", late...)
	r.refused("signed for the offer before, and sent again", "supplier", 1, escrow.Conflict, "belongs to an offer of", old...)
	if err := r.signs("notary", 1, r.states("notary", 1, "frame", "terms")...); err != nil {
		t.Fatal(err)
	}
	if got := r.inForce(); got != 0 {
		t.Fatalf("version %d is in force by a signature of an expired offer", got)
	}
	if err := r.signs("supplier", 1, r.states("supplier", 1, "frame", "terms")...); err != nil || r.inForce() != 1 {
		t.Errorf("signed in time: version %d, %v", r.inForce(), err)
	}
}

func (r *signing) second(note string) string {
	r.t.Helper()
	list, err := r.admin.AgreementVersions(r.t.Context(), "orchard")
	if err != nil {
		r.t.Fatal(err)
	}
	one := list[slices.IndexFunc(list, func(v client.AgreementVersion) bool { return v.State == "active" })]
	return strings.NewReplacer("version: 1\n", "version: 2\nreplaces: "+one.Digest+"\n", "note: first", "note: "+note).Replace(signedText)
}

// A signature is for one version: it counts for no other, also not where it
// comes together with one that is right.
func TestSignatureForAnotherVersion(t *testing.T) {
	r := newSigning(t, signedText, nil)
	r.offers(1, time.Hour)
	first := r.states("notary", 1, "frame", "terms")
	for _, party := range []string{"supplier", "notary"} {
		if err := r.signs(party, 1, r.states(party, 1, "frame", "terms")...); err != nil {
			t.Fatal(err)
		}
	}
	r.drafts(r.second("second"))
	r.offers(2, time.Hour)
	right := r.states("notary", 2, "terms")
	r.refused("version 1 for version 2", "notary", 2, escrow.Conflict, "is over version 1", first[1])
	r.refused("beside one that is right", "notary", 2, escrow.Conflict, "is over version 1", right[0], first[0])
	r.refused("version 2 for version 1", "notary", 1, escrow.Conflict, "is over version 2", right...)
	r.refused("the same part twice", "notary", 2, escrow.Invalid, "signed twice in one request", right[0], right[0])
	forged := right[0]
	forged.Signature = first[1].Signature
	r.refused("the signature under version 1", "notary", 2, escrow.Invalid, "signature does not hold", forged)
	r.refused("another party's", "supplier", 2, escrow.Forbidden, "may not state this for notary", right...)

	// Withdrawn, replaced by another text of the same number: what was signed
	// for the one is not for the other.
	if _, err := r.admin.WithdrawAgreement(t.Context(), "orchard", 2, "another text"); err != nil {
		t.Fatal(err)
	}
	r.refused("withdrawn", "notary", 2, escrow.Conflict, "is withdrawn", right...)
	r.drafts(r.second("third"))
	r.offers(2, time.Hour)
	r.refused("another text of version 2", "notary", 2, escrow.Conflict, "is over version 2 with digest", right...)
	if got := r.inForce(); got != 1 {
		t.Errorf("version %d is in force", got)
	}
}

// However many texts come at once, one at most is open, and one at most comes
// into force.
func TestTwoVersionsAtOnce(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) { twoVersionsAtOnce(t, newSigning(t, signedText, onEngine(t, engine))) })
	}
}

func twoVersionsAtOnce(t *testing.T, r *signing) {
	ctx := t.Context()
	r.signedByAll(1, "frame", "terms")
	var wg sync.WaitGroup
	for i := range 6 {
		text := r.second(fmt.Sprintf("text %d", i))
		wg.Go(func() {
			_, err := r.admin.DraftAgreement(ctx, "orchard", []byte(text))
			if err != nil && code(err) != escrow.Conflict {
				t.Errorf("draft: %v", err)
			}
			_, err = r.admin.OfferAgreement(ctx, "orchard", 2, r.now().Add(time.Hour).UTC().Format(time.RFC3339))
			if err != nil && code(err) != escrow.Conflict {
				t.Errorf("offer: %v", err)
			}
		})
	}
	wg.Wait()
	open := r.open()
	if len(open) != 1 || open[0].State != "offered" {
		t.Fatalf("open are %+v, want one that is offered", open)
	}
	for name, attack := range map[string]func() error{
		"another text": func() error {
			_, err := r.admin.DraftAgreement(ctx, "orchard", []byte(r.second("more")))
			return err
		},
		"registered beside it": func() error {
			_, err := r.admin.RegisterAgreement(ctx, []byte(strings.Replace(r.second("first"), "title: Orchard", "title: Orchards", 1)))
			return err
		},
		"offered twice": func() error {
			_, err := r.admin.OfferAgreement(ctx, "orchard", 2, r.now().Add(2*time.Hour).UTC().Format(time.RFC3339))
			return err
		},
		"the next but one": func() error {
			_, err := r.admin.DraftAgreement(ctx, "orchard", []byte(strings.Replace(r.second("more"), "version: 2", "version: 3", 1)))
			return err
		},
	} {
		if err := attack(); code(err) != escrow.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if again := r.open(); len(again) != 1 || again[0].Digest != open[0].Digest || !again[0].ExpiresAt.Equal(*open[0].ExpiresAt) {
		t.Errorf("open are %+v, were %+v", again, open)
	}
	// Both sign at the same moment: it is in force once.
	given := map[string][]client.GivenStatement{"supplier": r.states("supplier", 2, "terms"), "notary": r.states("notary", 2, "terms")}
	for party, statements := range given {
		for range 2 {
			wg.Go(func() {
				if err := r.signs(party, 2, statements...); err != nil {
					t.Errorf("%s: %v", party, err)
				}
			})
		}
	}
	wg.Wait()
	if a, err := r.admin.Arrangement(ctx, "orchard"); err != nil || a.Version != 2 || a.Digest != open[0].Digest {
		t.Errorf("in force: %+v, %v", a, err)
	}
	state := r.state("notary", 2)
	for kind, want := range map[string]int{" agreement.registered\n": 2, " agreement.signed\n": 6} {
		if got := strings.Count(state, kind); got != want {
			t.Errorf("%d acts%s, want %d:\n%s", got, strings.TrimSpace(kind), want, state)
		}
	}
}

func (r *signing) open() []client.AgreementVersion {
	r.t.Helper()
	list, err := r.admin.AgreementVersions(r.t.Context(), "orchard")
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(v client.AgreementVersion) bool { return v.State != "offered" && v.State != "draft" })
}

// Authority is looked at when the signature comes in, by the server's clock:
// a statement that was made in time is of no use afterwards, for no part.
func TestExpiredAuthority(t *testing.T) {
	until := time.Now().AddDate(0, 0, 3)
	r := newSigning(t, strings.Replace(signedText, "until: 2099-12-31", "until: "+until.Format(time.DateOnly), 1), nil)
	ctx := t.Context()
	r.offers(1, 20*24*time.Hour)
	if err := r.signs("notary", 1, r.states("notary", 1, "terms")...); err != nil {
		t.Fatal(err)
	}
	kept := r.states("notary", 1, "frame")
	r.ahead.Store(int64(5 * 24 * time.Hour))
	r.refused("made while it lasted", "notary", 1, escrow.Forbidden, "the authority of notary-1 for notary ended on", kept...)
	r.refused("made afterwards", "notary", 1, escrow.Forbidden, "ended on", r.states("notary", 1, "frame")...)
	if err := r.signs("supplier", 1, r.states("supplier", 1, "frame", "terms")...); err != nil {
		t.Fatal(err)
	}
	if got := r.inForce(); got != 0 {
		t.Fatalf("version %d is in force without the notary under the frame", got)
	}

	// One that has yet to begin is none either.
	m := client.NewMandate{Party: "notary", Person: "notary-1", May: []string{"sign"}, From: r.now().AddDate(0, 0, 1).UTC().Format(time.RFC3339), Until: r.now().AddDate(0, 0, 9).UTC().Format(time.RFC3339), Proof: "new appointment"}
	if _, err := r.admin.RecordMandate(ctx, "orchard", m); err != nil {
		t.Fatal(err)
	}
	if err := r.signs("notary", 1, r.states("notary", 1, "frame")...); code(err) != escrow.Forbidden {
		t.Errorf("before it begins: %v", err)
	}
	r.ahead.Add(int64(2 * 24 * time.Hour))
	// What was signed while the old one lasted stays signed, and with the new
	// one the rest is.
	if err := r.signs("notary", 1, r.states("notary", 1, "frame")...); err != nil || r.inForce() != 1 {
		t.Errorf("with a new appointment: version %d, %v", r.inForce(), err)
	}
}
